"""What an idle connection keeps in memory: this relay beside nginx, haproxy and others.

    python bench/memory.py [--connections 5000] [--rounds 2]

Every relay runs in a process of its own that is started anew for each round. Connections are opened, exchange one message, and
stay. Memory is the proportional set size of the relay's processes, before and after, divided by the number of connections.
The kernel's socket buffers are the same for all of them and not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import sys
import tempfile
from pathlib import Path

import machine
import traffic
import uvloop
from peers import BENCH, Haproxy, Nginx, Peer, Product, Script
from results import Figure, Results

#: KB per connection that the product may take.
TARGET = 8.0


async def hold(port: int, pid: int, connections: int) -> float:
    """Open the connections, let each exchange a message, and return the bytes that each costs."""
    warm = traffic.Load(port, 50, 200, messages=1)
    await warm.start()
    await asyncio.sleep(0.5)
    await warm.stop()
    before = machine.memory(pid)
    quiet = [await traffic.Idle.open(port) for _ in range(connections)]
    await asyncio.sleep(1.0)  # for hooks to be delivered and buffers to be let go
    grown = machine.memory(pid) - before
    for one in quiet:
        one.close()
    return grown / connections


def measure(peer: Peer, connections: int) -> float:
    """Start a relay, measure it, stop it."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        origin, port = machine.free_port(), machine.free_port()
        command = [sys.executable, str(BENCH / "traffic.py"), str(origin)]
        stack.enter_context(machine.process(command, core=machine.DRIVER, port=origin))
        command = peer.command(folder / "peer", port, origin)
        pid = stack.enter_context(machine.process(command, core=machine.TESTED, port=port, log=folder / "log"))
        return uvloop.run(hold(port, pid, connections))


def run(connections: int, rounds: int) -> Results:
    """Measure all relays in turns."""
    machine.pin(machine.DRIVER)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < 3 * connections:
        raise SystemExit(f"{connections} connections need {3 * connections} open files, the limit is {most}: ulimit -n")
    with contextlib.ExitStack() as stack:
        hooks = machine.free_port()
        command = [sys.executable, str(BENCH / "relay.py"), "--receive", str(hooks)]
        stack.enter_context(machine.process(command, core=machine.DRIVER, port=hooks))
        peers: list[Peer] = [
            Product(f"http://127.0.0.1:{hooks}/"),
            Script("product", "its relay alone"),
            Nginx(),
            Haproxy(),
            Script("aiohttp", "aiohttp relay"),
            Script("websockets", "websockets relay"),
        ]
        results = Results("memory", ["relay", f"KB per idle connection, at {connections:,}"])
        costs: dict[str, list[float]] = {peer.name: [] for peer in peers if peer.missing() is None}
        for _ in range(rounds):
            for peer in peers:
                if peer.missing() is None:
                    costs[peer.name].append(measure(peer, connections) / 1024)
                    print(f"{peer.name}: {costs[peer.name][-1]:.1f} KB", flush=True)
    for name, values in costs.items():
        results.rows.append([name, Figure.of(values).text(1)])
    results.notes = [f"Median of {rounds} rounds, minimum to maximum."]
    results.notes += [f"Missing: {why}." for peer in peers if (why := peer.missing()) is not None]
    results.data = {"connections": connections, "target": TARGET, "kb": costs}
    return results


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    run(options.connections, options.rounds).save()


if __name__ == "__main__":
    main()
