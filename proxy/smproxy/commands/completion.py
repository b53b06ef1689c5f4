"""``smproxy completion``: print a script that completes commands and options in a shell."""

from __future__ import annotations

import argparse

from smproxy.commands.output import OK, CommandError, write_bytes

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``smproxy completion``."""
    parser.add_argument("shell", choices=SHELLS, help="the shell")


def run(arguments: argparse.Namespace) -> int:
    """Print the script.

    Raises:
        CommandError: what makes it is not installed.
    """
    try:
        import shtab
    except ImportError:
        raise CommandError("it needs shtab: pip install 'stream-manager-proxy[completion]'") from None
    parser: argparse.ArgumentParser = arguments.make_parser()
    write_bytes(shtab.complete(parser, arguments.shell).encode())
    return OK
