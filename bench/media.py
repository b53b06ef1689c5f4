"""What a publisher costs: this origin beside aiortc as it is and Janus, with the same generator, on this machine, now.

    python bench/media.py [--rounds 3] [--seconds 3]

Every server runs in a process of its own on the first core; the publishers share the second. A publisher sends 640x480 VP8 at
30 frames/s and 1.7 Mbit/s and Opus, with sender reports, and key frames on request alone. In each round every server is
measured once, one after the other; it is started anew for each:

    memory      proportional set size before and after so many publishers are connected, without media
    CPU         the CPU time of the server while they send; 1 / (CPU time for the packets of one second) is publishers per core
    handshakes  CPU time for a whole publish: signaling, ICE, DTLS, end; 1 / that is handshakes per second and core
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import machine
import uvloop
from origins import Alone, Janus, OriginServer, OverWhip, Stock, Whole
from peers import BENCH
from publishers import Publisher, on_stage, packets_per_second
from results import Figure, Results
from smproxy.origin.aiortc_dtls import Identity

#: Publishers with which each server is measured: many where one costs little, so that the cost can be measured.
COUNTS = {"aiortc as it is": 4}
#: Seconds until a publisher is as it will be: until it has answered a request for a key frame, its pictures are kept.
SETTLED = 4.5
MANY = 60
#: Publishes of which the cost of one is taken, and how many at a time.
HANDSHAKES, AT_A_TIME = 120, 8
TARGETS = {"publishers": 150, "handshakes": 120, "kb": 400}


class Crowd:
    """Publishers of one server; without ``video`` of sound alone."""

    def __init__(self, server: OriginServer, port: int, video: bool = True) -> None:
        self._server, self._port, self._video = server, port, video
        self._identity = Identity.generateCertificate()
        self._rng = random.Random(1)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Publisher]:
        """Connect a publisher, for as long as the context lasts."""
        publisher = Publisher(self._identity, self._rng, self._server.address, self._video)
        async with self._server.signaling(self._port) as exchange:
            await publisher.open(exchange)
            try:
                yield publisher
            finally:
                await publisher.close()

    @asynccontextmanager
    async def many(self, count: int) -> AsyncIterator[list[Publisher]]:
        """Connect publishers, a few at a time, for as long as the context lasts."""
        turn, leave = asyncio.Semaphore(AT_A_TIME), asyncio.Event()
        there: list[Publisher] = []
        all_there = asyncio.Event()

        async def attend() -> None:
            async with contextlib.AsyncExitStack() as stack:
                async with turn:
                    there.append(await stack.enter_async_context(self.one()))
                if len(there) == count:
                    all_there.set()
                await leave.wait()

        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(attend())
            await asyncio.wait_for(all_there.wait(), 60)
            yield there
            leave.set()

    async def pass_by(self, count: int) -> None:
        """Let publishers come and go, a few at a time."""
        turn = asyncio.Semaphore(AT_A_TIME)

        async def visit() -> None:
            async with turn, self.one():
                pass

        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(visit())


async def media_cost(pid: int, publishers: list[Publisher], seconds: float) -> dict[str, float]:
    """Return what a publisher costs per second, and what became of its packets."""
    with on_stage(publishers) as stage:
        await asyncio.sleep(SETTLED)
        stage.late = 0.0
        sent, lost, cpu, began = stage.sent, stage.lost(), machine.cpu_time(pid), time.monotonic()
        await asyncio.sleep(seconds)
        sent, spent, took = stage.sent - sent, (machine.cpu_time(pid) - cpu) / 1e9, time.monotonic() - began
        await asyncio.sleep(1.2)  # for the last reports
        lost = stage.lost() - lost
    reports = sum(each.feedback.reports for each in publishers)
    return {
        "publisher": spent / sent * packets_per_second(),
        "busy": spent / took,
        "rate": sent / took / len(publishers),
        "lost": lost / max(sent, 1),
        "reports": reports / len(publishers),
        "remb": sum(each.feedback.remb for each in publishers) / len(publishers),
        "late": stage.late,
    }


async def measure(server: OriginServer, port: int, pid: int, count: int, seconds: float) -> dict[str, float]:
    """Measure one server."""
    crowd = Crowd(server, port)
    await crowd.pass_by(AT_A_TIME)
    before = machine.memory(pid)
    async with crowd.many(count) as publishers:
        await asyncio.sleep(0.5)
        grown = (machine.memory(pid) - before) / count
        found = await media_cost(pid, publishers, seconds)
    await asyncio.sleep(1.0)
    cpu = machine.cpu_time(pid)
    handshakes = HANDSHAKES if count > 10 else HANDSHAKES // 4
    await crowd.pass_by(handshakes)
    await asyncio.sleep(0.5)
    return found | {"kb": grown / 1024, "handshake": (machine.cpu_time(pid) - cpu) / 1e9 / handshakes}


def servers(hook_uri: str) -> list[OriginServer]:
    """Return all that are compared."""
    return [Whole(hook_uri), OverWhip(hook_uri), Alone(), Stock(), Janus()]


@contextlib.contextmanager
def running(server: OriginServer) -> Iterator[tuple[int, int]]:
    """Start a server; yield port and process id."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = machine.free_port()
        command = server.command(folder, port)
        yield port, stack.enter_context(machine.process(command, core=machine.TESTED, port=port, log=folder / "log"))


