"""What nodes cost: growth from one node to three, the registry's latency, and how long a fail-over takes.

    python bench/cluster.py [--nodes 3] [--publishers 10] [--seconds 3] [--runs 5] [--ttl 3]

All nodes and the NATS server share one core, the load has the other: so growth is told as CPU time per unit, which should stay
what it is on one node without a cluster, and not as a rate. A fail-over takes as long as the lease of a dead node lasts
(``--cluster-ttl``, 9 s unless given) and what comes after; the lease is short here so that the rest shows.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
import media
import uvloop
from nats.aio.client import Client
from nats.js.api import KeyValueConfig
from origins import Whole
from results import Figure, Results
from smproxy.cluster.nats_registry import NatsRegistry
from smproxy.cluster.records import Bucket
from smproxy.cluster.requests import Create, Read, Remove, Update, Written
from smproxy.cluster.timing import Timing
from smproxy.testing import Publisher, PublishRejected, StreamError, WebhookReceiver
from smproxy.testing.clients import make_publisher, make_subscriber

#: Publishes that come and go, for each node.
VISITS = 40
#: Seconds that each of them stays.
STAY = 0.4
#: Subscribers of each node.
SUBSCRIBERS = 3
#: Requests to the registry of each kind.
REQUESTS = 300
#: Seconds between two attempts to publish a name that is still taken.
STEP = 0.05


@dataclass(frozen=True)
class Running:
    """A cluster, or one node without: its ports, the process that has all others as children, and what it printed."""

    ports: tuple[int, ...]
    pid: int
    ready: dict[str, Any]

    def pid_of(self, node: str) -> int:
        """Return the process of a node."""
        return int(next(each["pid"] for each in self.ready["nodes"] if each["id"] == node))

    @property
    def url(self) -> str:
        """Where clients of the first manager go."""
        return f"ws://127.0.0.1:{self.ports[0]}/streammanager"


@contextlib.contextmanager
def started(command: Sequence[str], ports: tuple[int, ...], log: Path) -> Iterator[Running]:
    """Run a program until the end; yield it once it has printed that it is ready."""
    with log.open("wb") as errors:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
    machine.pin(machine.TESTED, child.pid)
    assert child.stdout is not None
    try:
        line = child.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(command)} is not ready: {log.read_text(errors='replace')[-500:]}")
        yield Running(ports, child.pid, json.loads(line))
    finally:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=30)


@contextlib.contextmanager
def alone(folder: Path, hook_uri: str) -> Iterator[Running]:
    """One node without a cluster."""
    port = machine.free_port()
    command = [sys.executable, "-m", "smproxy", "serve", "--port", str(port), "--data-dir", str(folder / "alone")]
    command += ["--hook-uri", hook_uri, "--log-format", "json"]
    with started(command, (port,), folder / "alone.log") as running:
        yield running


@contextlib.contextmanager
def cluster(
    folder: Path, hook_uri: str, nodes: int, *, edges: int = 0, options: Sequence[str] = ()
) -> Iterator[Running]:
    """So many managers and origins, and a NATS server."""
    port = machine.free_port()
    command = [sys.executable, "-m", "smproxy", "cluster", "--managers", str(nodes), "--origins", str(nodes)]
    command += ["--edges", str(edges), "--port", str(port), "--json", "--data-dir", str(folder / f"cluster-{nodes}")]
    command += ["--", "--hook-uri", hook_uri, "--log-level", "warning", *options]
    with started(command, tuple(range(port, port + nodes)), folder / "cluster.log") as running:
        yield running


# growth ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """CPU time.

    Of a publisher and a subscriber in % of a core, of a publish that comes and goes in ms, of each of its hooks in µs.
    """

    publisher: float
    subscriber: float
    visit: float
    hooks: float


async def growth(running: Running, receiver: WebhookReceiver, publishers: int, seconds: float) -> Cost:
    """Measure publishers, subscribers and publishes that come and go, on every manager."""
    crowds = [media.Crowd(Whole(), port) for port in running.ports]
    async with contextlib.AsyncExitStack() as stack:
        there = [each for crowd in crowds for each in await stack.enter_async_context(crowd.many(publishers))]
        publisher = (await media.media_cost(running.pid, there, seconds))["publisher"] * 100
    subscriber = await watched(running, seconds)
    await asyncio.sleep(1.0)
    await asyncio.gather(*(visit(crowd, 4) for crowd in crowds))
    await quiet(receiver)
    count, cpu = len(receiver.hooks), machine.cpu_time(running.pid)
    await asyncio.gather(*(visit(crowd, VISITS) for crowd in crowds))
    await quiet(receiver)
    spent, hooks = (machine.cpu_time(running.pid) - cpu) / 1e6, len(receiver.hooks) - count
    visits = VISITS * len(crowds)
    return Cost(publisher, subscriber, spent / visits, spent * 1000 / hooks)


async def visit(crowd: media.Crowd, count: int) -> None:
    """Let publishers come and go, some at a time, each for long enough to have its name and all its hooks."""
    turn = asyncio.Semaphore(4)

    async def one() -> None:
        async with turn, crowd.one():
            await asyncio.sleep(STAY)

    await asyncio.gather(*(one() for _ in range(count)))


async def watched(running: Running, seconds: float) -> float:
    """Return what a subscriber takes of a core, in %: of one publisher for each manager, watched through every manager."""
    async with contextlib.AsyncExitStack() as stack:
        urls = [f"ws://127.0.0.1:{port}/streammanager" for port in running.ports]
        for number, url in enumerate(urls):
            await stack.enter_async_context(make_publisher(url, f"watched-{number}", {}))
        await asyncio.sleep(media.SETTLED)
        before = await _busy(running.pid, seconds)
        for number, url in enumerate(urls):
            for _ in range(SUBSCRIBERS):
                # Over WHEP, whose URL names the stream: a manager sends it to that stream's origin, and nothing is pulled.
                subscriber = make_subscriber(url, f"watched-{number}", {"decode": False, "transport": "whep"})
                await stack.enter_async_context(subscriber)
        await asyncio.sleep(1.0)
        return (await _busy(running.pid, seconds) - before) / (SUBSCRIBERS * len(urls)) * 100


async def _busy(pid: int, seconds: float) -> float:
    cpu, began = machine.cpu_time(pid), time.monotonic()
    await asyncio.sleep(seconds)
    return (machine.cpu_time(pid) - cpu) / 1e9 / (time.monotonic() - began)


async def quiet(receiver: WebhookReceiver) -> None:
    """Wait until no hooks come any more."""
    count = -1
    while count != len(receiver.hooks):
        count = len(receiver.hooks)
        await asyncio.sleep(1.0)


# the registry ---------------------------------------------------------------------------------------------------------


async def registry_latency(url: str) -> dict[str, list[float]]:
    """Return the milliseconds that each request to the registry took, beside requests of NATS and its key-value store alone."""
    registry = await NatsRegistry.start(url, Timing(), time.monotonic)
    client = Client()
    await client.connect(url)
    stream = client.jetstream()
    plain = await stream.create_key_value(KeyValueConfig(bucket="bench", history=1))
    took: dict[str, list[float]] = {}
    record = json.dumps({"owner": {"node": "bench-1", "life": "0" * 32}, "scope": "live", "name": "cam"}).encode()

    async def timed(what: str, request: Awaitable[Any]) -> Any:
        began = time.perf_counter()
        answer = await request
        took.setdefault(what, []).append((time.perf_counter() - began) * 1000)
        return answer

    async def echo(message: Any) -> None:
        await message.respond(message.data)

    await client.subscribe("bench.echo", cb=echo)
    try:
        for number in range(REQUESTS):
            key = f"bench.{number}"
            await timed("NATS alone: a request and its answer", client.request("bench.echo", record))
            await timed("key-value store alone: write", plain.put(key, record))
            await timed("key-value store alone: read", plain.get(key))
            created = await timed("claim a name", registry.perform(Create(Bucket.STREAMS, key, record)))
            assert isinstance(created, Written)
            await timed("look a name up", registry.perform(Read(Bucket.STREAMS, key)))
            await timed("give a name back", registry.perform(Remove(Bucket.STREAMS, key, created.revision)))
            node = await timed("register a node", registry.perform(Create(Bucket.NODES, key, record)))
            assert isinstance(node, Written)
            await timed("renew its lease", registry.perform(Update(Bucket.NODES, key, record, node.revision)))
    finally:
        await stream.delete_key_value("bench")
        await client.close()
        await registry.stop()
    return took


# fail-over ------------------------------------------------------------------------------------------------------------


async def origin_dies(running: Running, receiver: WebhookReceiver) -> tuple[float, float]:
    """Kill an origin; return the seconds until its session's end was told, and until the name was published elsewhere."""
    async with alive(running, "cam-1", "origin-2"):
        os.kill(running.pid_of("origin-2"), signal.SIGKILL)
        began = time.monotonic()
        told = asyncio.create_task(told_after(receiver, "cam-1", began))
        again = await published(running.url, "cam-1")
        free = time.monotonic() - began
        await again.close()
        return await told, free


