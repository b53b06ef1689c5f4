"""What a relayed message and a short session cost: this relay beside nginx, haproxy and others, on this machine, now.

    python bench/relay.py [--rounds 3] [--seconds 0.7] [--task NAME]

Every relay runs in a process of its own on the first core; the clients and the echo origin, which check every byte, have the
second. In each round every relay is measured once, one after the other, so that what the machine does meanwhile hits all
of them; the ratios are taken within a round. Figures are CPU time of the relay's processes per unit of work, and the share
of nginx's capacity per core that follows. Where a relay did not fill its core the generator was the limit, which is marked; its
CPU time per unit does not depend on it much. The product runs as its users run it: ``smproxy serve`` with its journal
on disk and hooks delivered to an HTTP receiver; "its relay alone" has the same relay without sessions and hooks.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
import traffic
import uvloop
from peers import BENCH, Haproxy, Mitmproxy, Nginx, Peer, Product, Script
from results import Figure, Results

TUNED = "proxy_buffer_size 32k; proxy_buffers 8 32k;"


@dataclass(frozen=True)
class Task:
    """One kind of work. ``target``: the share of nginx's capacity in % that the product is to reach."""

    name: str
    connections: int
    size: int
    messages: int = 0
    target: int | None = None
    #: nginx with buffers that take an SDP is the measure.
    tuned: bool = False


TASKS = (
    Task("200 B, 50 connections", 50, 200, target=70),
    Task("200 B, 500 connections", 500, 200, target=55),
    Task("6 KB, 50 connections", 50, 6000, target=50, tuned=True),
    Task("connect, 10 messages, close", 50, 200, 10, 40),
)


#: Whose capacity shares are of; the first that has figures. With ``tuned`` nginx's buffers take an SDP.
REFERENCES = {False: ("nginx", "websockets relay"), True: ("nginx, tuned", "nginx", "websockets relay")}

#: Seconds that a relay has for all connections of a task.
CONNECTING = 60.0


class NoWork(Exception):
    """A relay has done nothing in the time that it had."""


