"""What a durable hook costs: events through the journal to a receiver, against direct POSTs by the same client, now.

    python bench/hooks.py [--sessions 10000] [--rounds 5]

The receiver is a process of its own on the second core; the sender has the first. In each round every way is measured once, one
after the other, so that what the machine does meanwhile hits all of them; ratios are taken within a round. Ways:

    direct    32 tasks post events with the product's webhook sink; nothing is written
    durable   sessions publish; journal on disk, queue, retries, records of attempts, the same sink
    journal   the same without HTTP: the sink takes each event at once
    bare      32 keep-alive connections that write a prepared request and wait for 204: what a client can be in Python

Rates are events per second of wall time, all ways saturated with 32 in flight. Latency is from publishing (or calling the
sink) to the arrival at the receiver's socket, at a steady rate of a tenth of what direct POSTs reach. Absolute figures mean
nothing on another machine.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import machine
import uvloop
from results import Figure, Results
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.event import Context, EncodedEvent, EventFactory, HookEvent, encode
from smproxy.hooks.journal import Journal
from smproxy.hooks.sink import DELIVERED, Outcome
from smproxy.hooks.sinks.webhook import WebhookSink
from smproxy.signaling.clock import Clock
from smproxy.signaling.payloads import Connection, Kind, Reason, Role
from smproxy.signaling.session import SessionLife
from yarl import URL

IN_FLIGHT = 32

#: Events that may be on their way before the sessions wait: so much fits into memory, and nothing is read back.
BACKLOG = 4_000


WAYS = {
    "durable": "durable, end to end: journal, queue, records of attempts, HTTP",
    "direct": "direct POSTs by the same client, nothing written",
    "journal": "journal and queue without HTTP",
    "bare": "prepared requests on bare connections, no HTTP client",
}


# The receiver, in a process of its own


class Receiver(asyncio.Protocol):
    """Answers 204 to each POST and notes when it came."""

    arrivals: dict[str, float] = {}  # noqa: RUF012 - one process, one receiver

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._data = data = self._data + data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            head = data[:end].lower()
            length = int(head.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
            if len(data) < end + 4 + length:
                return
            identity = head.split(b"webhook-id: ", 1)[1].split(b"\r\n", 1)[0]
            self.arrivals.setdefault(identity.decode(), now)
            self._data = data = data[end + 4 + length :]
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")  # type: ignore[attr-defined]


def receive(pipe: Pipe) -> None:
    """Serve until asked to end; tell of the arrivals when asked."""
    machine.pin(machine.DRIVER)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Receiver, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        asked = asyncio.Event()
        loop.add_reader(pipe.fileno(), asked.set)
        while True:
            await asked.wait()
            asked.clear()
            os.set_blocking(pipe.fileno(), True)  # the event loop has changed that
            while pipe.poll():
                if pipe.recv() == "end":
                    return
                pipe.send(Receiver.arrivals)
                Receiver.arrivals = {}

    uvloop.run(main())


# The sender


def lives(count: int, first: int) -> list[tuple[HookEvent, Context]]:
    """Make the events of ``count`` sessions, as they would come in if all began at once."""
    events = EventFactory(node=1, clock=Clock(), rng=random.Random(first))
    told: list[list[tuple[HookEvent, Context]]] = []
    for number in range(first, first + count):
        life = SessionLife(number, peer=f"cam-{number}", scope="live", remote_ip="192.0.2.1", clock=Clock())
        payloads = [*life.accept(), *life.transport_up(), *life.stream_start()]
        payloads += [*life.track_start("audio_main", Kind.AUDIO), *life.track_start("video_main", Kind.VIDEO)]
        payloads += life.end(Reason.USER_ACTION)
        connection = Connection(
            id=f"cam-{number}", username="ann", customer_scope="acme", recording=True, meta={"room": "A"}, app="live",
            role=Role.PUBLISHER,
        )  # fmt: skip
        context = Context(user_agent="Mozilla/5.0 (X11; Linux x86_64)", stream=f"live/cam-{number}")
        told.append([(events.make(payload, seq, connection), context) for seq, payload in enumerate(payloads, 1)])
    return [pair for step in zip(*told, strict=True) for pair in step]


class Counting(WebhookSink):
    """The product's sink, and how often it delivered."""

    delivered = 0

    async def deliver(self, event: EncodedEvent) -> Outcome:
        outcome = await super().deliver(event)
        self.delivered += outcome is DELIVERED
        return outcome


