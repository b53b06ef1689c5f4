"""Media over IPv6 only: on the loopback, and between two machines that have nothing else in common."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from smproxy.simulator import Simulator
from smproxy.testing import Subscriber

from tests.helpers import eventually
from tests.integration.conftest import MakePublisher, StartSimulator, published
from tests.terminals import Terminals, machine

SMPROXY = f"{sys.executable} -m smproxy"
_SERVER, _CLIENT = "fd00:213::1", "fd00:213::2"


def _client_addresses(simulator: Simulator) -> set[str]:
    """Return the addresses that clients' media comes from."""
    (node,) = simulator.manager.registry.nodes
    assert node.capture is not None
    rings = [node.capture(each.token, False) for each in simulator.manager.sessions.attempts]
    packets = [packet for ring in rings if ring is not None for packet in ring.since(0).packets if packet.data[0] > 127]
    return {address for packet in packets for address in (packet.source[0], packet.destination[0])}


@pytest.mark.parametrize("media_port", [None, 0])
async def test_on_the_loopback(
    media_port: int | None, start_simulator: StartSimulator, publisher: MakePublisher, tmp_path: Path
) -> None:
    """A server on ::1 names ::1 for media, on one port and on many: a client there publishes and plays without IPv4."""
    simulator = await start_simulator(
        host="::1", media_port=media_port, media_address=("::1",), capture=tmp_path / "packets"
    )
    assert simulator.url.startswith("ws://[::1]:")
    await published(simulator, publisher(simulator, "cam"))
    async with Subscriber(simulator.url, stream="cam", params={"customerScope": "acme"}) as watching:
        await eventually(lambda: watching.statistics["video"].packets > 30, 20)
        addresses = _client_addresses(simulator)
        assert "::1" in addresses
        assert all(":" in each for each in addresses)


@asynccontextmanager
async def _two_machines(directory: Path) -> AsyncIterator[tuple[Terminals, Terminals]]:
    """Open terminals on two machines with an IPv6 cable between them."""
    async with machine() as here, machine(here) as there:
        (pid,) = [each.partition("=")[2] for each in there if each.startswith("--target=")]
        await _run(*here, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", pid)
        for prefix, address in ((here, _SERVER), (there, _CLIENT)):
            await _run(*prefix, "ip", "address", "add", f"{address}/64", "dev", "eth0", "nodad")
            await _run(*prefix, "ip", "link", "set", "eth0", "up")
        terminals = [Terminals(directory / name, prefix) for name, prefix in (("server", here), ("client", there))]
        for each in terminals:
            each.directory.mkdir()
        try:
            yield terminals[0], terminals[1]
        finally:
            for each in reversed(terminals):
                await each.close()


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0, " ".join(command)


@pytest.mark.parametrize("option", ["", "--media-port 5100"])
async def test_between_two_machines(option: str, tmp_path: Path) -> None:
    """A client that reaches the server over IPv6 only publishes and plays, over WHIP, WHEP and the WebSocket."""
    async with _two_machines(tmp_path) as (server, client):
        await server.stays(f"{SMPROXY} serve --host :: --any-host --data-dir :memory: {option}", "Hooks go to")
        url = f"http://[{_SERVER}]:5080/live"
        await client.stays(f"{SMPROXY} publish --whip {url}/whip/endpoint/cam --pattern counter", "live after")
        for source in (f"--whep {url}/whep/endpoint/cam", f"ws://[{_SERVER}]:5080/streammanager --stream cam"):
            seen = await client.ends(f"{SMPROXY} subscribe {source} --duration 2")
            assert re.search(r"\b[1-9]\d* frames of 320x240", seen)
