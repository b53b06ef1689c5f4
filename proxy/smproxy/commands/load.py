"""``smproxy load``: many publishers and subscribers, against this or another server."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from smproxy.commands.arguments import NotGiven, add_client_token, add_connection_arguments, seconds, whole_number
from smproxy.commands.client_run import StoppedEarly, stopped_by_signals, unless_stopped, until_over
from smproxy.commands.output import FAILED, OK, USAGE
from smproxy.commands.peer_support import (
    DEFAULT_URL,
    Lines,
    UsageError,
    base_url,
    override,
    read_endpoint,
    split_url,
    trust,
)
from smproxy.testing.hook_order import HookOrder
from smproxy.testing.load import LoadPlan, LoadReport, LoadRun, RoleCount

if TYPE_CHECKING:
    from smproxy.testing.publisher import Publisher
    from smproxy.testing.subscriber import Subscriber
    from smproxy.testing.webhook_receiver import ReceivedHook

#: Stands for a stream's name in an endpoint.
_PLACE = "{stream}"
_MOST = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``smproxy load``."""
    parser.add_argument(
        "url",
        nargs="?",
        default=NotGiven(DEFAULT_URL),
        metavar="URL",
        help=f"the stream manager (default {DEFAULT_URL})",
    )
    endpoint = f"endpoint of any server, with {_PLACE} where the name goes"
    parser.add_argument("--whip", metavar="URL", help=f"publish over WHIP, to this {endpoint}")
    parser.add_argument("--whep", metavar="URL", help=f"watch over WHEP, at this {endpoint}")
    add_client_token(parser)
    parser.add_argument(
        "--publishers", metavar="N", type=whole_number(0, _MOST), default=10, help="how many (default 10)"
    )
    parser.add_argument(
        "--subscribers", metavar="N", type=whole_number(0, _MOST), default=0, help="how many (default 0)"
    )
    parser.add_argument(
        "--stream", metavar="NAME", help="first part of the streams' names; without publishers, what is watched"
    )
    parser.add_argument(
        "--ramp", metavar="N/s", type=_rate, default=10.0, help="so many begin in a second (default 10/s)"
    )
    parser.add_argument(
        "--duration", metavar="SECONDS", type=seconds, default=30.0, help="how long all of them stay (default 30)"
    )
    add_connection_arguments(parser)
    parser.add_argument("--codec", choices=("VP8", "H264"), default="VP8", help="video codec (default VP8)")
    parser.add_argument(
        "--hooks",
        metavar="PORT",
        type=whole_number(1, 65535),
        help="receive hooks here, and check that all come, in order: serve --hook-uri http://localhost:PORT/",
    )
    parser.add_argument(
        "--max-failed", metavar="N", type=whole_number(0, _MOST), default=0, help="fail above so many (default 0)"
    )
    parser.add_argument("--max-setup", metavar="SECONDS", type=seconds, help="fail when 95 %% are not live so soon")
    parser.add_argument("--max-loss", metavar="PERCENT", type=_percent, help="fail above this loss at the subscribers")
    parser.add_argument(
        "--insecure", action="store_true", help="do not verify the certificate of a wss or https server"
    )
    parser.add_argument("--json", action="store_true", help="write one JSON object a line instead of text")


def _rate(text: str) -> float:
    try:
        return seconds(text.removesuffix("/s"))
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of clients a second above 0, such as 10/s"
        ) from None


def _percent(text: str) -> float:
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage from 0 to 100")
    return value


def run(args: argparse.Namespace) -> int:
    """Run the load until the duration is over, or Ctrl-C.

    Returns 0 when all thresholds are kept, 1 when one is not or the run was stopped before, 2 for unusable arguments.
    """
    output = LoadOutput(as_json=args.json)
    try:
        clients = _Clients(args)
        if not args.publishers and not args.subscribers:
            raise UsageError("--publishers 0 and --subscribers 0 leave nothing to do")
        if not args.publishers and not args.stream:
            raise UsageError("without publishers --stream NAME says what is watched")
        streams = () if args.publishers else (args.stream,)
        plan = LoadPlan(args.publishers, args.subscribers, args.ramp, args.duration, streams)
        return asyncio.run(_run(plan, clients, args, output))
    except ValueError as error:
        output.error(str(error))
        return USAGE


class _Clients:
    """Makes the clients that the arguments ask for."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        parts, self._params = split_url(args.url)
        self._params.pop("id", None)
        given = {"username": args.username, "password": args.password, "customerScope": args.customer_scope}
        override(self._params, given)
        self._base = base_url(parts)
        for option, url, count in (("--whip", args.whip, args.publishers), ("--whep", args.whep, args.subscribers)):
            if url is not None:
                read_endpoint(option, url)
                if count > 1 and _PLACE not in url and option == "--whip":
                    raise UsageError(f"{option}: {count} publishers need {_PLACE} in the URL, where each has its name")
        self._ssl = trust(args.insecure, args.whip or args.whep or self._base)
        self.prefix = args.stream or "load"

    def name(self, number: int) -> str:
        """Return the name of a publisher's stream."""
        return f"{self.prefix}-{number + 1}"

    def publisher(self, stream: str) -> Publisher:
        """Make a publisher."""
        from smproxy.testing.publisher import Publisher

        args = self._args
        return Publisher(
            self._at(args.whip, stream),
            stream=stream,
            params=self._params if args.whip is None else {},
            codec=args.codec,
            data_channel=args.whip is None,
            transport="websocket" if args.whip is None else "whip",
            token=args.token,
            ssl=self._ssl,
        )

    def subscriber(self, stream: str) -> Subscriber:
        """Make a subscriber, which does not decode."""
        from smproxy.testing.subscriber import Subscriber

        args = self._args
        return Subscriber(
            self._at(args.whep, stream),
            stream=stream,
            params=self._params if args.whep is None else {},
            data_channel=args.whep is None,
            transport="websocket" if args.whep is None else "whep",
            token=args.token,
            decode=False,
            ssl=self._ssl,
        )

    def _at(self, endpoint: str | None, stream: str) -> str:
        return self._base if endpoint is None else str(endpoint).replace(_PLACE, stream)


