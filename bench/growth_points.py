"""The measurements behind the plots of :mod:`growth`: one function for each thing that grows."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import machine
import media
import traffic
import uvloop
from hooks import Instant, lives
from origins import Whole
from peers import BENCH, Product
from publishers import Publisher, Stage, on_stage
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.journal import Journal
from smproxy.origin.aiortc_dtls import Identity
from smproxy.signaling.clock import Clock
from viewers import Audience

#: The product takes 10,000 connections; a process that may have 20,000 open files takes 9,900, with both their sockets.
IDLE = (500, 1000, 2500, 5000, 9900)
CONNECTIONS = (10, 100, 1000, 5000)
PUBLISHERS = (10, 25, 50, 100, 150, 200, 300)
SUBSCRIBERS = (2, 5, 10, 25, 50, 100, 200, 350, 500, 750, 1000)
#: Share of the packets that must come to subscribers, or they are more than two cores carry.
ENOUGH = 0.98
SINKS = (1, 2, 5, 10, 25, 50)
#: Short sessions, one after the other by 50 clients, and after how many the process is looked at.
ALL_SESSIONS, EACH = 20_000, 2_000
#: Sessions of which the hooks are counted, eight each.
SESSIONS = 250
ROUNDS = 3

Points = list[tuple[float, float]]


@contextlib.contextmanager
def product() -> Iterator[tuple[int, int]]:
    """Start the product with an echo origin and a receiver of hooks; yield its port and process id."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        origin, hooks, port = (machine.free_port() for _ in range(3))
        command = [sys.executable, str(BENCH / "traffic.py"), str(origin)]
        stack.enter_context(machine.process(command, core=machine.DRIVER, port=origin))
        command = [sys.executable, str(BENCH / "relay.py"), "--receive", str(hooks)]
        stack.enter_context(machine.process(command, core=machine.DRIVER, port=hooks))
        command = Product(f"http://127.0.0.1:{hooks}/").command(folder, port, origin)
        yield port, stack.enter_context(machine.process(command, core=machine.TESTED, port=port, log=folder / "log"))


def idle_points() -> Points:
    """Return idle connections, and the KB that each of them takes."""

    async def fill(port: int, pid: int) -> Points:
        warm = traffic.Load(port, 50, 200, messages=1)
        await warm.start()
        await asyncio.sleep(0.5)
        await warm.stop()
        found: Points = []
        before, idle = machine.memory(pid), []
        for count in IDLE:
            idle += [await traffic.Idle.open(port) for _ in range(count - len(idle))]
            await asyncio.sleep(1.5)  # for hooks to be delivered and buffers to be let go
            found.append((count, (machine.memory(pid) - before) / count / 1024))
            print(f"{count} idle connections: {found[-1][1]:.1f} KB each", flush=True)
        for one in idle:
            one.close()
        return found

    with product() as (port, pid):
        return uvloop.run(fill(port, pid))


def session_points() -> tuple[Points, Points]:
    """Return short sessions so far, with the microseconds of CPU of each since the last point, and the MiB of the process."""

    async def churn(port: int, pid: int) -> tuple[Points, Points]:
        load = traffic.Load(port, 50, 200, messages=1)
        await load.start()
        costs: Points = []
        memory: Points = []
        await asyncio.sleep(1.0)
        done, cpu = load.done, machine.cpu_time(pid)
        while load.done < ALL_SESSIONS:
            while load.done < done + EACH:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            now, spent = load.done, machine.cpu_time(pid)
            costs.append((now, (spent - cpu) / 1000 / (now - done)))
            memory.append((now, machine.memory(pid) / 2**20))
            print(f"{now} short sessions: {costs[-1][1]:.0f} µs each, {memory[-1][1]:.1f} MiB", flush=True)
            done, cpu = now, spent
        await load.stop()
        return costs, memory

    with product() as (port, pid):
        return uvloop.run(churn(port, pid))


def subscriber_points(seconds: float) -> tuple[Points, list[dict[str, float]]]:
    """Return subscribers of one stream, and the share of a core that all take in %; and what became of their packets."""

    async def watch(port: int, pid: int) -> tuple[Points, list[dict[str, float]]]:
        points: Points = []
        told: list[dict[str, float]] = []
        publisher = Publisher(Identity.generateCertificate(), random.Random(1), server.address)
        async with server.signaling(port, "watched") as exchange, Audience(port, "watched", server.address) as audience:
            await publisher.open(exchange)
            with on_stage([publisher]) as stage:
                await asyncio.sleep(media.SETTLED)
                alone = (await watched(pid, audience, stage, seconds))["share"]
                for count in SUBSCRIBERS:
                    await audience.grow(count)
                    await asyncio.sleep(media.SETTLED)  # what they have missed while others came is sent first
                    tries = [await watched(pid, audience, stage, seconds) for _ in range(ROUNDS)]
                    whole = [one for one in tries if one["came"] >= ENOUGH]
                    if not whole:
                        print(f"{count} subscribers: more than two cores carry", flush=True)
                        break
                    best = min(whole, key=lambda one: one["share"])
                    packet = 1e6 * (best["share"] - alone) * seconds / best["packets"]
                    points.append((count, 100 * (best["share"] - alone)))
                    told.append({"subscribers": count, "packet": packet} | best)
                    print(
                        f"{count} subscribers: {points[-1][1]:.1f} % of a core, {packet:.1f} µs a packet, "
                        f"{100 * best['came']:.1f} % of the packets have come, {100 * best['lost']:.2f} % are lost",
                        flush=True,
                    )
            await publisher.close()
        return points, told

    server = Whole()
    with media.running(server) as (port, pid):
        return uvloop.run(watch(port, pid))


