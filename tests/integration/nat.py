"""A NAT between a client and the origin, which can give the client another port at any time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aioice import stun

Address = tuple[str, int]


class _Port(asyncio.DatagramProtocol):
    """One socket of the box. ``received`` is what came from the origin."""

    transport: asyncio.DatagramTransport

    def __init__(self, take: Any) -> None:
        self._take = take
        self.received: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.received.append(data)
        self._take(data, addr)


class Nat:
    """One mapping: what the client sends to ``inner`` comes to the origin from ``outer``, and back."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.client: Address | None = None
        self.origin: Address | None = None
        self.inner: _Port
        self.outer: _Port
        self._made: list[_Port] = []

    async def _open(self, take: Any) -> _Port:
        _, port = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Port(take), local_addr=(self.host, 0)
        )
        self._made.append(port)
        return port

    async def start(self) -> None:
        self.inner = await self._open(self._from_client)
        self.outer = await self._open(self._from_origin)

    async def change_port(self) -> _Port:
        """Give the client another port, and return the old one, whose datagrams reach nobody from now on."""
        old = self.outer
        self.outer = await self._open(self._from_origin)
        old._take = lambda _data, _addr: None
        return old

    def _from_client(self, data: bytes, addr: Address) -> None:
        self.client = addr
        if self.origin is not None:
            self.outer.transport.sendto(data, self.origin)

    def _from_origin(self, data: bytes, _addr: Address) -> None:
        if self.client is not None:
            self.inner.transport.sendto(data, self.client)

    def behind(self, sdp: str) -> str:
        """Return the origin's description as the client is to see it: the one candidate is the box."""
        candidates = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", sdp)
        self.origin = next((host, int(port)) for host, port in candidates if host == self.host)
        lines = [each for each in sdp.split("\r\n") if "a=candidate" not in each or f" {self.host} " in each]
        text = "\r\n".join(lines)
        inner = self.inner.transport.get_extra_info("sockname")[1]
        return text.replace(f" {self.host} {self.origin[1]} ", f" {self.host} {inner} ")

    def check(self, origin_sdp: str, client_sdp: str) -> bytes:
        """Send a signed check of the client, without a nomination, from its present port; return it."""
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{_of(origin_sdp, 'ice-ufrag')}:{_of(client_sdp, 'ice-ufrag')}"
        request.attributes["PRIORITY"] = 1
        request.attributes["ICE-CONTROLLING"] = 7
        request.add_message_integrity(_of(origin_sdp, "ice-pwd").encode())
        assert self.origin is not None
        self.outer.transport.sendto(bytes(request), self.origin)
        return bytes(request)

    def close(self) -> None:
        for each in self._made:
            each.transport.close()


def _of(sdp: str, name: str) -> str:
    found = re.search(rf"a={name}:(\S+)", sdp)
    assert found is not None
    return found[1]


@asynccontextmanager
async def nat(host: str) -> AsyncIterator[Nat]:
    """Open a box on an address of this machine."""
    box = Nat(host)
    await box.start()
    try:
        yield box
    finally:
        box.close()
