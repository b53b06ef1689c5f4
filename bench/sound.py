"""What sound alone costs: publishers beside Janus, subscribers beside aiortc's MediaRelay, packet by packet.

    python bench/sound.py [--rounds 3] [--seconds 3]

As bench/media.py and bench/subscribers.py measure, with the same generators, but without pictures: Opus, 50 packets a second. A
packet of sound comes alone, so that nothing of what a wake-up, a system call or a frame costs is shared with other packets.
"""

from __future__ import annotations

import argparse
import asyncio

import machine
import media
import subscribers
import uvloop
from origins import Alone, Janus, OriginServer, Whole
from publishers import on_stage, sounds
from results import Figure, Results

MANY = 100
#: Subscribers of one publisher, by who serves them.
SUBSCRIBERS = {"product": 20, "relay": 4}
#: Consumers of one worker, which has one core, as https://mediasoup.org/documentation/v3/scalability says.
MEDIASOUP = "~500"


async def publishers_cost(server: OriginServer, port: int, pid: int, seconds: float) -> float:
    """Return the CPU time of one packet of publishers of sound, in seconds."""
    crowd = media.Crowd(server, port, video=False)
    async with crowd.many(MANY) as publishers:
        with on_stage(publishers) as stage:
            await asyncio.sleep(1.5)
            sent, cpu = stage.sent, machine.cpu_time(pid)
            await asyncio.sleep(seconds)
            return (machine.cpu_time(pid) - cpu) / 1e9 / (stage.sent - sent)


def run(rounds: int, seconds: float) -> Results:
    """Measure all in turns."""
    machine.pin(machine.DRIVER)
    publishers: dict[str, list[float]] = {}
    watching: dict[str, list[float]] = {}
    servers: list[OriginServer] = [Whole(), Alone(), Janus()]
    missing = [why for each in servers if (why := each.missing()) is not None]
    for number in range(rounds):
        for server in servers:
            if server.missing() is None:
                with media.running(server) as (port, pid):
                    cost = uvloop.run(publishers_cost(server, port, pid, seconds))
                publishers.setdefault(server.name, []).append(cost)
                print(f"round {number + 1}: {server.name}: {1e6 * cost:.1f} µs a packet received", flush=True)
        for way, count in SUBSCRIBERS.items():
            found = uvloop.run(subscribers.measure(way, count, seconds, video=False))
            name = subscribers.NAMES[way]
            watching.setdefault(name, []).append(cost := found["stream"] / 100 / subscribers.SOUND_RATE)
            print(f"round {number + 1}: {name}: {1e6 * cost:.1f} µs a packet forwarded", flush=True)
    results = Results("sound", ["sound alone", "CPU of a packet", "per core"])
    for what, costs in (("publishers", publishers), ("subscribers", watching)):
        for name, values in costs.items():
            per_core = Figure.of([1 / each / subscribers.SOUND_RATE for each in values])
            cost = f"{Figure.of([1e6 * each for each in values]).text(1)} µs"
            results.rows.append([f"{what}: {name}", cost, per_core.text()])
    results.rows.append(["mediasoup, as it says of itself: forwarded tracks, sound or pictures", "", MEDIASOUP])
    size = sum(map(len, sounds())) / len(sounds())
    results.notes = [
        f"Opus, {subscribers.SOUND_RATE} packets of {size:.0f} bytes a second. Median of {rounds} rounds, minimum to maximum, "
        f"{MANY} publishers, {SUBSCRIBERS['product']} and {SUBSCRIBERS['relay']} subscribers. Per core follows from the "
        "CPU time.",
        *(f"Missing: {why}." for why in missing),
    ]
    results.data = {"publishers": publishers, "subscribers": watching}
    return results


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    run(options.rounds, options.seconds).save()


if __name__ == "__main__":
    main()
