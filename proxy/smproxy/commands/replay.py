"""``smproxy replay``: plays an exported client again and reports the first difference."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from smproxy.commands.arguments import PLACES, NotGiven, seconds, secret
from smproxy.commands.output import FAILED, OK, USAGE, CommandError, write
from smproxy.commands.peer_support import DEFAULT_URL, UsageError, trust
from smproxy.urls import read_url

COMMAND = "smproxy replay"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``smproxy replay``."""
    parser.add_argument("file", type=Path, metavar="FILE", help="what `smproxy sessions export` wrote")
    parser.add_argument(
        "url", nargs="?", default=NotGiven(DEFAULT_URL), metavar="URL", help=f"the server (default {DEFAULT_URL})"
    )
    parser.add_argument(
        "--password",
        type=secret,
        metavar="WORD",
        help=f"connection parameter password, which is never recorded, {PLACES}; or SMPROXY_REPLAY_PASSWORD",
    )
    parser.add_argument(
        "--param", action="append", default=[], metavar="KEY=VALUE",
        help="another value for a recorded parameter, for instance token=…; host= leaves it out; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--sdp", choices=("auto", "recorded", "live"), default="auto",
        help="send the recorded offers and answers, or those of a real peer connection; "
        "auto: a real one if media came up in the transcript",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=seconds, default=10.0, metavar="S", help="seconds to wait for each frame (default 10)"
    )
    parser.add_argument("--insecure", action="store_true", help="take any certificate of a wss:// server")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Play a session again.

    Returns 0 when all was as recorded; 1 at a difference; 2 for unusable arguments.
    """
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return FAILED


def _run(arguments: argparse.Namespace) -> int:
    # Imported here because aiortc takes a third of a second, which --help need not pay.
    from smproxy.testing.errors import StreamError
    from smproxy.testing.http_replay import HttpReplay
    from smproxy.testing.replay import Replay
    from smproxy.testing.session_transcript import SessionTranscript, TranscriptError

    given = _parameters(arguments)
    try:
        read_url(arguments.url, "ws", "wss", "http", "https")
    except ValueError as error:
        raise CommandError(f"the URL cannot be used: {error}: write for instance {DEFAULT_URL}", USAGE) from None
    try:
        transcript = SessionTranscript.read(arguments.file)
        url = transcript.url(_place(arguments.url, http=transcript.over_http), given)
    except TranscriptError as error:
        raise CommandError(str(error), USAGE) from None
    media = {"auto": None, "recorded": False, "live": True}[arguments.sdp]
    try:
        context = trust(arguments.insecure, arguments.url)
    except UsageError as error:
        raise CommandError(str(error), USAGE) from None
    replay = (
        HttpReplay(transcript, url, timeout=arguments.timeout, ssl=context)
        if transcript.over_http
        else Replay(transcript, url, media=media, timeout=arguments.timeout, ssl=context)
    )
    try:
        outcome = asyncio.run(replay.run())
    except (StreamError, TranscriptError) as error:
        raise CommandError(str(error)) from None
    if arguments.json:
        counts = {"sent": outcome.sent, "compared": outcome.compared, "skipped": outcome.skipped}
        write(
            json.dumps(
                {
                    "same": outcome.difference is None,
                    "difference": outcome.difference and str(outcome.difference),
                    **counts,
                }
            )
        )
        return OK if outcome.difference is None else FAILED
    if outcome.difference is not None:
        write(f"different: {outcome.difference}")
        return FAILED
    played = f"{outcome.sent} frames sent, {outcome.compared} of the server compared"
    write(f"same: {played}" + (f"; not played {outcome.skipped}" if outcome.skipped else ""))
    return OK


def _place(url: str, *, http: bool) -> str:
    """Return the server to play against, with the scheme that the transcript needs.

    Raises:
        CommandError: a transcript of a WebSocket is to be played over HTTP.
    """
    parts = urlsplit(url)
    if http and parts.scheme in ("ws", "wss"):  # the stream manager, whose endpoint the transcript names
        return urlunsplit(({"ws": "http", "wss": "https"}[parts.scheme], parts.netloc, "", parts.query, ""))
    if not http and parts.scheme in ("http", "https"):
        raise CommandError(f"this transcript is of a WebSocket: write for instance {DEFAULT_URL}", USAGE)
    return url


def _parameters(arguments: argparse.Namespace) -> dict[str, str]:
    given: dict[str, str] = {}
    for pair in arguments.param:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise CommandError(f"--param {pair!r}: it takes KEY=VALUE", USAGE)
        given[key] = value
    password = arguments.password or os.environ.get("SMPROXY_REPLAY_PASSWORD")
    return given | ({"password": password} if password else {})