async def manager_dies(running: Running, receiver: WebhookReceiver) -> float:
    """Kill a manager; return the seconds until another one has ended the sessions that it had."""
    url = f"ws://127.0.0.1:{running.ports[1]}/streammanager"
    async with alive(running, "cam-2", "origin-1", url):
        os.kill(running.pid_of("manager-2"), signal.SIGKILL)
        return await told_after(receiver, "cam-2", time.monotonic())


async def publisher_moves(running: Running, _receiver: WebhookReceiver) -> float:
    """Move a publisher to another origin; return the seconds until a subscriber at an edge has its picture again."""
    pictures: list[float] = []
    options = {"host": "edge-1", "sdk": 7, "on_picture": lambda _frame: pictures.append(time.monotonic())}
    async with contextlib.AsyncExitStack() as stack:
        async with alive(running, "cam-3", "origin-1"):
            subscriber = make_subscriber(running.url, "cam-3", options)
            await stack.enter_async_context(subscriber)
            await subscriber.wait_for_frames(10)
        second = await published(running.url, "cam-3", {"host": "origin-2"})
        stack.push_async_callback(second.close)
        began = time.monotonic()
        async with asyncio.timeout(30):
            while not (again := [at for at in pictures if at > began]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return again[0] - began


@asynccontextmanager
async def alive(running: Running, stream: str, host: str, url: str | None = None) -> AsyncIterator[None]:
    """Publish at an origin for as long as the context lasts, whatever becomes of that."""
    publisher = make_publisher(url or running.url, stream, {"host": host, "customerScope": "acme"})
    await publisher.publish()
    try:
        await asyncio.sleep(1.0)
        yield
    finally:
        with contextlib.suppress(StreamError):
            await publisher.unpublish()
        await publisher.close()


async def told_after(receiver: WebhookReceiver, stream: str, began: float) -> float:
    """Wait for the end of a stream's session; return the seconds that it took."""
    async with asyncio.timeout(60):
        while not any(  # noqa: ASYNC110
            hook.state == "disconnected" and hook.event["connection"]["id"] == stream for hook in receiver.hooks
        ):
            await asyncio.sleep(0.01)
    return time.monotonic() - began


async def published(url: str, stream: str, options: dict[str, Any] | None = None) -> Publisher:
    """Publish a name as soon as it is free."""
    async with asyncio.timeout(60):
        while True:
            publisher = make_publisher(url, stream, {"customerScope": "acme", **(options or {})})
            try:
                await publisher.publish()
            except PublishRejected:
                await publisher.close()
                await asyncio.sleep(STEP)
            else:
                return publisher


# all of it ------------------------------------------------------------------------------------------------------------


async def with_receiver(work: Callable[[WebhookReceiver], Awaitable[None]]) -> None:
    """Run something with a hook receiver in this process."""
    async with WebhookReceiver() as receiver:
        await work(receiver)


def measure_growth(
    folder: Path, nodes: int, publishers: int, seconds: float
) -> tuple[dict[str, Cost], dict[str, list[float]]]:
    """Measure one node alone and clusters of one node and more; and the registry of the largest."""
    costs: dict[str, Cost] = {}
    registry: dict[str, list[float]] = {}

    async def work(receiver: WebhookReceiver) -> None:
        with alone(folder, receiver.url) as running:
            costs["one node, no cluster"] = await growth(running, receiver, publishers, seconds)
        for count in range(1, nodes + 1):
            with cluster(folder, receiver.url, count) as running:
                name = f"cluster, {count} manager{'s'[: count > 1]} and origin{'s'[: count > 1]}"
                costs[name] = await growth(running, receiver, publishers, seconds)
                print(f"{name}: {costs[name]}", flush=True)
                if count == nodes:
                    registry.update(await registry_latency(running.ready["registry"]))

    uvloop.run(with_receiver(work))
    return costs, registry


def measure_failures(folder: Path, runs: int, ttl: float) -> dict[str, list[float]]:
    """Measure the fail-overs, each run with a cluster of its own."""
    took: dict[str, list[float]] = {}

    async def work(receiver: WebhookReceiver) -> None:
        options = ("--cluster-ttl", f"{ttl:g}", "--pull-linger", "30")
        for number in range(runs):
            place = folder / f"run-{number}"
            place.mkdir()
            receiver.hooks.clear()
            with cluster(place, receiver.url, 2, edges=1, options=options) as running:
                moved = await publisher_moves(running, receiver)
                manager = await manager_dies(running, receiver)
                told, free = await origin_dies(running, receiver)
            for what, seconds in {
                "manager killed: its sessions are ended by another": manager,
                "origin killed: its session's end is told": told,
                "origin killed: the name is published elsewhere": free,
                "publisher moves: picture at the edge, from its first packet on": moved,
            }.items():
                took.setdefault(what, []).append(seconds)
                print(f"run {number + 1}: {what}: {seconds:.2f} s", flush=True)

    uvloop.run(with_receiver(work))
    return took


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--publishers", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--ttl", type=float, default=3.0)
    options = parser.parse_args()
    machine.pin(machine.DRIVER)
    with tempfile.TemporaryDirectory() as folder:
        costs, registry = measure_growth(Path(folder), options.nodes, options.publishers, options.seconds)
        failures = measure_failures(Path(folder), options.runs, options.ttl)
    save_growth(costs, options.publishers)
    save_registry(registry)
    save_failures(failures, options.runs, options.ttl)


