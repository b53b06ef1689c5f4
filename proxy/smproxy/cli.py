"""The command line: ``smproxy`` and its commands."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple, Protocol, cast

from smproxy import __version__
from smproxy.commands.configured import apply_config
from smproxy.commands.output import OK, CommandError, ReaderGone, note
from smproxy.commands.parser import CommandParser


class CommandModule(Protocol):
    """What a module of a command has."""

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None:
        """Add the command's arguments."""

    def run(self, arguments: argparse.Namespace, /) -> int:
        """Run the command; return its exit code."""


class Command(NamedTuple):
    """One command, as ``smproxy --help`` lists it."""

    name: str
    help: str
    description: str

    @property
    def module(self) -> CommandModule:
        """The command's module."""
        package = "smproxy" if self.name == "serve" else "smproxy.commands"
        return cast(CommandModule, importlib.import_module(f"{package}.{self.name}"))


COMMANDS = (
    Command(
        "serve",
        "run the stream manager",
        "Run the stream manager until Ctrl-C. Every option can also be set as SMPROXY_… in the environment, "
        "for instance SMPROXY_PORT=5081.",
    ),
    Command("wait", "block until a stream manager is ready", "Block until a stream manager is ready."),
    Command(
        "stop",
        "end one that was left running",
        "End a stream manager that `smproxy serve --detach` left running, or that has a pid file, and wait for it.",
    ),
    Command(
        "config",
        "print a configuration file with every option, or check one",
        "Print smproxy.toml with every option, its default and what it does; or check a file.",
    ),
    Command(
        "doctor",
        "say what works on this machine, and what to do",
        "Look at ports, candidates, codecs, browsers and the programs that some things need: what works, and what to do.",
    ),
    Command(
        "completion",
        "print a script that completes commands in a shell",
        "Print a script that completes commands and options in bash, zsh or fish.",
    ),
    Command(
        "cluster",
        "run several nodes on this machine",
        "Run a NATS server, managers and origins as processes of this machine, to try a cluster, until Ctrl-C.",
    ),
    Command("publish", "publish a test pattern or a file", "Publish to a stream manager, as the SDK does."),
    Command(
        "subscribe",
        "watch a stream and count what comes",
        "Subscribe at a stream manager, as the SDK does, and show what comes each second.",
    ),
    Command(
        "load",
        "publish and watch many streams at a time",
        "Start many publishers and subscribers, here or at another server, and report what became of them.",
    ),
    Command(
        "listen",
        "show hooks as they come",
        "Receive hooks and print them, or print what comes on a webhook socket.",
    ),
    Command(
        "hooks",
        "list, send again and trigger hooks",
        "Look at the hook journal of an instance, and have a running one send events.",
    ),
    Command(
        "faults",
        "list faults, switch them on and off",
        "Look at the faults of a running instance, and switch them on and off.",
    ),
    Command(
        "reset",
        "end and forget everything, for the next test",
        "End every session of a running instance and forget sessions, hooks and faults.",
    ),
    Command(
        "nodes",
        "list, add, drain and lose nodes",
        "Look at the nodes of a running instance, and add, drain, lose and end simulated ones.",
    ),
    Command(
        "sessions",
        "list, show and export sessions",
        "Look at the sessions of a running instance, and export what was said in one.",
    ),
    Command(
        "capture",
        "write the packets of a session for Wireshark",
        "Write the packets of a session, decrypted, to a file that Wireshark opens.",
    ),
    Command(
        "replay",
        "play a recorded client again",
        "Play the client of an exported session against a server, and report the first difference.",
    ),
    Command(
        "token",
        "make a token for a server with authentication",
        "Make a token that a stream manager with --auth takes, or one that it must refuse.",
    ),
    Command(
        "check",
        "check a WHIP or WHEP server against the standards",
        "Check every requirement of WHIP (RFC 9725) or WHEP against a server, this one or any other.",
    ),
)


def make_parser(commands: Sequence[Command] = COMMANDS) -> CommandParser:
    """Make the parser of these commands, whose modules it imports."""
    parser = CommandParser(
        prog="smproxy", description="A local WebRTC stream manager: signaling proxy, origin and lifecycle hooks."
    )
    parser.set_defaults(make_parser=make_parser)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument(
        "--config",
        dest="config_file",
        metavar="FILE",
        help="smproxy.toml, which says what serve does and where the other commands find it",
    )
    of_commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in commands:
        of_command = of_commands.add_parser(command.name, help=command.help, description=command.description)
        module = command.module
        module.add_arguments(of_command)
        of_command.set_defaults(run=module.run, command=f"smproxy {command.name}")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 2 for unusable arguments, 1 when it failed."""
    argv = sys.argv[1:] if argv is None else argv
    called = [command for command in COMMANDS if list(argv[:1]) == [command.name]]
    # Of twenty commands one is called: the others are imported only to list them all, or to find it behind an option.
    arguments = make_parser(called or COMMANDS).parse_args(argv)
    try:
        apply_config(arguments, os.environ)
        code: int = arguments.run(arguments)
    except ReaderGone:
        return OK
    except CommandError as error:
        note(arguments.command, str(error))
        return error.code
    return code


if __name__ == "__main__":
    sys.exit(main())
