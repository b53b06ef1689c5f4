"""Where the time goes: the product under load, sampled by its own CPU time.

    python bench/profiles.py [--seconds 4] [--top 12]

One process each for messages, short sessions with their hooks, and publishers; the share of samples by part of the code.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import machine
import media
import traffic
import uvloop
from origins import Whole
from peers import BENCH, Product
from publishers import on_stage
from results import Results

#: The parts that the table has; the first prefix that fits counts.
PARTS = {
    "the wire: reading, scanning, writing": (
        "manager.relay.leg", "manager.relay.scanner", "manager.relay.message_filter", "pair_transport",
    ),
    "connecting: HTTP heads, handshakes, dials": (
        "manager.listener", "http_head", "manager.upgrade", "manager.relay.handshake", "manager.relay.dial",
        "manager.deadlines", "manager.relay.connection", "manager.relay.relay", "manager.relay.legs",
    ),
    "reading along, sessions, transcripts": ("manager.", "signaling."),
    "hooks: events, journal, delivery": ("hooks.",),
    "media: SRTP, RTP, RTCP, UDP": (
        "origin.client_transport", "origin.publisher_transport", "origin.track", "origin.rtp", "origin.rtcp", "origin.ice",
        "origin.codecs", "origin.local_socket", "origin.media_sockets", "origin.srtp", "origin.udp_sender", "origin.forward",
    ),
    "the rest of the origin": ("origin.",),
    "event loop and libraries": ("",),
}  # fmt: skip


def part_of(function: str) -> str:
    """Name the part that a function belongs to."""
    return next(part for part, prefixes in PARTS.items() if function.startswith(prefixes))


def sample(
    command: list[str], port: int, load: Callable[[Callable[[], None]], Awaitable[None]], folder: Path
) -> collections.Counter[str]:
    """Run a command line of this project under load; return the samples by function."""
    output = folder / "samples.json"
    sampled = [sys.executable, str(BENCH / "sampled.py"), str(output), *command[command.index("-m") + 1 :]]
    with machine.process(sampled, core=machine.TESTED, port=port, log=folder / "log") as pid:
        uvloop.run(load(lambda: os.kill(pid, signal.SIGUSR1)))
    return collections.Counter(json.loads(output.read_text()))


def relayed(messages: int, seconds: float) -> collections.Counter[str]:
    """Sample the relay, with connections that stay (0 messages) or come and go."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        origin, hooks, port = (machine.free_port() for _ in range(3))
        for command, its_port in (
            ([sys.executable, str(BENCH / "traffic.py"), str(origin)], origin),
            ([sys.executable, str(BENCH / "relay.py"), "--receive", str(hooks)], hooks),
        ):
            stack.enter_context(machine.process(command, core=machine.DRIVER, port=its_port))

        async def load(begin: Callable[[], None]) -> None:
            clients = traffic.Load(port, 50, 200, messages)
            await clients.start()
            await asyncio.sleep(0.5)
            begin()
            await asyncio.sleep(seconds)
            await clients.stop()

        return sample(Product(f"http://127.0.0.1:{hooks}/").command(folder, port, origin), port, load, folder)


def published(seconds: float) -> collections.Counter[str]:
    """Sample publishers."""
    with tempfile.TemporaryDirectory() as name:
        folder, port, server = Path(name), machine.free_port(), Whole()

        async def load(begin: Callable[[], None]) -> None:
            async with media.Crowd(server, port).many(media.MANY) as publishers:
                with on_stage(publishers):
                    await asyncio.sleep(1)
                    begin()
                    await asyncio.sleep(seconds)

        return sample(server.command(folder, port), port, load, folder)


def main() -> None:
    """Sample, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--top", type=int, default=12, help="functions to print of each")
    options = parser.parse_args()
    machine.pin(machine.DRIVER)
    found = {
        "messages": relayed(0, options.seconds),
        "short sessions": relayed(10, options.seconds),
        "publishers": published(options.seconds),
    }
    results = Results("profile", ["part", *found])
    shares: dict[str, dict[str, float]] = {}
    for what, samples in found.items():
        total = sum(samples.values())
        print(f"{what}: {total} samples")
        for function, count in samples.most_common(options.top):
            print(f"  {100 * count / total:5.1f} %  {function}")
        parts: collections.Counter[str] = collections.Counter()
        for function, count in samples.items():
            parts[part_of(function)] += count
        shares[what] = {part: 100 * count / total for part, count in parts.items()}
    for part in PARTS:
        results.rows.append([part, *(f"{shares[what].get(part, 0):.0f} %" for what in found)])
    results.data = {
        "shares": shares,
        "functions": {what: dict(samples.most_common(40)) for what, samples in found.items()},
    }
    results.save()


if __name__ == "__main__":
    main()
