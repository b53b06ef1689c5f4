"""``smproxy publish``: a publisher for the command line."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from smproxy.commands.arguments import add_client_token, add_connection_arguments, seconds
from smproxy.commands.client_run import StoppedEarly, stopped_by_signals, unless_stopped, until_over
from smproxy.commands.output import FAILED, OK, USAGE
from smproxy.commands.peer_support import (
    Lines,
    UsageError,
    add_target_arguments,
    base_url,
    explain,
    override,
    read_endpoint,
    read_target,
    trust,
)
from smproxy.testing.errors import PublishError

if TYPE_CHECKING:
    from smproxy.testing.publisher import Publisher

#: What to do about a refusal, by its code.
_ADVICE = {
    "NetConnection.Connect.Rejected": "check --username, --password, --token, --customer-scope, --meta and --host",
    "NetConnection.Connect.Failed": "check that the origin is running and that --host names it",
    "Publish.InvalidName": "choose another --stream, or end the one that is live",
    "HTTP 401": "give the bearer token with --token",
    "HTTP 404": "check the path of the URL; a stream manager's is /streammanager, and /live/whip/endpoint/NAME for --whip",
    "HTTP 409": "choose another stream, or end the one that is live",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``smproxy publish``."""
    add_target_arguments(parser, needed="with a URL that has no id=")
    parser.add_argument("--whip", metavar="URL", help="publish over WHIP, to this http or https endpoint of any server")
    add_client_token(parser)
    add_connection_arguments(parser)
    parser.add_argument("--meta", metavar="JSON", help="connection parameter meta, a JSON object")
    parser.add_argument("--recording", action="store_true", help="ask for a recording (recording=true, mode record)")
    parser.add_argument("--host", metavar="ADDRESS", help="the origin to publish to; by default the least loaded")
    parser.add_argument("--app", metavar="SCOPE", help="the application on the origin, for instance live")
    parser.add_argument("--media", metavar="FILE", type=Path, help="a file to loop instead of the test pattern")
    parser.add_argument(
        "--pattern",
        choices=("test", "counter", "clock"),
        default="test",
        help="the test picture; a counter, or a clock with a beep each second, that `smproxy subscribe` checks (default test)",
    )
    parser.add_argument("--codec", choices=("VP8", "H264"), default="VP8", help="video codec (default VP8)")
    parser.add_argument("--no-audio", action="store_true", help="send no audio")
    parser.add_argument("--no-video", action="store_true", help="send no video")
    parser.add_argument("--no-data-channel", action="store_true", help="stay on the WebSocket, as old SDKs do")
    parser.add_argument("--duration", metavar="SECONDS", type=seconds, help="stop after this time; else at Ctrl-C")
    parser.add_argument("--insecure", action="store_true", help="do not verify the certificate of a wss server")
    parser.add_argument("--json", action="store_true", help="write one JSON object a line instead of text")


def run(args: argparse.Namespace) -> int:
    """Publish until the duration is over, Ctrl-C, or the server ends it.

    Returns 0 when the stream was published and ended by us, 1 when it was refused or failed, 2 for unusable arguments.
    """
    output = PublishOutput(as_json=args.json)
    try:
        publisher = _make_publisher(args)
        return asyncio.run(_publish(publisher, args.duration, output))
    except ValueError as error:
        output.error(str(error))
        return USAGE


def _make_publisher(args: argparse.Namespace) -> Publisher:
    base, stream, params = _target(args)
    context = trust(args.insecure, base)
    if args.media is not None and not os.path.isfile(args.media):
        raise UsageError(f"--media {args.media}: no such file")
    if args.no_audio and args.no_video:
        raise UsageError("--no-audio and --no-video leave nothing to send")
    from smproxy.testing.publisher import Publisher  # late: aiortc takes a third of a second to import

    return Publisher(
        base,
        stream=stream,
        params=params,
        audio=not args.no_audio,
        video=not args.no_video,
        media=args.media,
        pattern=args.pattern,
        codec=args.codec,
        data_channel=args.whip is None and not args.no_data_channel,
        transport="websocket" if args.whip is None else "whip",
        token=args.token,
        mode="record" if params.get("recording") == "true" else "live",
        ssl=context,
    )


