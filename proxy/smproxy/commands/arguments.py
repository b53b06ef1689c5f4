"""Types of arguments that several commands have."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

from smproxy.urls import host_name


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


def add_connection_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for connection parameters that every client has."""
    parser.add_argument("--username", metavar="NAME", help="connection parameter username")
    parser.add_argument("--password", metavar="WORD", help="connection parameter password")
    parser.add_argument("--customer-scope", metavar="SCOPE", help="connection parameter customerScope")


def add_instance_arguments(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the options that say which running instance is meant."""
    parser.set_defaults(asks_instance=True)
    parser.add_argument(
        "--url", default=NotGiven(default), metavar="URL", help=f"the running instance (default {default})"
    )
    parser.add_argument(
        "--token", metavar="TOKEN", help="its admin token; or SMPROXY_ADMIN_TOKEN, which ps does not show"
    )