async def watched(pid: int, audience: Audience, stage: Stage, seconds: float) -> dict[str, float]:
    """Return the share of a core that a process takes, and what came to its subscribers of what was sent to it."""
    sent, came, lost = stage.sent, audience.packets, audience.lost
    cpu, began = machine.cpu_time(pid), time.monotonic()
    while (left := began + seconds - time.monotonic()) > 0:
        audience.report()
        await asyncio.sleep(min(left, 1.0))
    share = (machine.cpu_time(pid) - cpu) / 1e9 / (time.monotonic() - began)
    packets = audience.packets - came
    due = (stage.sent - sent) * len(audience.viewers)
    return {
        "share": share,
        "packets": packets,
        "came": packets / max(due, 1),
        "lost": (audience.lost - lost) / max(packets, 1),
    }


def relay_points(seconds: float) -> Points:
    """Return connections, and microseconds of CPU per message of 200 bytes there and back."""
    found: Points = []
    with product() as (port, pid):
        for count in CONNECTIONS:
            cost = min(uvloop.run(message(port, pid, count, seconds)) for _ in range(ROUNDS))
            found.append((count, cost))
            print(f"{count} connections: {cost:.1f} µs per message", flush=True)
    return found


async def message(port: int, pid: int, connections: int, seconds: float) -> float:
    """Return the microseconds of CPU per message, once all connections are up."""
    load = traffic.Load(port, connections, 200)
    await load.start()
    while not load.connected:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.3)
    before, cpu = load.done, machine.cpu_time(pid)
    await asyncio.sleep(seconds)
    cost = (machine.cpu_time(pid) - cpu) / 1000 / (load.done - before)
    await load.stop()
    return cost


def publisher_points(seconds: float) -> tuple[Points, list[dict[str, float]]]:
    """Return publishers, and the share of a core that all of them take in %; and what became of their packets."""
    server = Whole()
    points: Points = []
    told: list[dict[str, float]] = []
    with media.running(server) as (port, pid):
        for count in PUBLISHERS:
            try:
                found = uvloop.run(crowd_cost(media.Crowd(server, port), pid, count, seconds))
            except TimeoutError:
                print(f"{count} publishers: more than two cores carry", flush=True)
                break
            points.append((count, 100 * found["publisher"] * count))
            told.append({"publishers": count} | found)
            print(
                f"{count} publishers: {points[-1][1]:.1f} % of a core, {100 * found['lost']:.2f} % lost, "
                f"{found['reports']:.1f} reports and {found['remb']:.1f} REMB each, "
                f"{found['rate']:.0f} packets/s each, generator late by {found['late']:.2f} s",
                flush=True,
            )
    return points, told


async def crowd_cost(crowd: media.Crowd, pid: int, count: int, seconds: float) -> dict[str, float]:
    """Measure so many publishers at once."""
    async with crowd.many(count) as publishers:
        return await media.media_cost(pid, publishers, seconds)


def sink_points() -> Points:
    """Return sinks, and the microseconds of CPU per hook: journal on disk, a queue for each sink, no HTTP."""
    found: Points = []
    for count in SINKS:
        with tempfile.TemporaryDirectory() as folder:
            cost = min(uvloop.run(hook_cost(count, Path(folder, f"{number}.db"))) for number in range(ROUNDS))
        found.append((count, cost))
        print(f"{count} sinks: {cost:.0f} µs per hook", flush=True)
    return found


class Named(Instant):
    """A sink that takes everything at once, one of several."""

    def __init__(self, number: int) -> None:
        self.name = f"instant-{number}"


async def hook_cost(count: int, path: Path) -> float:
    """Publish the hooks of some sessions to so many sinks; return the CPU time of one."""
    events = lives(SESSIONS, 1)
    journal = await Journal.start(path, clock=Clock())
    sinks = [Named(number) for number in range(count)]
    dispatcher = await HookDispatcher.start(sinks, clock=Clock(), rng=random.Random(1), journal=journal)
    began = time.process_time()
    for number, event in enumerate(events):
        dispatcher.publish(*event)
        if number % 64 == 0:
            await asyncio.sleep(0)
    while any(sink.delivered < len(events) for sink in sinks):  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    spent = time.process_time() - began
    await dispatcher.stop()
    await journal.stop()
    return spent / len(events) * 1e6
