"""Write lines to stdout and stderr, without an error when the reader is gone."""

from __future__ import annotations

import json
import os
import sys

from smproxy.printable import printable

OK, FAILED, USAGE = 0, 1, 2


class CommandError(Exception):
    """A command failed: one line for the user, and the exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


class ReaderGone(Exception):
    """The reader of stdout has left, as ``head`` does."""


def coloured(text: str, colour: str) -> str:
    """Return a text in a colour (ECMA-48) on a terminal that has some, else as it is."""
    plain = not sys.stdout.isatty() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return text if plain else f"\x1b[{colour}m{text}\x1b[0m"


def write(line: str, *, before: str = "") -> None:
    """Write one line to stdout at once; control characters in it are shown.

    ``before`` is written in front, as it is.

    Raises:
        ReaderGone: nobody reads it.
    """
    encoding = sys.stdout.encoding or "utf-8"
    try:
        # A terminal that cannot show a character is shown its number.
        sys.stdout.write(before + printable(line).encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer would make the interpreter complain when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ReaderGone from None


def write_json(value: object) -> None:
    """Write a value as one line of JSON. Raises as :func:`write`."""
    write(json.dumps(value, separators=(",", ":")))


def write_bytes(data: bytes) -> None:
    """Write to stdout at once, as it is.

    Raises:
        ReaderGone: nobody reads it.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ReaderGone from None


def note(command: str, line: str) -> None:
    """Write one line to stderr; control characters in it are shown."""
    print(f"{command}: {printable(line)}", file=sys.stderr, flush=True)
