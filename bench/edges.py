"""How much later a picture is at a subscriber of an edge than at one of the origin.

    python bench/edges.py [--rounds 5] [--seconds 6]

A manager, an origin and an edge, with a NATS server, on one core; a publisher and two subscribers on the other. Each picture
has a number: the difference is between the moments at which the two subscribers have decoded the same picture. In every round
one pair watches at origin and edge, and one pair, both at the origin, shows what the measurement itself adds.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import machine
from results import Figure, Results
from smproxy.testing.clients import make_publisher, make_subscriber
from smproxy.testing.frame_marker import frame_number

#: Milliseconds that an edge may add.
TARGET = 20


class Seen:
    """When a subscriber had each picture."""

    def __init__(self) -> None:
        self.at: dict[int, float] = {}

    def take(self, frame: Any) -> None:
        """Note a picture, once."""
        number = frame_number(frame)
        if number is not None:
            self.at.setdefault(number, time.perf_counter())


async def pair(url: str, hosts: tuple[str, str], seconds: float) -> list[float]:
    """Watch at two nodes; return by how many milliseconds the second had each picture later."""
    seen = Seen(), Seen()
    first, second = (
        make_subscriber(url, "s", {"host": host, "on_picture": each.take})
        for host, each in zip(hosts, seen, strict=True)
    )
    async with first, second:
        await second.wait_for_frames(10)
        for each in seen:
            each.at.clear()
        await asyncio.sleep(seconds)
    common = seen[0].at.keys() & seen[1].at.keys()
    return [(seen[1].at[number] - seen[0].at[number]) * 1000 for number in common]


async def until(base: str, pulls: dict[str, int]) -> None:
    """Wait until the manager has these nodes, which pull so many streams."""
    async with aiohttp.ClientSession() as http, asyncio.timeout(30):
        while True:
            async with http.get(f"{base}/api/v1/nodes") as response:
                nodes = (await response.json())["nodes"]
                if {each["id"]: each["pulls"] for each in nodes} == pulls:
                    return
            await asyncio.sleep(0.1)


async def measure(port: int, rounds: int, seconds: float) -> tuple[list[list[float]], list[list[float]]]:
    """Return the differences of each round: with the edge, and without."""
    url, base = f"ws://127.0.0.1:{port}/streammanager", f"http://127.0.0.1:{port}"
    await until(base, {"origin-1": 0, "edge-1": 0})
    edge: list[list[float]] = []
    origin: list[list[float]] = []
    async with make_publisher(url, "s", {"pattern": "counter", "host": "origin-1"}):
        for _ in range(rounds):
            edge.append(await pair(url, ("origin-1", "edge-1"), seconds))
            await until(base, {"origin-1": 0, "edge-1": 1})  # which lingers: it was really watched at the edge
            origin.append(await pair(url, ("origin-1", "origin-1"), seconds))
    return edge, origin


def run(rounds: int, seconds: float) -> Results:
    """Measure all rounds."""
    port = machine.free_port()
    machine.pin(machine.DRIVER)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "smproxy", "cluster", "--managers", "1", "--origins", "1", "--edges", "1"]
        command += ["--port", str(port), "--data-dir", folder]
        with machine.process(command, core=machine.TESTED, port=port, log=Path(folder) / "log"):
            edge, origin = asyncio.run(measure(port, rounds, seconds))
    results = Results(
        "edges", ["a picture at the second subscriber, later by", "median, ms", "95 of 100 within, ms", "pictures"]
    )
    for name, found in (("origin and edge", edge), ("both at the origin", origin)):
        results.rows.append([name, *(each.text(2) for each in _figures(found)), str(sum(len(each) for each in found))])
    added = Figure.of([_median(one) - _median(other) for one, other in zip(edge, origin, strict=True)])
    results.rows.append(["added by the edge (within a round)", f"**{added.text(2)}**", "", ""])
    verdict = "reached" if added.median < TARGET else "not reached"
    results.notes = [
        f"{rounds} rounds; median of the rounds, minimum to maximum. Target: less than {TARGET} ms, {verdict}."
    ]
    results.data = {"edge": [_median(each) for each in edge], "origin": [_median(each) for each in origin]}
    return results


def _figures(rounds: list[list[float]]) -> tuple[Figure, Figure]:
    return Figure.of([_median(each) for each in rounds]), Figure.of([_part(each, 0.95) for each in rounds])


def _part(values: list[float], part: float) -> float:
    return sorted(values)[int((len(values) - 1) * part)]


def _median(values: list[float]) -> float:
    return _part(values, 0.5)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    run(options.rounds, options.seconds).save()


if __name__ == "__main__":
    main()