async def _run(plan: LoadPlan, clients: _Clients, args: argparse.Namespace, output: LoadOutput) -> int:
    load = LoadRun(plan, clients.publisher, clients.subscriber, clients.name)
    async with AsyncExitStack() as stack:
        receiver = None if args.hooks is None else await _HookReceiver.start(stack, args.hooks)
        stack.push_async_callback(load.close)
        with stopped_by_signals() as stopping:
            showing = asyncio.ensure_future(_show(load, output))
            try:
                await unless_stopped(load.begin(), stopping)
                await until_over(asyncio.Event().wait(), stopping, plan.duration, lambda _: None)
            except StoppedEarly:
                output.error("stopped before all clients had begun")
                return FAILED
            finally:
                showing.cancel()
            report = await load.end()
        if receiver is not None:
            report = replace(report, hooks=await receiver.settled())
    output.report(report)
    broken = _broken(report, args)
    for line in broken:
        output.error(line)
    return FAILED if broken else OK


class _HookReceiver:
    """Takes the hooks of the server, and counts them."""

    def __init__(self) -> None:
        self.order = HookOrder()

    @classmethod
    async def start(cls, stack: AsyncExitStack, port: int) -> _HookReceiver:
        """Listen.

        Raises:
            UsageError: the port is not to be had.
        """
        from smproxy.testing.webhook_receiver import WebhookReceiver

        received = cls()
        receiver = WebhookReceiver(path="/", port=port)

        def take(hook: ReceivedHook) -> int:
            received.order.take(hook.event)
            receiver.hooks.clear()  # thousands of them are not needed again
            return 204

        receiver.respond = take
        try:
            await stack.enter_async_context(receiver)
        except OSError as error:
            raise UsageError(f"--hooks {port}: {(error.strerror or str(error)).lower()}") from None
        return received

    async def settled(self) -> HookOrder:
        """Return the counts when all is whole and in order, at the latest after ten seconds."""
        for _ in range(20):
            if self.order.sessions and self.order.in_order:
                break
            await asyncio.sleep(0.5)
        return self.order


async def _show(load: LoadRun, output: LoadOutput) -> None:
    while True:
        output.progress(*load.look())
        await asyncio.sleep(1)


def _broken(report: LoadReport, args: argparse.Namespace) -> list[str]:
    """Return in a line each what is not as it was to be."""
    broken = []
    if report.failed > args.max_failed:
        broken.append(f"{report.failed} clients failed or were lost, at most {args.max_failed} may (--max-failed)")
    setup = report.setup
    if args.max_setup is not None and setup is not None and setup.p95 > args.max_setup:
        broken.append(
            f"95 % were live after {setup.p95:.2f} s, and were to be after {args.max_setup:g} s (--max-setup)"
        )
    if args.max_loss is not None and report.loss * 100 > args.max_loss:
        broken.append(f"{report.loss:.2%} of the packets were lost, at most {args.max_loss:g} % may (--max-loss)")
    if report.hooks is not None and not (report.hooks.sessions and report.hooks.in_order):
        hooks = report.hooks
        broken.append(
            f"hooks: {hooks.sessions} sessions, {hooks.ended} ended, {hooks.missing} events missing, {hooks.late} late"
        )
    return broken


class LoadOutput(Lines):
    """The output about a load."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__("load", as_json=as_json)

    def progress(self, publishers: RoleCount, subscribers: RoleCount) -> None:
        """Write how many are live."""
        record = {"event": "progress", "publishers": publishers.record(), "subscribers": subscribers.record()}
        both = (("publishers", publishers), ("subscribers", subscribers))
        text = ", ".join(
            f"{name} {role.live}/{role.asked} live, {role.failed + role.lost} failed"
            for name, role in both
            if role.asked
        )
        self.write(record, text, transient=True)

    def report(self, report: LoadReport) -> None:
        """Write the report: a table."""
        rows = [["", "live", "failed", "lost", "setup p50", "p95", "most"]]
        for name, role in (("publishers", report.publishers), ("subscribers", report.subscribers)):
            if role.asked:
                setup = role.record()["setup"]
                times = [f"{setup[each] * 1000:.0f} ms" for each in ("p50", "p95", "most")] if setup else ["–"] * 3
                rows.append([name, str(role.live), str(role.failed), str(role.lost), *times])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines.append(f"packets: {report.packets_sent} sent, {report.packets_received} received, {report.loss:.2%} lost")
        if report.round_trip is not None:
            lines.append(f"round trip: {report.round_trip}")
        if report.hooks is not None:
            lines.append("hooks: " + ", ".join(f"{value} {name}" for name, value in report.hooks.record().items()))
        for role in (report.publishers, report.subscribers):
            lines += [f"{count} times: {text}" for text, count in role.errors.items()]
        self.write({"event": "end", **report.record()}, *lines)