def run(rounds: int, seconds: float, only: str = "") -> Results:
    """Measure all servers in turns."""
    machine.pin(machine.DRIVER)
    found: dict[str, list[dict[str, float]]] = {}
    missing: list[str] = []
    with contextlib.ExitStack() as stack:
        hooks = machine.free_port()
        command = [sys.executable, str(BENCH / "relay.py"), "--receive", str(hooks)]
        stack.enter_context(machine.process(command, core=machine.DRIVER, port=hooks))
        there = [each for each in servers(f"http://127.0.0.1:{hooks}/") if only in each.name]
        missing = [why for each in there if (why := each.missing()) is not None]
        for number in range(rounds):
            for server in there:
                if server.missing() is not None:
                    continue
                with running(server) as (port, pid):
                    count = COUNTS.get(server.name, MANY)
                    one = uvloop.run(measure(server, port, pid, count, seconds))
                found.setdefault(server.name, []).append(one)
                print(
                    f"round {number + 1}: {server.name}: {100 * one['publisher']:.2f} % of a core for a publisher, "
                    f"{1000 * one['handshake']:.2f} ms for a handshake, {one['kb']:.0f} KB; "
                    f"{one['rate']:.0f} packets/s each, {100 * one['lost']:.2f} % lost, late {one['late']:.2f} s, "
                    f"{one['reports']:.1f} reports, {one['remb']:.1f} REMB",
                    flush=True,
                )
    head = ["server", "publishers per core", "CPU of one", "handshakes/s per core", "KB per session"]
    results = Results("media", head)
    for name, values in found.items():
        results.rows.append(
            [
                name,
                Figure.of([1 / each["publisher"] for each in values]).text(),
                f"{100 * statistics.median(each['publisher'] for each in values):.2f} %",
                Figure.of([1 / each["handshake"] for each in values]).text(),
                Figure.of([each["kb"] for each in values]).text(),
            ]
        )
    targets = [
        "*target*",
        *(f"*≥ {TARGETS['publishers']}*", "", f"*≥ {TARGETS['handshakes']}*", f"*≤ {TARGETS['kb']}*"),
    ]
    results.rows.append(targets)
    results.notes = [
        f"VP8 640x480 at 30 frames/s and Opus, {packets_per_second():.0f} packets/s. Median of {rounds} rounds, minimum to "
        f"maximum, each with {MANY} publishers at a time (aiortc: {COUNTS['aiortc as it is']}, which is what it can take "
        "beside its decoding). Publishers and handshakes per core follow from the CPU time of one.",
        *(f"Missing: {why}." for why in missing),
    ]
    results.data = {"targets": TARGETS, "servers": found, "packets_per_second": packets_per_second()}
    return results


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--server", default="", help="only servers whose name has this in it; nothing is written")
    options = parser.parse_args()
    results = run(options.rounds, options.seconds, options.server)
    if options.server:
        print(results.table())
    else:
        results.save()


if __name__ == "__main__":
    main()
