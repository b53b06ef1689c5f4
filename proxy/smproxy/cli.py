"""The command line: ``smproxy`` and its commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from smproxy import __version__, serve
from smproxy.commands import check, hooks, listen, load, publish, replay, sessions, subscribe, token
from smproxy.printable import printable


class Parser(argparse.ArgumentParser):
    """An argument parser that shows what an argument has of control characters."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def make_parser() -> Parser:
    """Make the parser of all commands."""
    parser = Parser(
        prog="smproxy", description="A local WebRTC stream manager: signaling proxy, origin and lifecycle hooks."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    serve_parser = commands.add_parser(
        "serve",
        help="run the stream manager",
        description="Run the stream manager until Ctrl-C. Every option can also be set as SMPROXY_… in the environment, "
        "for instance SMPROXY_PORT=5081.",
    )
    serve.add_arguments(serve_parser)
    serve_parser.set_defaults(run=serve.run)
    publish_parser = commands.add_parser(
        "publish", help="publish a test pattern or a file", description="Publish to a stream manager, as the SDK does."
    )
    publish.add_arguments(publish_parser)
    publish_parser.set_defaults(run=publish.run)
    subscribe_parser = commands.add_parser(
        "subscribe",
        help="watch a stream and count what comes",
        description="Subscribe at a stream manager, as the SDK does, and show what comes each second.",
    )
    subscribe.add_arguments(subscribe_parser)
    subscribe_parser.set_defaults(run=subscribe.run)
    load_parser = commands.add_parser(
        "load",
        help="publish and watch many streams at a time",
        description="Start many publishers and subscribers, here or at another server, and report what became of them.",
    )
    load.add_arguments(load_parser)
    load_parser.set_defaults(run=load.run)
    listen_parser = commands.add_parser(
        "listen",
        help="show hooks as they come",
        description="Receive hooks and print them, or print what comes on a webhook socket.",
    )
    listen.add_arguments(listen_parser)
    listen_parser.set_defaults(run=listen.run)
    hooks_parser = commands.add_parser(
        "hooks",
        help="list, send again and trigger hooks",
        description="Look at the hook journal of an instance, and have a running one send events.",
    )
    hooks.add_arguments(hooks_parser)
    hooks_parser.set_defaults(run=hooks.run)
    sessions_parser = commands.add_parser(
        "sessions",
        help="list, show and export sessions",
        description="Look at the sessions of a running instance, and export what was said in one.",
    )
    sessions.add_arguments(sessions_parser)
    sessions_parser.set_defaults(run=sessions.run)
    replay_parser = commands.add_parser(
        "replay",
        help="play a recorded client again",
        description="Play the client of an exported session against a server, and report the first difference.",
    )
    replay.add_arguments(replay_parser)
    replay_parser.set_defaults(run=replay.run)
    token_parser = commands.add_parser(
        "token",
        help="make a token for a server with authentication",
        description="Make a token that a stream manager with --auth takes, or one that it must refuse.",
    )
    token.add_arguments(token_parser)
    token_parser.set_defaults(run=token.run)
    check_parser = commands.add_parser(
        "check",
        help="check a WHIP or WHEP server against the standards",
        description="Check every requirement of WHIP (RFC 9725) or WHEP against a server, this one or any other.",
    )
    check.add_arguments(check_parser)
    check_parser.set_defaults(run=check.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    arguments = make_parser().parse_args(argv)
    code: int = arguments.run(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main())