class Instant:
    """A sink that takes everything at once."""

    name = "instant"
    takes_internal = False
    delivered = 0

    async def start(self) -> None: ...

    async def deliver(self, event: EncodedEvent) -> Outcome:
        self.delivered += 1
        return DELIVERED

    async def stop(self) -> None: ...


async def in_parallel(work: Callable[[EncodedEvent], Awaitable[Any]], events: list[EncodedEvent]) -> None:
    """Let 32 tasks take event after event."""
    queue = iter(events)

    async def worker() -> None:
        for event in queue:
            await work(event)

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))


async def direct(url: URL, events: list[tuple[HookEvent, Context]]) -> float:
    """Post everything; return events per second."""
    encoded = [encode(*event) for event in events]
    sink = WebhookSink(url)
    await sink.start()
    began = time.monotonic()
    await in_parallel(sink.deliver, encoded)
    took = time.monotonic() - began
    await sink.stop()
    return len(events) / took


async def durable(
    url: URL | None, events: list[tuple[HookEvent, Context]], folder: Path, *, sink: Counting | Instant | None = None
) -> float:
    """Publish everything and wait until it is delivered; return events per second."""
    journal = await Journal.start(folder / f"{time.monotonic_ns()}.db", clock=Clock())
    sink = sink or (Instant() if url is None else Counting(url))
    dispatcher = await HookDispatcher.start([sink], clock=Clock(), rng=random.Random(1), journal=journal)
    began = time.monotonic()
    for number, event in enumerate(events):
        dispatcher.publish(*event)
        if number % 64 == 0:
            await asyncio.sleep(0)
            while number - sink.delivered > BACKLOG:  # noqa: ASYNC110 - as a session would, no sooner
                await asyncio.sleep(0.002)
    while sink.delivered < len(events):  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    took = time.monotonic() - began
    assert sink.delivered == len(events)
    await dispatcher.stop()
    await journal.stop()
    return len(events) / took


