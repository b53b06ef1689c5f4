"""``smproxy subscribe``: one or more subscribers for the command line."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smproxy.commands.arguments import add_client_token, add_connection_arguments, seconds, whole_number
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
from smproxy.testing.errors import SubscribeError
from smproxy.testing.subscriber_watching import Watching

if TYPE_CHECKING:
    from smproxy.testing.subscriber import Subscriber

#: What to do about a refusal, by its code.
_ADVICE = {
    "NetConnection.Connect.Rejected": "check --username, --password, --token, --customer-scope and --host",
    "NetConnection.Connect.Failed": "check that the origin is running and that --host names it",
    "Subscribe.InvalidName": "publish it first, and check the name and --app",
    "HTTP 401": "give the bearer token with --token",
    "HTTP 404": "check the path of the URL; a stream manager's is /streammanager, and /live/whep/endpoint/NAME for --whep",
    "HTTP 409": "publish the stream first",
}

#: Subscribers of one process.
_MOST = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``smproxy subscribe``."""
    add_target_arguments(parser, needed="with a URL")
    parser.add_argument("--whep", metavar="URL", help="watch over WHEP, at this http or https endpoint of any server")
    add_client_token(parser)
    add_connection_arguments(parser)
    parser.add_argument("--host", metavar="ADDRESS", help="the origin to subscribe at; by default the least loaded")
    parser.add_argument("--app", metavar="SCOPE", help="the application on the origin, for instance live")
    parser.add_argument(
        "-n", "--count", metavar="COUNT", type=whole_number(1, _MOST), default=1, help="so many subscribers (default 1)"
    )
    parser.add_argument("--no-decode", action="store_true", help="count what comes without decoding it")
    parser.add_argument("--no-data-channel", action="store_true", help="stay on the WebSocket")
    parser.add_argument("--sdk", type=int, choices=(7, 11), default=11, help="behave like this SDK (default 11)")
    parser.add_argument("--snapshot", metavar="FILE.png", type=Path, help="write the last picture to a file at the end")
    parser.add_argument("--duration", metavar="SECONDS", type=seconds, help="stop after this time; else at Ctrl-C")
    parser.add_argument("--insecure", action="store_true", help="do not verify the certificate of a wss server")
    parser.add_argument("--json", action="store_true", help="write one JSON object a line instead of text")


def run(args: argparse.Namespace) -> int:
    """Watch until the duration is over, Ctrl-C, or all streams have ended.

    Returns 0 when the stream was watched and left by us, 1 when one was refused, failed, ended too soon or brought no media, 2
    for unusable arguments.
    """
    output = SubscribeOutput(as_json=args.json)
    try:
        base, stream, params = _target(args)
        context = trust(args.insecure, base)
        if args.snapshot is not None and args.no_decode:
            raise UsageError("--snapshot needs pictures, which --no-decode leaves out")
        if args.snapshot is not None and not os.path.isdir(args.snapshot.absolute().parent):
            raise UsageError(f"--snapshot {args.snapshot}: there is no such directory")
        from smproxy.testing.subscriber import Subscriber  # late: aiortc takes a third of a second to import

        watched = [
            Watching(
                Subscriber,
                base,
                stream=stream,
                params=params,
                sdk=args.sdk,
                data_channel=args.whep is None and not args.no_data_channel,
                transport="websocket" if args.whep is None else "whep",
                token=args.token,
                decode=not args.no_decode,
                ssl=context,
                timeout=10.0 + args.count / 5,
            )
            for _ in range(args.count)
        ]
        return asyncio.run(_watch(watched, args.duration, args.snapshot, output))
    except ValueError as error:
        output.error(str(error))
        return USAGE


def _target(args: argparse.Namespace) -> tuple[str, str, dict[str, str]]:
    """Return what to dial, the stream's name, and the parameters.

    Options win over what the URL has.
    """
    if args.whep is not None:
        if args.target is not None:
            raise UsageError("give a URL or name, or --whep, not both")
        base, name = read_endpoint("--whep", args.whep)
        params: dict[str, str] = {}
        _override(params, args)
        return base, args.stream or name or "stream", params
    parts, params, given_name = read_target(args)
    if not given_name:
        raise UsageError("the stream has no name: give NAME, or --stream NAME beside a URL")
    params.pop("id", None)
    _override(params, args)
    return base_url(parts), given_name, params


def _override(params: dict[str, str], args: argparse.Namespace) -> None:
    given = {
        "username": args.username,
        "password": args.password,
        "customerScope": args.customer_scope,
        "host": args.host,
        "app": args.app,
    }
    override(params, given)