async def receive_hooks(port: int) -> None:
    """Answer 204 to whatever is posted."""

    class Receiver(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport, self.data = transport, b""

        def data_received(self, data: bytes) -> None:
            self.data += data
            while (end := self.data.find(b"\r\n\r\n")) >= 0:
                length = int(self.data[:end].lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
                if len(self.data) < end + 4 + length:
                    return
                self.data = self.data[end + 4 + length :]
                self.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")  # type: ignore[attr-defined]

    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", port)
    await server.serve_forever()


async def measure(port: int, pid: int, task: Task, seconds: float) -> tuple[float, float]:
    """Return the CPU time per unit in microseconds, and how busy the relay was."""
    load = traffic.Load(port, task.connections, task.size, task.messages)
    try:
        return await under(load, pid, task, seconds, port)
    finally:
        await load.stop()


async def under(load: traffic.Load, pid: int, task: Task, seconds: float, port: int) -> tuple[float, float]:
    """Begin the load and measure the relay under it.

    Raises:
        NoWork, TimeoutError: the relay does not answer.
    """
    async with asyncio.timeout(CONNECTING):
        await load.start()
        while not (task.messages or load.connected):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await asyncio.sleep(seconds / 4 + task.connections / 1000)  # what connecting has left to do is another task
    before, cpu, began = load.done, machine.cpu_time(pid), time.monotonic()
    await asyncio.sleep(seconds)
    spent, work, took = machine.cpu_time(pid) - cpu, load.done - before, time.monotonic() - began
    if not work:
        raise NoWork(f"no work was done on port {port}")
    return spent / work / 1000, spent / took / 1e9


def all_peers(hook_uri: str) -> list[Peer]:
    """Return the relays that are measured."""
    return [
        Product(hook_uri),
        Script("product", "its relay alone"),
        Nginx(),
        Nginx("nginx, tuned", TUNED),
        Haproxy(),
        Script("splice", "splice without checks (uvloop)"),
        Script("aiohttp", "aiohttp relay"),
        Script("websockets", "websockets relay"),
        Mitmproxy(),
    ]


def start(
    stack: contextlib.ExitStack, folder: Path, peers_for: Callable[[str], list[Peer]]
) -> tuple[dict[str, tuple[int, int]], list[str]]:
    """Start the origin, the receiver and every relay that there is; return name to port and process id, and what is missing."""
    origin, hooks = machine.free_port(), machine.free_port()
    stack.enter_context(
        machine.process([sys.executable, str(BENCH / "traffic.py"), str(origin)], core=machine.DRIVER, port=origin)
    )
    command = [sys.executable, str(BENCH / "relay.py"), "--receive", str(hooks)]
    stack.enter_context(machine.process(command, core=machine.DRIVER, port=hooks))
    peers = peers_for(f"http://127.0.0.1:{hooks}/")
    running: dict[str, tuple[int, int]] = {}
    missing: list[str] = []
    for number, peer in enumerate(peers):
        if (why := peer.missing()) is not None:
            missing.append(why)
            continue
        port = machine.free_port()
        place = folder / str(number)
        place.mkdir()
        command = peer.command(place, port, origin)
        running[peer.name] = (
            port,
            stack.enter_context(machine.process(command, core=machine.TESTED, port=port, log=folder / f"{number}.log")),
        )
    return running, missing


def run(
    rounds: int, seconds: float, tasks: tuple[Task, ...], peers_for: Callable[[str], list[Peer]] = all_peers
) -> Results:
    """Measure every relay at every task, in turns."""
    machine.pin(machine.DRIVER)
    results = Results("relay", ["relay", *(task.name for task in tasks), "added latency, median"])
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        relays, missing = start(stack, folder, peers_for)
        shares: dict[str, list[str]] = {name: [] for name in relays}
        given_up: dict[str, str] = {}
        for task in tasks:
            costs: dict[str, list[float]] = {name: [] for name in relays if name not in given_up}
            busy: dict[str, list[float]] = {name: [] for name in costs}
            for _ in range(rounds):
                for name in list(costs):
                    try:
                        cost, used = measured(*relays[name], task, seconds)
                    except STOPPED as error:
                        given_up[name] = f"{name} stopped answering at {task.name} ({error or type(error).__name__})"
                        print(given_up[name], flush=True)
                        del costs[name], busy[name]
                        continue
                    costs[name].append(cost)
                    busy[name].append(used)
            for name in given_up:
                shares[name].append("failed")
            reference = next(name for name in (*REFERENCES[task.tuned], *costs) if name in costs)
            for name, values in costs.items():
                share = Figure.of([100 * base / own for base, own in zip(costs[reference], values, strict=True)])
                limited = "" if statistics.median(busy[name]) > 0.9 else " †"
                shares[name].append(f"{share.text()} %{limited}")
                print(
                    f"{task.name}: {name}: {statistics.median(values):.1f} µs, {share.text()} % of {reference}",
                    flush=True,
                )
            results.data[task.name] = {"reference": reference, "target": task.target, "us": costs, "busy": busy}
        added = waits({name: each for name, each in relays.items() if name not in given_up}, rounds, given_up)
        results.data["latency"] = added
        base = added.get("nginx")
        for name, cells in shares.items():
            if name not in added:
                results.rows.append([name, *cells, "failed"])
                continue
            ratio = ""
            if base is not None:
                ratio = " × nginx's, ".join(
                    [Figure.of([a / b for a, b in zip(added[name], base, strict=True)]).text(2), ""]
                )
            results.rows.append([name, *cells, f"{ratio}{statistics.median(added[name]) * 1e6:.0f} µs"])
    results.notes.append(
        "Share of nginx's capacity per core (of nginx with `proxy_buffer_size 32k` for 6 KB): median of "
        f"{rounds} interleaved rounds, minimum to maximum. † the load generator was the limit: the relay's core was not full."
    )
    results.notes += [*shortfalls(results.data, tasks), *(f"Missing: {each}." for each in missing)]
    results.notes += [f"{each}: no figures from there on." for each in given_up.values()]
    return results


#: How a relay that has stopped answering shows.
STOPPED = (NoWork, TimeoutError, OSError)


def measured(port: int, pid: int, task: Task, seconds: float) -> tuple[float, float]:
    """Measure one relay; once more when it is still busy with what came before.

    Raises:
        NoWork, TimeoutError, OSError: it has stopped answering.
    """
    try:
        return uvloop.run(measure(port, pid, task, seconds))
    except STOPPED:
        time.sleep(2)
        return uvloop.run(measure(port, pid, task, seconds))


def shortfalls(data: dict[str, Any], tasks: tuple[Task, ...]) -> list[str]:
    """Say which targets the product has not reached with everything on, and how far it is; why, no figure here can tell."""
    found: list[str] = []
    for task in tasks:
        costs, reference = data[task.name]["us"], data[task.name]["reference"]
        if Product.name not in costs:
            continue
        pairs = zip(costs[reference], costs[Product.name], strict=True)
        share = 100 * statistics.median(base / own for base, own in pairs)
        if task.target is not None and share < task.target:
            found.append(f"Target not reached: {task.name}: {share:.0f} % of {task.target} %.")
    return found


def waits(relays: dict[str, tuple[int, int]], rounds: int, given_up: dict[str, str]) -> dict[str, list[float]]:
    """Return the median round trip at light load of every relay in every round, in seconds.

    One that stops answering is added to ``given_up``.
    """

    async def look(port: int) -> list[float]:
        async with asyncio.timeout(CONNECTING):
            return await traffic.latency(port, 200, 150, 0.002)

    found: dict[str, list[float]] = {name: [] for name in relays}
    for _ in range(rounds):
        for name in list(found):
            try:
                found[name].append(statistics.median(uvloop.run(look(relays[name][0]))))
            except (*STOPPED, EOFError) as error:
                given_up[name] = f"{name} stopped answering at light load ({error or type(error).__name__})"
                print(given_up[name], flush=True)
                del found[name]
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.7)
    parser.add_argument("--task", help="only the tasks whose name has this in it; nothing is written")
    parser.add_argument("--receive", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.receive:
        with contextlib.suppress(KeyboardInterrupt):
            uvloop.run(receive_hooks(options.receive))
        return
    tasks = tuple(task for task in TASKS if options.task is None or options.task in task.name)
    results = run(options.rounds, options.seconds, tasks)
    if options.task is None:
        results.save()
    else:
        print(results.table())


if __name__ == "__main__":
    main()
