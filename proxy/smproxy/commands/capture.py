"""``smproxy capture``: write the packets of a session to a file that Wireshark opens."""

from __future__ import annotations

import argparse
import contextlib
import itertools
from pathlib import Path

from smproxy.commands.api import Api
from smproxy.commands.arguments import add_instance_arguments, add_session_argument, seconds
from smproxy.commands.output import OK, USAGE, CommandError, note, write_bytes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_session_argument(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="where to (default: session-N.pcapng; - for stdout)")
    parser.add_argument(
        "--seconds",
        type=seconds,
        metavar="S",
        help="go on for so long, or until the session ends, and begin now if nothing was captured so far",
    )
    add_instance_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the capture; return 0."""
    api = Api.asked(arguments, "/api/v1/sessions")
    number = api.chosen_session(arguments.session)
    query = {"seconds": None if arguments.seconds is None else f"{arguments.seconds:g}"}
    output = arguments.output or f"session-{number}.pcapng"
    content = api.chunks(number, "capture.pcapng", query=query)
    # What was refused makes no file.
    first = next(content, b"")
    if output == "-":
        for chunk in itertools.chain((first,), content):
            write_bytes(chunk)
        return OK
    size = 0
    try:
        with Path(output).open("wb") as file, contextlib.suppress(KeyboardInterrupt):
            for chunk in itertools.chain((first,), content):
                size += file.write(chunk)
                file.flush()
    except OSError as error:
        raise CommandError(f"{output} cannot be written: {(error.strerror or str(error)).lower()}", USAGE) from None
    note("smproxy capture", f"{output}: {size} bytes of session {number}")
    return OK