def _target(args: argparse.Namespace) -> tuple[str, str, dict[str, str]]:
    """Return what to dial, the stream's name, and the parameters.

    Options win over what the URL has.
    """
    params: dict[str, str] = {}
    if args.whip is not None:
        if args.target is not None:
            raise UsageError("give a URL or name, or --whip, not both")
        base, name = read_endpoint("--whip", args.whip)
        stream = args.stream or name
    else:
        parts, params, given_name = read_target(args)
        base, stream = base_url(parts), given_name or params.get("id", "")
        params.pop("id", None)
    if not stream:
        raise UsageError("the stream has no name: give NAME, or --stream NAME beside a URL")
    given = {
        "username": args.username,
        "password": args.password,
        "customerScope": args.customer_scope,
        "recording": "true" if args.recording else None,
        "meta": args.meta,
        "host": args.host,
        "app": args.app,
    }
    override(params, given)
    if args.meta is not None:
        try:
            valid = isinstance(json.loads(args.meta), dict)
        except ValueError:
            valid = False
        if not valid:
            raise UsageError('--meta must be a JSON object, for instance \'{"title":"test"}\'')
    return base, stream, params


async def _publish(publisher: Publisher, duration: float | None, output: PublishOutput) -> int:
    with stopped_by_signals() as stopping:
        try:
            await unless_stopped(publisher.publish(), stopping)
            output.live(publisher)
            for note in publisher.notes:
                output.note(note)
            await until_over(
                publisher.closed.wait(), stopping, duration, lambda passed: output.progress(publisher, passed)
            )
            if publisher.closed.is_set():
                output.error(_ended(publisher))
                output.summary(publisher)
                return FAILED
            await publisher.unpublish()
            output.summary(publisher)
            return OK
        except StoppedEarly as stopped:
            output.error(str(stopped))
            return FAILED
        except PublishError as error:
            output.error(explain(error, _ADVICE))
            return FAILED
        finally:
            await publisher.close()


def _ended(publisher: Publisher) -> str:
    if publisher.ended_by == "server":
        reason = publisher.close_reason or f"socket closed with {publisher.close_code}"
        return f"the server ended the stream: {reason}"
    return "the media connection was lost"


class PublishOutput(Lines):
    """The output about one publisher."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__("publish", as_json=as_json)

    def live(self, publisher: Publisher) -> None:
        ms = publisher.publish_ms or 0.0
        self.write({"event": "live", "stream": publisher.stream, "publishMs": ms}, f"live after {ms:.0f} ms")

    def note(self, text: str) -> None:
        self.write({"event": "note", "text": text}, f"note: {text}")

    def progress(self, publisher: Publisher, passed: float) -> None:
        packets, octets = _totals(publisher)
        channel = "data channel" if publisher.switched else "socket"
        where = f"signaling on the {channel}"
        if publisher.transport == "whip":
            channel, where = "whip", "over WHIP"
        record = {
            "event": "progress",
            "state": publisher.state,
            "seconds": round(passed, 1),
            "bytes": octets,
            "packets": packets,
            "signaling": channel,
        }
        text = f"{publisher.state} {passed:.0f} s, {octets / 1000:.0f} kB, {packets} packets, {where}"
        self.write(record, text, transient=True)

    def summary(self, publisher: Publisher) -> None:
        packets, octets = _totals(publisher)
        record = {
            "event": "end",
            "stream": publisher.stream,
            "endedBy": publisher.ended_by,
            "bytes": octets,
            "packets": packets,
            "tracks": {kind: {"packets": c.packets, "bytes": c.bytes} for kind, c in publisher.statistics.items()},
        }
        self.write(record, f"ended by the {publisher.ended_by}: {octets / 1000:.0f} kB in {packets} packets sent")


def _totals(publisher: Publisher) -> tuple[int, int]:
    counts = publisher.statistics.values()
    return sum(count.packets for count in counts), sum(count.bytes for count in counts)
