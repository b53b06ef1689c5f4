"""Runs headless publishers and subscribers for a stream manager, in a process of its own.

So encoding and decoding take no time from the relay. ``python -m smproxy.headless_worker``: commands come on stdin, reports go
to stdout, as :mod:`smproxy.manager.headless.messages` has them. When stdin ends, so does this process, also after a ``kill -9``
of its parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from smproxy.manager.headless.messages import (
    ClientCommand,
    ClientReport,
    EndClient,
    HeadlessState,
    MuteClient,
    StartClient,
)
from smproxy.tasks import Tasks
from smproxy.testing.errors import StreamError
from smproxy.testing.publisher import Publisher
from smproxy.testing.subscriber import Subscriber
from smproxy.testing.subscriber_watching import Watching

#: Seconds between two reports of a client that is live.
REPORT_EVERY = 0.25
#: The latest freezes that are reported.
_FREEZES = 100


class HostedPublisher:
    """A publisher that runs here."""

    def __init__(self, asked: StartClient) -> None:
        self.client = Publisher(asked.url, stream=asked.stream, params=asked.params, **asked.options)

    async def start(self) -> None:
        """Publish."""
        await self.client.publish()

    async def leave(self) -> None:
        """End the stream as a page does."""
        await self.client.unpublish()

    def figures(self) -> dict[str, Any]:
        """Return the fields of its view."""
        counts = self.client.statistics.values()
        return {
            "startMs": _rounded(self.client.publish_ms),
            "packets": sum(count.packets for count in counts),
            "bytes": sum(count.bytes for count in counts),
        }


class HostedSubscriber:
    """A subscriber that runs here."""

    def __init__(self, asked: StartClient) -> None:
        self._watching = Watching(Subscriber, asked.url, stream=asked.stream, params=asked.params, **asked.options)
        self.client = self._watching.subscriber

    async def start(self) -> None:
        """Subscribe."""
        await self.client.subscribe()

    async def leave(self) -> None:
        """Leave the stream as a page does."""
        await self.client.__aexit__(None, None, None)

    def figures(self) -> dict[str, Any]:
        """Return the fields of its view."""
        sums = self._watching.sum()
        numbers = sums.get("numbers")
        width, _, height = sums["size"].partition("x")
        figures = {
            "startMs": _rounded(self.client.subscribe_ms),
            "firstPictureMs": _rounded(self.client.first_picture_ms),
            **{name: sums[name] for name in ("packets", "bytes", "lost", "frames", "decoded", "codecs")},
            "width": int(width or 0),
            "height": int(height or 0),
            "number": None if numbers is None else numbers["last"],
            "missing": 0 if numbers is None else numbers["missing"],
            "outOfOrder": 0 if numbers is None else numbers["backwards"],
        }
        if self.client.decodes:
            report = self.client.picture_report
            figures["black"] = report.black
            figures["freezesMs"] = [round(each * 1000) for each in report.freezes[-_FREEZES:]]
            if (spread := report.latency) is not None:
                parts = {"p50": spread.p50, "p95": spread.p95, "p99": spread.p99, "most": spread.most}
                figures["latencyMs"] = {name: round(value * 1000, 1) for name, value in parts.items()}
        return figures


class Hosted:
    """One client from its start to its end. ``send`` takes its reports."""

    def __init__(self, asked: StartClient, send: Callable[[ClientReport], None]) -> None:
        self._id = asked.client
        self._send = send
        self._made = HostedPublisher(asked) if asked.role == "publisher" else HostedSubscriber(asked)
        self._state: HeadlessState = "connecting"
        self._error: str | None = None
        self._told: ClientReport | None = None
        self._asked_to_end = False

    async def run(self) -> None:
        """Start the client, and wait until it has ended."""
        client = self._made.client
        try:
            await self._made.start()
            self._state = "live"
            self.report()
            await client.closed.wait()
            self._state = "ended"
            if client.ended_by != "client":
                self._error = client.close_reason or f"the {client.ended_by} ended it"
        except StreamError as error:
            self._state, self._error = ("ended", None) if self._asked_to_end else ("failed", str(error))
        except Exception as error:
            self._state, self._error = "failed", f"{type(error).__name__}: {error}"
        finally:
            await client.close()
            self.report()

    async def end(self, how: str) -> None:
        """End it; :meth:`run` then returns."""
        self._asked_to_end = True
        if how == "vanish":
            self._made.client.vanish()
        elif how == "leave" and self._state == "live":
            with contextlib.suppress(StreamError):
                await self._made.leave()
        await self._made.client.close()

    def mute(self, audio: bool | None, video: bool | None) -> None:
        """Mute tracks."""
        with contextlib.suppress(StreamError):
            self._made.client.mute(audio=audio, video=video)

    def report(self) -> None:
        """Send how it is, if that has changed."""
        now = ClientReport(self._id, self._state, self._error, self._made.client.ended_by, self._made.figures())
        if now != self._told:
            self._told = now
            self._send(now)


class Host:
    """All clients of this process."""

    def __init__(self, send: Callable[[ClientReport], None]) -> None:
        self._send = send
        self._clients: dict[str, Hosted] = {}
        self._tasks = Tasks()

    def take(self, command: ClientCommand) -> None:
        """Do what a command says."""
        match command:
            case StartClient():
                self._start(command)
            case EndClient(client, how) if client in self._clients:
                self._tasks.spawn(self._clients[client].end(how))
            case MuteClient(client, audio, video) if client in self._clients:
                self._clients[client].mute(audio, video)

    async def report(self) -> None:
        """Send reports, for ever."""
        while True:
            await asyncio.sleep(REPORT_EVERY)
            for hosted in self._clients.values():
                hosted.report()

    def _start(self, asked: StartClient) -> None:
        try:
            hosted = Hosted(asked, self._send)
        except (ValueError, TypeError) as error:
            self._send(ClientReport(asked.client, "failed", str(error), None, {}))
            return
        self._clients[asked.client] = hosted
        self._tasks.spawn(self._run(asked.client, hosted))

    async def _run(self, id: str, hosted: Hosted) -> None:
        try:
            await hosted.run()
        finally:
            del self._clients[id]


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 1)


def _send(report: ClientReport) -> None:
    """Write one line to the parent."""
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.buffer.flush()


def _read_commands(loop: asyncio.AbstractEventLoop, take: Callable[[ClientCommand], None]) -> None:
    """Read commands until stdin ends, and this process with it."""
    decoder = msgspec.json.Decoder(ClientCommand)
    with contextlib.suppress(OSError):
        for line in sys.stdin.buffer:
            loop.call_soon_threadsafe(take, decoder.decode(line))
    os._exit(0)


async def _serve() -> None:
    host = Host(_send)
    threading.Thread(target=_read_commands, args=(asyncio.get_running_loop(), host.take), daemon=True).start()
    await host.report()


def main() -> int:
    """Run clients until stdin ends."""
    asyncio.run(_serve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
