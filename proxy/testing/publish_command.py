"""``smproxy publish``: a publisher for the command line."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import ssl
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from proxy.testing.errors import PublishError, PublishRejected

if TYPE_CHECKING:
    from proxy.testing.publisher import Publisher

DEFAULT_URL = "ws://localhost:5080/streammanager"

OK, FAILED, USAGE = 0, 1, 2

#: What to do about a refusal, by its code.
_ADVICE = {
    "NetConnection.Connect.Rejected": "check --username, --password, --customer-scope, --meta and --host",
    "NetConnection.Connect.Failed": "check that the origin is running and that --host names it",
    "Publish.InvalidName": "choose another --stream, or end the one that is live",
    "HTTP 404": "check the path of the URL; a stream manager's is /streammanager",
}


class UsageError(ValueError):
    """The arguments cannot be used."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``smproxy publish``."""
    parser.add_argument(
        "url",
        nargs="?",
        default=DEFAULT_URL,
        metavar="URL",
        help=f"the stream manager or origin, or the full URL that a page opened (default {DEFAULT_URL})",
    )
    parser.add_argument("--stream", metavar="NAME", help="name of the stream; needed unless the URL has id=")
    parser.add_argument("--username", metavar="NAME", help="connection parameter username")
    parser.add_argument("--password", metavar="WORD", help="connection parameter password")
    parser.add_argument("--customer-scope", metavar="SCOPE", help="connection parameter customerScope")
    parser.add_argument("--meta", metavar="JSON", help="connection parameter meta, a JSON object")
    parser.add_argument("--recording", action="store_true", help="ask for a recording (recording=true, mode record)")
    parser.add_argument("--host", metavar="ADDRESS", help="the origin to publish to; by default the least loaded")
    parser.add_argument("--app", metavar="SCOPE", help="the application on the origin, for instance live")
    parser.add_argument("--media", metavar="FILE", type=Path, help="a file to loop instead of the test pattern")
    parser.add_argument("--codec", choices=("VP8", "H264"), default="VP8", help="video codec (default VP8)")
    parser.add_argument("--no-audio", action="store_true", help="send no audio")
    parser.add_argument("--no-video", action="store_true", help="send no video")
    parser.add_argument("--no-data-channel", action="store_true", help="stay on the WebSocket, as old SDKs do")
    parser.add_argument("--duration", metavar="SECONDS", type=_seconds, help="stop after this time; else at Ctrl-C")
    parser.add_argument("--insecure", action="store_true", help="do not verify the certificate of a wss server")
    parser.add_argument("--json", action="store_true", help="write one JSON object a line instead of text")


def run(args: argparse.Namespace) -> int:
    """Publish until the duration is over, Ctrl-C, or the server ends it.

    Returns 0 when the stream was published and ended by us, 1 when it was refused or failed, 2 for unusable arguments.
    """
    output = _Output(as_json=args.json)
    try:
        publisher = _make_publisher(args)
    except ValueError as error:
        output.error(str(error))
        return USAGE
    return asyncio.run(_publish(publisher, args.duration, output))


def _make_publisher(args: argparse.Namespace) -> Publisher:
    base, stream, params = _target(args)
    context: ssl.SSLContext | None = None
    if args.insecure:
        if urlsplit(base).scheme != "wss":
            raise UsageError("--insecure is for wss URLs")
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if args.media is not None and not args.media.is_file():
        raise UsageError(f"--media {args.media}: no such file")
    if args.no_audio and args.no_video:
        raise UsageError("--no-audio and --no-video leave nothing to send")
    from proxy.testing.publisher import Publisher  # late: aiortc takes a third of a second to import

    return Publisher(
        base,
        stream=stream,
        params=params,
        audio=not args.no_audio,
        video=not args.no_video,
        media=args.media,
        codec=args.codec,
        data_channel=not args.no_data_channel,
        mode="record" if params.get("recording") == "true" else "live",
        ssl=context,
    )


