"""Media over TCP on the port of the pages: hostile connections, and clients whose UDP is blocked."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest
from smproxy.origin import stun
from smproxy.origin.ice_tcp import MAX_STRANGERS
from smproxy.simulator import Simulator
from smproxy.testing import Publisher, PublishError

from tests.helpers import scaled
from tests.integration.conftest import MakePublisher, StartSimulator, published
from tests.integration.port_mapping import HOST, port_mapping

SMPROXY = f"{sys.executable} -m smproxy"

#: Takes UDP on 127.0.0.1:5100 and carries it over TCP, a connection for each client, framed as RFC 4571 has it.
_BRIDGE = """
import asyncio, sys
host, port = sys.argv[1], int(sys.argv[2])

class Udp(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport, self.writers, self.tasks = transport, {}, []
    def datagram_received(self, data, addr):
        if addr not in self.writers:
            self.writers[addr] = []
            self.tasks.append(asyncio.get_running_loop().create_task(self.connect(addr)))
        writer = self.writers[addr]
        framed = len(data).to_bytes(2, "big") + data
        writer.append(framed) if isinstance(writer, list) else writer.write(framed)
    async def connect(self, addr):
        reader, writer = await asyncio.open_connection(host, port)
        waiting, self.writers[addr] = self.writers[addr], writer
        writer.writelines(waiting)
        while True:
            length = int.from_bytes(await reader.readexactly(2), "big")
            self.transport.sendto(await reader.readexactly(length), addr)

async def main():
    await asyncio.get_running_loop().create_datagram_endpoint(Udp, local_addr=("127.0.0.1", 5100))
    print("bridged", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_through_a_port_mapping(tmp_path: Path) -> None:
    """With only the TCP port mapped, media over TCP publishes and plays, over WHIP, WHEP and the WebSocket."""
    script = tmp_path / "bridge.py"
    script.write_text(_BRIDGE)
    async with port_mapping(tmp_path, udp=False) as machines:
        await machines.server.stays(
            f"{SMPROXY} serve --host 0.0.0.0 --any-host --data-dir :memory: --media-tcp --media-port 5100"
            " --media-address 127.0.0.1",
            "Hooks go to",
        )
        await machines.client.stays(f"{sys.executable} {script} {HOST} 5080", "bridged")
        url = f"http://{HOST}:5080/live"
        await machines.client.stays(f"{SMPROXY} publish --whip {url}/whip/endpoint/cam --pattern counter", "live after")
        seen = await machines.client.ends(f"{SMPROXY} subscribe --whep {url}/whep/endpoint/cam --duration 3")
        assert re.search(r"\b[1-9]\d* frames of 320x240", seen)
        proxy = f"ws://{HOST}:5080/streammanager"
        seen = await machines.client.ends(f"{SMPROXY} subscribe {proxy} --stream cam --duration 3")
        assert re.search(r"\b[1-9]\d* frames of 320x240", seen)


async def _candidates(simulator: Simulator) -> set[tuple[str, str, str]]:
    """Return transport, address and port of the candidates that a publisher is told."""
    stream = Publisher(simulator.url, stream="s", params={"customerScope": "acme"}, timeout=1)
    with pytest.raises(PublishError):
        await stream.publish()
    told = "\n".join(frame.text for frame in stream.frames if frame.sender == "server")
    return set(re.findall(r"(udp|tcp) \d+ (\S+) (\d+) typ host", told))


async def test_candidates(start_simulator: StartSimulator) -> None:
    """Only with --media-tcp there are candidates of TCP: passive, at the port of the pages, at what is listened on."""
    plain = await start_simulator(media_address=("203.0.113.9",))
    assert {kind for kind, _, _ in await _candidates(plain)} == {"udp"}
    both = await start_simulator(media_address=("203.0.113.9",), media_tcp=True)
    assert ("tcp", "203.0.113.9", str(both.port)) in await _candidates(both)


async def _cut_off(port: int, sent: bytes) -> bool:
    """Send bytes on a connection; return, when the server has closed it, whether it answered nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    try:
        async with asyncio.timeout(scaled(10)):
            return not await reader.read()
    except ConnectionResetError:
        return True
    finally:
        writer.close()


async def test_strangers_are_cut_off(start_simulator: StartSimulator) -> None:
    """What begins as framed media and is no check for a client that is here is closed, at once or in five seconds."""
    simulator = await start_simulator(media_tcp=True)
    check = stun.write_request(bytes(12), "nobody:here", "password", 1)
    sent = [
        b"\x00", b"\x00\x00", b"\x00\x05hello", b"\x00\x14" + bytes(20), b"\x00\x30\x00\x01\x00",
        len(check).to_bytes(2, "big") + check, b"\x00\x05GET / HTTP/1.1\r\n\r\n",
    ]  # fmt: skip
    assert await asyncio.gather(*(_cut_off(simulator.port, each) for each in sent)) == [True] * len(sent)


async def test_many_strangers(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """Connections that say nothing make room for newer ones, and harm no publisher."""
    simulator = await start_simulator(media_tcp=True)
    opened = []
    for _ in range(MAX_STRANGERS + 20):
        reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
        writer.write(b"\x00")
        opened.append((reader, writer))
    for reader, _ in opened[:20]:
        try:
            assert await asyncio.wait_for(reader.read(), scaled(2)) == b""
        except ConnectionResetError:
            continue
    await published(simulator, publisher(simulator, "cam"))
    for _, writer in opened:
        writer.close()


async def test_without_the_option(start_simulator: StartSimulator) -> None:
    """Without --media-tcp such a connection is answered as anything that is not HTTP."""
    simulator = await start_simulator()
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    writer.write(b"\x00\x14" + bytes(20))
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()
