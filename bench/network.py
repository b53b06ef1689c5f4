"""What bad networks, one port, media over TCP's option and captures cost, and how true a bad network is to its conditions.

    python bench/network.py [--rounds 5] [--seconds 3]

The cost is that of a publisher, as bench/media.py measures it, of this project as its users run it: with ports of its own for
each client, with one port for all, on a bad network, on one where nothing is done, and with captured packets. In each round
each is measured once, one after the other.

The truth is measured on real sockets, at a light load and at a high one: how much later than asked a datagram arrives, and how
much of a rate passes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
import uvloop
from media import Crowd, media_cost
from origins import Whole
from publishers import packets_per_second
from results import Figure, Results
from smproxy.network import Conditions, NetworkLink
from smproxy.network.link import HEADERS
from smproxy.origin.impaired_path import DelayLine

MANY = 60
DELAYS = (0, 20, 150)
RATES = (300, 2_000, 10_000)
#: Bytes of a datagram of video.
DATAGRAM = 1_200


class Variant(Whole):
    """This project with some options, and a parameter that its clients send."""

    def __init__(self, name: str, *options: str, simulate: str = "") -> None:
        super().__init__()
        self.name = name
        self._options = options
        self.query = f"&simulate={simulate}" if simulate else ""

    def command(self, folder: Path, port: int) -> list[str]:
        """Return the command line."""
        options = [each.replace("FOLDER", str(folder)) for each in self._options]
        return [*super().command(folder, port), *options]


VARIANTS = (
    Variant("ports of its own for each client"),
    Variant("one port for all", "--media-port", "0"),
    Variant("media over TCP offered, too", "--media-tcp"),
    Variant("a bad network: 40 ms of delay, 20 of jitter, 1 % loss", simulate="network:delay=40:jitter=20:loss=1"),
    Variant("a network that does nothing", simulate="network:profile=good"),
    Variant("packets captured", "--capture", "FOLDER/packets"),
)


async def measure(server: Variant, port: int, pid: int, count: int, seconds: float) -> dict[str, float]:
    """Measure the cost of a publisher with these options."""
    crowd = Crowd(server, port)
    async with crowd.many(count) as publishers:
        return await media_cost(pid, publishers, seconds)


@contextlib.contextmanager
def running(server: Variant) -> Iterator[tuple[int, int]]:
    """Start a server; yield port and process id."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = machine.free_port()
        command = server.command(folder, port)
        yield port, stack.enter_context(machine.process(command, core=machine.TESTED, port=port, log=folder / "log"))


@dataclass
class _Arrivals(asyncio.DatagramProtocol):
    """Notes when datagrams arrive that have gone over a link; each begins with its number."""

    line: DelayLine
    at: dict[int, float]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.line.put(self._arrived, data, addr)

    def _arrived(self, data: bytes, addr: Any) -> None:
        self.at[int.from_bytes(data[:4], "big")] = time.monotonic()


async def over_a_link(conditions: Conditions, count: int, interval: float) -> tuple[list[float], dict[int, float]]:
    """Send datagrams over a link between two real sockets; return when each was sent and when it arrived."""
    loop = asyncio.get_running_loop()
    line = DelayLine(NetworkLink(conditions, random.Random(1)))
    transport, arrivals = await loop.create_datagram_endpoint(lambda: _Arrivals(line, {}), ("127.0.0.1", 0))
    sent = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(transport.get_extra_info("sockname"))
        due = time.monotonic()
        for number in range(count):
            sender.send(number.to_bytes(4, "big") + bytes(DATAGRAM - 4))
            sent.append(time.monotonic())
            due += interval
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.sleep(conditions.delay / 1000 + conditions.queue / 1000 + 0.1)
    transport.close()
    return sent, arrivals.at


async def lateness(delay: float) -> list[float]:
    """Return how many ms later than asked each of some datagrams comes, at a light load."""
    sent, arrived = await over_a_link(Conditions(delay=delay), 200, 0.01)
    return sorted(1000 * (arrived[n] - at) - delay for n, at in enumerate(sent) if n in arrived)


async def passed(rate: float, seconds: float = 3.0) -> float:
    """Return how much of a rate passes when half as much again is sent: 1 is all of it."""
    size = (DATAGRAM + HEADERS) * 8
    interval = size / (1.5 * rate * 1000)
    _, arrived = await over_a_link(Conditions(rate=rate, queue=200), int(seconds / interval), interval)
    times = sorted(arrived.values())
    return size * (len(times) - 1) / (times[-1] - times[0]) / (rate * 1000)


async def truth(rounds: int) -> dict[str, list[float]]:
    """Measure lateness and rates in turns."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for delay in DELAYS:
            late = await lateness(delay)
            found.setdefault(f"delay {delay}", []).append(statistics.median(late))
            found.setdefault(f"delay {delay} p99", []).append(late[int(len(late) * 0.99)])
        for rate in RATES:
            found.setdefault(f"rate {rate}", []).append(await passed(rate))
    return found


def costs(rounds: int, seconds: float) -> dict[str, list[dict[str, float]]]:
    """Measure all variants in turns."""
    machine.pin(machine.DRIVER)
    found: dict[str, list[dict[str, float]]] = {}
    for number in range(rounds):
        for variant in VARIANTS:
            with running(variant) as (port, pid):
                one = uvloop.run(measure(variant, port, pid, MANY, seconds))
            found.setdefault(variant.name, []).append(one)
            print(
                f"round {number + 1}: {variant.name}: {100 * one['publisher']:.3f} % of a core for a publisher; "
                f"{one['rate']:.0f} packets/s each, {100 * one['lost']:.2f} % lost, late {one['late']:.2f} s",
                flush=True,
            )
    return found


def run(rounds: int, seconds: float) -> Results:
    """Measure everything and put it in a table."""
    machine.pin(machine.DRIVER)
    accuracy = uvloop.run(truth(rounds))
    found = costs(rounds, seconds)
    base = [each["publisher"] for each in found[VARIANTS[0].name]]
    results = Results("network", ["a publisher", "publishers per core", "times the CPU of the first"])
    for name, values in found.items():
        own = [each["publisher"] for each in values]
        times = Figure.of([one / first for one, first in zip(own, base, strict=True)])
        results.rows.append([name, Figure.of([1 / each for each in own]).text(), times.text(2)])
    delays = ", ".join(
        f"{delay} ms: {Figure.of(accuracy[f'delay {delay}']).text(1)}, p99 {Figure.of(accuracy[f'delay {delay} p99']).text(1)}"
        for delay in DELAYS
    )
    rates = ", ".join(
        f"{rate} kbit/s: {Figure.of([100 * each for each in accuracy[f'rate {rate}']]).text(1)}" for rate in RATES
    )
    results.notes = [
        f"VP8 640x480 at 30 frames/s and Opus, {packets_per_second():.0f} packets/s. Median of {rounds} rounds, minimum to "
        f"maximum, each with {MANY} publishers at a time; the ratio is that of each round.",
        f"A delay at a light load, ms later than asked: {delays} (target: within 2).",
        f"A rate with half as much again offered, percent of it that passes: {rates} (target: 95 to 105).",
    ]
    results.data = {"publishers": found, "accuracy": accuracy}
    return results


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    run(options.rounds, options.seconds).save()


if __name__ == "__main__":
    main()