async def _watch(
    watched: Sequence[Watching], duration: float | None, snapshot: Path | None, output: SubscribeOutput
) -> int:
    subscribers = [each.subscriber for each in watched]
    with stopped_by_signals() as stopping:
        try:
            refused = await unless_stopped(_start(subscribers), stopping)
            for error in dict.fromkeys(explain(each, _ADVICE) for each in refused):
                output.error(error)
            live = [each for each in watched if not each.subscriber.closed.is_set()]
            if not live:
                return FAILED
            output.live([each.subscriber for each in live])
            await until_over(
                _all_ended([each.subscriber for each in live]),
                stopping,
                duration,
                lambda passed: output.progress(watched, passed),
            )
            problems = [problem for each in live if (problem := each.problem(duration is not None)) is not None]
            for problem in dict.fromkeys(problems):
                output.error(problem)
            if snapshot is not None:
                problems += output.snapshot(snapshot, [each.subscriber for each in live])
            await asyncio.gather(*(each.close() for each in subscribers))
            output.summary(watched)
            return FAILED if refused or problems else OK
        except StoppedEarly as stopped:
            output.error(str(stopped))
            return FAILED
        finally:
            await asyncio.gather(*(each.close() for each in subscribers))


async def _start(subscribers: Sequence[Subscriber]) -> list[SubscribeError]:
    """Start all at once; return what went wrong."""
    results = await asyncio.gather(*(each.subscribe() for each in subscribers), return_exceptions=True)
    errors = []
    for result in results:
        if isinstance(result, SubscribeError):
            errors.append(result)
        elif isinstance(result, BaseException):
            raise result
    return errors


async def _all_ended(subscribers: Sequence[Subscriber]) -> None:
    for subscriber in subscribers:
        await subscriber.closed.wait()


class SubscribeOutput(Lines):
    """The output about the subscribers."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__("subscribe", as_json=as_json)

    def live(self, subscribers: Sequence[Subscriber]) -> None:
        slowest = max(each.subscribe_ms or 0.0 for each in subscribers)
        stream, count = subscribers[0].stream, len(subscribers)
        record = {"event": "live", "stream": stream, "subscribers": count, "subscribeMs": slowest}
        who = f"{count} subscribers live" if count > 1 else "live"
        self.write(record, f"{who} after {slowest:.0f} ms")

    def progress(self, watched: Sequence[Watching], passed: float) -> None:
        records = [each.look(passed) for each in watched]
        record = {"event": "progress", "seconds": round(passed, 1), "subscribers": records}
        alive = sum(each["state"] == "live" for each in records)
        state = f"{alive} of {len(records)} live" if len(records) > 1 else records[0]["state"]
        rate = sum(each["bitrate"] for each in records) / 1000
        lost = sum(each["lost"] for each in records)
        frames = sum(each["frames"] for each in records)
        numbers = [each["number"] for each in records if each.get("number") is not None]
        text = f"{state} {passed:.0f} s, {frames} frames{_size(records)}, {rate:.0f} kbit/s, {lost} packets lost"
        if numbers:
            text += f", picture {max(numbers)}"
        self.write(record, text, transient=True)

    def summary(self, watched: Sequence[Watching]) -> None:
        records = [each.sum() for each in watched]
        record = {"event": "end", "stream": watched[0].subscriber.stream, "subscribers": records}
        frames = sum(each["frames"] for each in records)
        octets = sum(each["bytes"] for each in records)
        lost = sum(each["lost"] for each in records)
        if len(records) > 1:
            who = f"{len(records)} subscribers: "
        elif watched[0].subscriber.unpublished.is_set():
            who = "unpublished: "
        else:
            who = f"ended by the {records[0]['endedBy']}: "
        text = f"{who}{frames} frames{_size(records)}, {octets / 1000:.0f} kB, {lost} packets lost"
        delays = [each["latency"] for each in records if each.get("latency")]
        if delays:
            worst = max(delays, key=lambda each: float(each["p95"]))
            text += f", from painted to seen {worst['p50'] * 1000:.0f} ms, 95 % within {worst['p95'] * 1000:.0f} ms"
        counted = [each["numbers"] for each in records if "numbers" in each]
        if counted:
            missing = sum(each["missing"] for each in counted)
            repeated = sum(each["backwards"] for each in counted)
            text += f"; of the numbered pictures {missing} missing, {repeated} out of order"
        self.write(record, text)

    def snapshot(self, path: Path, subscribers: Sequence[Subscriber]) -> list[str]:
        """Write the last picture; return what went wrong."""
        try:
            path.write_bytes(subscribers[0].picture_png())
        except (SubscribeError, OSError) as error:
            problem = f"--snapshot {path}: {getattr(error, 'strerror', None) or error}"
            self.error(problem)
            return [problem]
        return []


def _size(records: Sequence[dict[str, Any]]) -> str:
    sizes = sorted({each["size"] for each in records if each["size"]})
    return f" of {', '.join(sizes)}" if sizes else ""
