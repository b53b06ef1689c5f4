"""``smproxy capture``: write the packets of a session to a file that Wireshark opens."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
from pathlib import Path

from smproxy.commands.api import DEFAULT_URL, Api
from smproxy.commands.arguments import add_instance_arguments, seconds, session_number
from smproxy.commands.output import OK, USAGE, CommandError, note, write_bytes
from smproxy.manager.views import SessionList


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "session", type=session_number, nargs="?", metavar="SESSION", help="its number (default: the newest)"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="where to (default: session-N.pcapng; - for stdout)")
    parser.add_argument(
        "--seconds",
        type=seconds,
        metavar="S",
        help="go on for so long, or until the session ends, and begin now if nothing was captured so far",
    )
    add_instance_arguments(parser, DEFAULT_URL)


def run(arguments: argparse.Namespace) -> int:
    """Write the capture; return 0."""
    token = arguments.token or os.environ.get("SMPROXY_ADMIN_TOKEN") or None
    api = Api(arguments.url, token, "/api/v1/sessions")
    number = arguments.session
    if number is None:
        newest = api.call("GET", shape=SessionList, query={"limit": "1"})["sessions"]
        if not newest:
            raise CommandError("there is no session yet")
        number = newest[0]["session"]
    query = {"seconds": None if arguments.seconds is None else f"{arguments.seconds:g}"}
    output = arguments.output or f"session-{number}.pcapng"
    content = api.chunks(str(number), "capture.pcapng", query=query)
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
