"""Three machines as with a container: the server's, its host with two mapped ports, and a client that reaches the host only."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.terminals import Terminals, machine

#: The host's address for the client; TCP 5080 and UDP 5100 are mapped to the server.
HOST = "10.213.2.1"
_SERVER = "10.213.1.2"

#: Hands on TCP 5080, and UDP 5100 with a socket for each client, as Docker's proxy does.
_FORWARD = """
import asyncio, sys
outside, inside = sys.argv[1:]

async def pump(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

async def connect(reader, writer):
    far_reader, far_writer = await asyncio.open_connection(inside, 5080)
    await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True)

class Back(asyncio.DatagramProtocol):
    def __init__(self, outer, client):
        self.outer, self.client = outer, client
    def datagram_received(self, data, addr):
        self.outer.sendto(data, self.client)

class Outer(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport, self.inner, self.waiting = transport, {}, {}
    def datagram_received(self, data, addr):
        if addr in self.inner:
            return self.inner[addr].sendto(data)
        first = addr not in self.waiting
        self.waiting.setdefault(addr, []).append(data)
        if first:
            self.task = asyncio.get_running_loop().create_task(self.open(addr))
    async def open(self, addr):
        loop = asyncio.get_running_loop()
        there = (inside, 5100)
        transport, _ = await loop.create_datagram_endpoint(lambda: Back(self.transport, addr), remote_addr=there)
        self.inner[addr] = transport
        for data in self.waiting.pop(addr):
            transport.sendto(data)

async def main():
    await asyncio.get_running_loop().create_datagram_endpoint(Outer, local_addr=(outside, 5100))
    server = await asyncio.start_server(connect, outside, 5080)
    print("mapped", flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Machines:
    """Terminals on the server's machine and on the client's."""

    server: Terminals
    client: Terminals


@asynccontextmanager
async def port_mapping(directory: Path, *, udp: bool = True) -> AsyncIterator[Machines]:
    """Open the machines; without ``udp`` only the TCP port is mapped."""
    script = directory / "forward.py"
    script.write_text(_FORWARD if udp else re.sub(r".*create_datagram_endpoint\(Outer.*\n", "", _FORWARD))
    async with machine() as host, machine(host) as inside, machine(host) as outside:
        await _connect(host, inside, f"{_SERVER.rpartition('.')[0]}.1", _SERVER)
        await _connect(host, outside, HOST, f"{HOST.rpartition('.')[0]}.2")
        terminals = [Terminals(directory / name, prefix) for name, prefix in _places(host, inside, outside)]
        for each in terminals:
            each.directory.mkdir()
        try:
            await terminals[0].stays(f"{sys.executable} {script} {HOST} {_SERVER}", "mapped")
            yield Machines(terminals[1], terminals[2])
        finally:
            for each in reversed(terminals):
                await each.close()


def _places(host: list[str], inside: list[str], outside: list[str]) -> list[tuple[str, list[str]]]:
    return [("host", host), ("server", inside), ("client", outside)]


async def _connect(here: list[str], there: list[str], our_address: str, their_address: str) -> None:
    """Lay a cable between two machines."""
    (pid,) = [each.partition("=")[2] for each in there if each.startswith("--target=")]
    name = f"to{pid}"
    await _run(*here, "ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", pid)
    for prefix, device, address in ((here, name, our_address), (there, "eth0", their_address)):
        await _run(*prefix, "ip", "address", "add", f"{address}/24", "dev", device)
        await _run(*prefix, "ip", "link", "set", device, "up")


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0, " ".join(command)