def save_growth(costs: dict[str, Cost], publishers: int) -> None:
    """Write the table of growth."""
    head = [
        "nodes",
        "a publisher, % of a core",
        "a subscriber",
        "a publish that comes and goes, ms",
        "each of its hooks, µs",
    ]
    results = Results("cluster-growth", head)
    first = next(iter(costs.values()))
    for name, cost in costs.items():
        values = (cost.publisher, cost.subscriber, cost.visit, cost.hooks)
        base = (first.publisher, first.subscriber, first.visit, first.hooks)
        digits = (2, 2, 1, 0)
        results.rows.append(
            [
                name,
                *(
                    f"{value:.{digit}f} ({value / of:.2f} ×)"
                    for value, of, digit in zip(values, base, digits, strict=True)
                ),
            ]
        )
    results.notes = [
        f"{publishers} publishers and {SUBSCRIBERS} subscribers for each manager, {VISITS} publishes that come and go; CPU "
        "time of all nodes and of the NATS server, which share one core. One measurement each; what grows is what a cluster "
        "does beside: leases, lists, claims."
    ]
    results.data = {name: dataclasses.asdict(cost) for name, cost in costs.items()}
    results.save()


def save_registry(took: dict[str, list[float]]) -> None:
    """Write the table of the registry."""
    results = Results("cluster-registry", ["request", "median, ms", "95 of 100 within, ms", "of a bare request"])
    base = statistics.median(next(iter(took.values())))
    for name, values in took.items():
        median = statistics.median(values)
        results.rows.append(
            [name, f"{median:.2f}", f"{sorted(values)[int(len(values) * 0.95)]:.2f}", f"{median / base:.1f} ×"]
        )
    results.notes = [
        f"{REQUESTS} of each in turns, over loopback, with files on disk as a cluster has them. The bare "
        "request is answered by a subscriber in the same process, the others by the server itself."
    ]
    results.data = took
    results.save()


def save_failures(took: dict[str, list[float]], runs: int, ttl: float) -> None:
    """Write the table of fail-overs."""
    results = Results("cluster-failover", ["what happens", "seconds", "of them beyond the lease"])
    for name, values in took.items():
        beyond = Figure.of([value - ttl for value in values]).text(2) if "killed" in name else ""
        results.rows.append([name, Figure.of(values).text(2), beyond])
    results.notes = [
        f"{runs} runs with a cluster of their own; median, minimum to maximum. Lease (`--cluster-ttl`) {ttl:g} s."
    ]
    results.data = took
    results.save()


if __name__ == "__main__":
    main()
