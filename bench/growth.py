"""How the cost grows: with connections, with publishers, with hook sinks. Figures, and a plot for each.

    python bench/growth.py [--seconds 1.5]

The product alone, on the first core; the load on the second. Each point is CPU time of the product per unit of work, from one
measurement of so many seconds, so single points are as noisy as the machine; the trend is what they are for. The plots are
drawn by matplotlib in its own environment (``make bench-setup``); without it the figures are written and the plots are not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import machine
import media
import traffic
import uvloop
from hooks import Instant, lives
from origins import Whole
from peers import BENCH, PEER_PYTHON, Product
from results import Results
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.journal import Journal
from smproxy.signaling.clock import Clock

CONNECTIONS = (10, 100, 1000, 5000)
PUBLISHERS = (10, 25, 50, 100, 150)
SINKS = (1, 2, 5, 10, 25, 50)
#: Sessions of which the hooks are counted, eight each.
SESSIONS = 250
ROUNDS = 3

Points = list[tuple[float, float]]


def relay_points(seconds: float) -> Points:
    """Return connections, and microseconds of CPU per message of 200 bytes there and back."""
    found: Points = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        origin, hooks, port = (machine.free_port() for _ in range(3))
        command = [sys.executable, str(BENCH / "traffic.py"), str(origin)]
        stack.enter_context(machine.process(command, core=machine.DRIVER, port=origin))
        command = [sys.executable, str(BENCH / "relay.py"), "--receive", str(hooks)]
        stack.enter_context(machine.process(command, core=machine.DRIVER, port=hooks))
        command = Product(f"http://127.0.0.1:{hooks}/").command(folder, port, origin)
        pid = stack.enter_context(machine.process(command, core=machine.TESTED, port=port, log=folder / "log"))
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
            found = uvloop.run(crowd_cost(media.Crowd(server, port), pid, count, seconds))
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


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """Return the power with which the second grows with the first, by least squares of the logarithms."""
    xs, ys = [math.log(x) for x, _ in points], [math.log(y) for _, y in points]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / sum((x - mean_x) ** 2 for x in xs)


def draw(plots: dict[str, Any]) -> str | None:
    """Draw the plots; say why not when that is not possible."""
    python = PEER_PYTHON / "python"
    if not python.exists():
        return "matplotlib: make bench-setup"
    done = subprocess.run(
        [str(python), str(BENCH / "plot.py")], input=json.dumps(plots), capture_output=True, text=True, check=False
    )
    return None if done.returncode == 0 else f"the plots: {done.stderr.strip().splitlines()[-1]}"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=1.5)
    seconds = parser.parse_args().seconds
    machine.pin(machine.DRIVER)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    messages = relay_points(seconds)
    publishers, told = publisher_points(2 * seconds)
    sinks = sink_points()
    results = Results(
        "growth", ["what", *(f"{name} point" for name in ("first", "middle", "last")), "grows with the power"]
    )
    plots = {
        "growth-connections": ("connections", "CPU per message, µs", messages, True),
        "growth-publishers": ("publishers", "% of a core", publishers, False),
        "growth-sinks": ("hook sinks", "CPU per hook, µs", sinks, False),
    }
    for across, up, points, _ in plots.values():
        shown = [points[0], points[len(points) // 2], points[-1]]
        results.rows.append(
            [f"{up}, by {across}", *(f"{y:,.1f} at {x:,.0f}" for x, y in shown), f"{exponent(points):.2f}"]
        )
    results.notes = [
        f"The best of {ROUNDS} measurements each (publishers: one). At {PUBLISHERS[-1]} publishers "
        f"{100 * told[-1]['lost']:.2f} % of the packets were lost, each had "
        f"{told[-1]['reports'] / (2 * seconds + 2.2):.1f} receiver reports a second"
        f"{'' if told[-1]['remb'] else ' and no REMB'}, and the generator sent "
        f"{100 * told[-1]['rate'] / media.packets_per_second():.0f} % of what was due."
    ]
    if (why := draw(plots)) is not None:
        results.notes.append(f"Missing: {why}.")
    results.data = {name: points for name, (_, _, points, _) in plots.items()} | {"publishers": told}
    results.save()


if __name__ == "__main__":
    main()