def _target(args: argparse.Namespace) -> tuple[str, str, dict[str, str]]:
    """Take the URL apart: what to dial, the stream's name, and the parameters with the options over those of the URL."""
    parts = urlsplit(args.url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise UsageError("the URL must start with ws:// or wss://, for instance " + DEFAULT_URL)
    params = dict(parse_qsl(parts.query.replace("+", "%2B"), keep_blank_values=True))
    name = params.pop("id", None)
    stream = args.stream or name
    if not stream:
        raise UsageError("--stream NAME is missing")
    given = {
        "username": args.username,
        "password": args.password,
        "customerScope": args.customer_scope,
        "recording": "true" if args.recording else None,
        "meta": args.meta,
        "host": args.host,
        "app": args.app,
    }
    for key, value in given.items():
        if value is not None:
            for same in [k for k in params if k.lower() == key.lower()]:
                del params[same]
            params[key] = value
    if args.meta is not None:
        try:
            valid = isinstance(json.loads(args.meta), dict)
        except ValueError:
            valid = False
        if not valid:
            raise UsageError('--meta must be a JSON object, for instance \'{"title":"test"}\'')
    path = parts.path if unquote(parts.path).strip("/") else "/streammanager"
    return urlunsplit((parts.scheme, parts.netloc, path, "", "")), stream, params


async def _publish(publisher: Publisher, duration: float | None, output: _Output) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    stopping = asyncio.ensure_future(stop.wait())
    publishing = asyncio.ensure_future(publisher.publish())
    try:
        await asyncio.wait((publishing, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not publishing.done():
            publishing.cancel()
            await asyncio.wait((publishing,))
            output.error("stopped before the stream was live")
            return FAILED
        publishing.result()
        output.live(publisher)
        await _watch(publisher, duration, stopping, output)
        if publisher.closed.is_set():
            output.error(_ended(publisher))
            output.summary(publisher)
            return FAILED
        await publisher.unpublish()
        output.summary(publisher)
        return OK
    except PublishError as error:
        output.error(_explain(error))
        return FAILED
    finally:
        stopping.cancel()
        await publisher.close()
        for number in signals:
            loop.remove_signal_handler(number)


async def _watch(publisher: Publisher, duration: float | None, stopping: asyncio.Future[Any], output: _Output) -> None:
    """Show the progress each second until the duration is over, a signal comes, or the stream ends."""
    closed = asyncio.ensure_future(publisher.closed.wait())
    started = time.monotonic()
    try:
        while True:
            left = 1.0 if duration is None else min(1.0, started + duration - time.monotonic())
            if left <= 0:
                return
            done, _ = await asyncio.wait((closed, stopping), timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if done:
                return
            output.progress(publisher, time.monotonic() - started)
    finally:
        closed.cancel()


def _explain(error: PublishError) -> str:
    if isinstance(error, PublishRejected):
        said = f"refused with {error}"
        advice = _ADVICE.get(error.code)
    else:
        said = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in said:
            advice = "use --insecure for a self-signed certificate"
        elif said.startswith("cannot connect"):
            advice = "start it with `smproxy serve`, or check the URL"
        else:
            advice = None
    return f"{said}; {advice}" if advice else said


def _ended(publisher: Publisher) -> str:
    if publisher.ended_by == "server":
        reason = publisher.close_reason or f"socket closed with {publisher.close_code}"
        return f"the server ended the stream: {reason}"
    return "the media connection was lost"


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


class _Output:
    """Writes progress to stdout and errors to stderr; on a terminal the progress stays on one line."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json
        self._live_line = not as_json and sys.stdout.isatty()
        self._open_line = False

    def live(self, publisher: Publisher) -> None:
        ms = publisher.publish_ms or 0.0
        self._write({"event": "live", "stream": publisher.stream, "publish_ms": ms}, f"live after {ms:.0f} ms")

    def progress(self, publisher: Publisher, seconds: float) -> None:
        packets, octets = _totals(publisher)
        channel = "data channel" if publisher.switched else "socket"
        record = {
            "event": "progress",
            "state": publisher.state,
            "seconds": round(seconds, 1),
            "bytes": octets,
            "packets": packets,
            "signaling": channel,
        }
        text = (
            f"{publisher.state} {seconds:.0f} s, {octets / 1000:.0f} kB, {packets} packets, signaling on the {channel}"
        )
        self._write(record, text, transient=True)

    def summary(self, publisher: Publisher) -> None:
        packets, octets = _totals(publisher)
        record = {
            "event": "end",
            "stream": publisher.stream,
            "ended_by": publisher.ended_by,
            "bytes": octets,
            "packets": packets,
            "tracks": {kind: {"packets": c.packets, "bytes": c.bytes} for kind, c in publisher.statistics.items()},
        }
        self._write(record, f"ended by the {publisher.ended_by}: {octets / 1000:.0f} kB in {packets} packets sent")

    def error(self, text: str) -> None:
        self._end_line()
        if self._json:
            print(json.dumps({"event": "error", "message": text}), flush=True)
        print(f"smproxy publish: {text}", file=sys.stderr, flush=True)

    def _write(self, record: dict[str, Any], text: str, *, transient: bool = False) -> None:
        if self._json:
            print(json.dumps(record), flush=True)
        elif transient and self._live_line:
            sys.stdout.write(f"\r\x1b[K{text}")
            sys.stdout.flush()
            self._open_line = True
        else:
            self._end_line()
            print(text, flush=True)

    def _end_line(self) -> None:
        if self._open_line:
            sys.stdout.write("\n")
            self._open_line = False


def _totals(publisher: Publisher) -> tuple[int, int]:
    counts = publisher.statistics.values()
    return sum(count.packets for count in counts), sum(count.bytes for count in counts)
