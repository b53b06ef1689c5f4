"""Arguments that several commands have, and their types."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from smproxy.commands.api import DEFAULT_URL
from smproxy.commands.output import OK
from smproxy.urls import host_name

#: Runs one of several commands, and returns its exit code, unless that is 0.
Act = Callable[[argparse.Namespace], int | None]

#: What the commands of a group are added to.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

#: How a secret is given, for help.
PLACES = "or env:NAME, file:PATH, - for a line of stdin"

#: Where an instance keeps its files unless it is told otherwise.
DEFAULT_DATA_DIR = Path(".smproxy")

#: Characters of a secret.
MAX_SECRET = 10_000


class NotGiven(str):
    """A default, which the file of ``--config`` may replace."""

    __slots__ = ()


def seconds(text: str) -> float:
    """Read a number of seconds above 0.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Make a reader of whole numbers.

    It raises ``argparse.ArgumentTypeError`` for what is none within the bounds.
    """

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return read


def host(text: str) -> str:
    """Read an address of this machine; raises ``argparse.ArgumentTypeError``."""
    try:
        return host_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def session_number(text: str) -> int:
    """Read the number of a session; raises ``argparse.ArgumentTypeError``."""
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a session")
    return int(text)


def secret(text: str) -> str:
    """Read a secret, or where it is, so that lists of processes do not show it.

    ``env:NAME``: a variable of the environment; ``file:PATH``: the first line of a file; ``-``: a line of standard input.
    Raises ``argparse.ArgumentTypeError``.
    """
    place, _, name = text.partition(":")
    if text != "-" and (place not in ("env", "file") or not name):
        return text
    try:
        if place == "env":
            found = os.environ.get(name, "")
        elif place == "file":
            with open(name, encoding="utf-8") as file:
                found = file.readline(MAX_SECRET)
        else:
            found = sys.stdin.readline(MAX_SECRET)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text}: {getattr(error, 'strerror', None) or 'it is no text'}") from None
    if not (found := found.rstrip("\r\n")):
        raise argparse.ArgumentTypeError(f"{text}: there is nothing in it")
    return found


def add_connection_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for connection parameters that every client has."""
    parser.add_argument("--username", metavar="NAME", help="connection parameter username")
    parser.add_argument("--password", type=secret, metavar="WORD", help=f"connection parameter password, {PLACES}")
    parser.add_argument("--customer-scope", metavar="SCOPE", help="connection parameter customerScope")


def add_client_token(parser: argparse.ArgumentParser) -> None:
    """Add the option for the token of a client."""
    parser.add_argument(
        "--token", type=secret, metavar="TOKEN", help=f"token for the server's authentication, {PLACES}"
    )


def add_instance_arguments(parser: argparse.ArgumentParser, *, as_json: str | None = None) -> None:
    """Add the options that say which running instance is meant.

    ``as_json`` is the help of ``--json``.
    """
    parser.set_defaults(asks_instance=True)
    parser.add_argument(
        "--url", default=NotGiven(DEFAULT_URL), metavar="URL", help=f"the running instance (default {DEFAULT_URL})"
    )
    parser.add_argument(
        "--token", type=secret, metavar="TOKEN", help=f"its admin token, {PLACES}; or SMPROXY_ADMIN_TOKEN"
    )
    if as_json is not None:
        parser.add_argument("--json", action="store_true", help=as_json)


def add_session_argument(parser: argparse.ArgumentParser) -> None:
    """Add the argument that says which session is meant."""
    parser.add_argument(
        "session", type=session_number, nargs="?", metavar="SESSION", help="its number (default: the newest)"
    )


def add_waiting_arguments(parser: argparse.ArgumentParser, timeout: float) -> None:
    """Add the options of a command that waits for something."""
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=timeout,
        metavar="SECONDS",
        help=f"give up after this time (default {timeout:g})",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_commands(parser: argparse.ArgumentParser) -> Commands:
    """Have a command that is a group of commands, of which one is given."""
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def add_command(commands: Commands, name: str, act: Act, help: str, description: str) -> argparse.ArgumentParser:
    """Add a command to a group, and return the parser of its arguments.

    ``act`` runs it; ``help`` is its line in the help of the group.
    """
    parser = commands.add_parser(name, help=help, description=description)
    parser.set_defaults(act=act)
    return parser


def run_chosen(arguments: argparse.Namespace) -> int:
    """Run the one of several commands that was given, and return its exit code."""
    act: Act = arguments.act
    return act(arguments) or OK