async def bare(url: URL, events: list[tuple[HookEvent, Context]]) -> float:
    """Post everything over connections that know nothing of HTTP but this; return events per second."""
    encoded = [encode(*event) for event in events]
    loop = asyncio.get_running_loop()
    answered: asyncio.Queue[Client] = asyncio.Queue()

    class Client(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            answered.put_nowait(self)

    clients = [(await loop.create_connection(Client, "127.0.0.1", url.port))[1] for _ in range(IN_FLIGHT)]
    for client in clients:
        answered.put_nowait(client)
    began = time.monotonic()
    for event in encoded:
        client = await answered.get()
        client.transport.write(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
            b"webhook-id: %s\r\nwebhook-timestamp: %d\r\n\r\n%s"
            % (len(event.body), event.uuid.encode(), int(time.time()), event.body)
        )
    for _ in clients:
        await answered.get()
    took = time.monotonic() - began
    for client in clients:
        client.transport.close()
    return len(events) / took


async def latencies(
    send: Callable[[HookEvent, Context], Any], events: list[tuple[HookEvent, Context]], rate: float
) -> dict[str, float]:
    """Send at a steady rate; return when each event was sent."""
    sent: dict[str, float] = {}
    begin = time.monotonic()
    tasks = []
    for number, event in enumerate(events):
        wait = begin + number / rate - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        sent[event[0].uuid] = time.monotonic()
        if inspect.isawaitable(result := send(*event)):
            tasks.append(asyncio.ensure_future(result))
    await asyncio.gather(*tasks)
    return sent


async def latency_direct(url: URL, events: list[tuple[HookEvent, Context]], rate: float) -> dict[str, float]:
    """Post each event by itself."""
    sink = WebhookSink(url)
    await sink.start()
    sent = await latencies(lambda event, context: sink.deliver(encode(event, context)), events, rate)
    await sink.stop()
    return sent


async def latency_durable(
    url: URL, events: list[tuple[HookEvent, Context]], rate: float, folder: Path
) -> dict[str, float]:
    """Publish each event."""
    journal = await Journal.start(folder / f"{time.monotonic_ns()}.db", clock=Clock())
    dispatcher = await HookDispatcher.start([WebhookSink(url)], clock=Clock(), rng=random.Random(1), journal=journal)
    sent = await latencies(dispatcher.publish, events, rate)
    await dispatcher.stop(30.0)
    await journal.stop()
    return sent


async def measure(port: int, pipe: Pipe, sessions: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Run all rounds; the first, which warms up, does not count."""
    url = URL(f"http://127.0.0.1:{port}/hooks")
    rates: dict[str, list[float]] = {"direct": [], "durable": [], "journal": [], "bare": []}
    delays: dict[str, list[list[float]]] = {"direct": [], "durable": []}
    per_round = max(100, sessions // rounds)

    def arrivals() -> dict[str, float]:
        pipe.send("arrivals")
        return dict(pipe.recv())

    for number in range(rounds + 1):
        events = lives(per_round if number else 200, 1 + number * sessions)
        found = {
            "direct": await direct(url, events),
            "durable": await durable(url, events, folder),
            "journal": await durable(None, events, folder),
            "bare": await bare(url, events),
        }
        arrivals()
        rate, some = found["direct"] / 10, lives(200, 1 + number * sessions)
        times: dict[str, list[float]] = {}
        sent = await latency_direct(url, some, rate)
        came = arrivals()
        times["direct"] = [(came[uuid] - at) * 1000 for uuid, at in sent.items()]
        sent = await latency_durable(url, some, rate, folder)
        came = arrivals()
        times["durable"] = [(came[uuid] - at) * 1000 for uuid, at in sent.items()]
        if not number:
            continue
        for way, value in found.items():
            rates[way].append(value)
        for way, values in times.items():
            delays[way].append(values)
        print(
            f"round {number}: " + ", ".join(f"{way} {value:,.0f}/s" for way, value in found.items())
            + "; latency " + ", ".join(f"{way} {statistics.median(v):.2f} ms" for way, v in times.items()),
            flush=True,
        )  # fmt: skip
    return {"rates": rates, "delays": delays, "sessions": per_round * rounds}


def table(found: dict[str, Any], rounds: int) -> Results:
    """Sum up what was measured."""
    rates, delays = found["rates"], found["delays"]
    results = Results(
        "hooks", ["way", "events per second", "of direct POSTs", "event to receiver, median", "99 of 100"]
    )
    for way, text in WAYS.items():
        share = Figure.of([100 * own / base for own, base in zip(rates[way], rates["direct"], strict=True)])
        waits = ["", ""]
        if way in delays:
            waits = [
                Figure.of([statistics.median(values) for values in delays[way]]).text(2, "ms"),
                Figure.of([statistics.quantiles(values, n=100)[98] for values in delays[way]]).text(1, "ms"),
            ]
        results.rows.append([text, Figure.of(rates[way]).text(), f"{share.text()} %", *waits])
    results.notes = [
        f"{found['sessions']:,} sessions of eight events, {IN_FLIGHT} events in flight; latency at a tenth of what direct POSTs"
        f" reach. Median of {rounds} rounds, minimum to maximum."
    ]
    medians = {way: [statistics.median(values) for values in rows] for way, rows in delays.items()}
    results.data = {"events_per_second": rates, "latency_ms": medians, "sessions": found["sessions"]}
    return results


def main() -> None:
    """Run the bench and write its results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=receive, args=(theirs,), daemon=True)
    process.start()
    # The journal's thread may run beside the event loop: only the receiver is kept to one core.
    with tempfile.TemporaryDirectory() as folder:
        found = uvloop.run(measure(pipe.recv(), pipe, arguments.sessions, arguments.rounds, Path(folder)))
    pipe.send("end")
    process.join()
    table(found, arguments.rounds).save()


if __name__ == "__main__":
    main()
