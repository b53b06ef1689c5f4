"""Connections in memory: what is written arrives after a fixed time, in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from aiohttp import BaseConnector
from aiohttp.client_proto import ResponseHandler


class SimulatedEnd(asyncio.Transport):
    """One end of a connection; ``peer`` is the other one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, delay: float, peername: tuple[str, int]) -> None:
        super().__init__({"peername": peername, "sockname": ("10.0.0.1", 80)})
        self._loop = loop
        self._delay = delay
        self._queue: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        self._protocol: Any = None
        self._held: list[bytes] | None = None
        self._closing = False
        self._lost = False
        self.peer: SimulatedEnd = self

    def begin(self, protocol: Any) -> None:
        """Take a protocol."""
        self._protocol = protocol
        protocol.connection_made(self)

    # what arrives

    def _later(self, work: Callable[..., None], *arguments: object) -> None:
        # A queue, since timers of the same moment may come in any order.
        self._queue.append((work, arguments))
        self._loop.call_at(self._loop.time() + self._delay, self._next)

    def _next(self) -> None:
        work, arguments = self._queue.popleft()
        work(*arguments)

    def _arrived(self, data: bytes) -> None:
        if self._held is not None:
            self._held.append(data)
        elif not self._closing:
            self._protocol.data_received(data)

    def _ended(self) -> None:
        if not self._lost and not self._protocol.eof_received():
            self.close()

    def _broken(self) -> None:
        if not self._lost:
            self._lose(ConnectionResetError("simulated"))

    def _lose(self, error: Exception | None) -> None:
        self._closing = self._lost = True
        self._loop.call_soon(self._protocol.connection_lost, error)

    # the interface of a transport

    def write(self, data: Any) -> None:
        """Send."""
        if not self._closing:
            self._later(self.peer._arrived, bytes(data))

    def write_eof(self) -> None:
        """Send a FIN."""
        if not self._closing:
            self._later(self.peer._ended)

    def can_write_eof(self) -> bool:
        """Return true."""
        return True

    def close(self) -> None:
        """Close after what was written."""
        if not self._closing:
            self._later(self.peer._ended)
            self._lose(None)

    def abort(self) -> None:
        """Break the connection."""
        if not self._lost:
            self._later(self.peer._broken)
            self._lose(None)

    def is_closing(self) -> bool:
        """Return whether it was closed."""
        return self._closing

    def pause_reading(self) -> None:
        """Hold what comes."""
        self._held = [] if self._held is None else self._held

    def resume_reading(self) -> None:
        """Hand on what was held."""
        held, self._held = self._held or [], None
        for data in held:
            self._arrived(data)

    def is_reading(self) -> bool:
        """Return whether nothing is held."""
        return self._held is None

    def get_protocol(self) -> Any:
        """Return the protocol."""
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        """Change the protocol."""
        self._protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Do nothing: the network takes all."""

    def get_write_buffer_size(self) -> int:
        """Return 0: the network takes all."""
        return 0


def connect(client: Any, server: Any, delay: float, address: tuple[str, int] = ("10.0.0.2", 4711)) -> SimulatedEnd:
    """Connect two protocols; return the client's end."""
    loop = asyncio.get_running_loop()
    near, far = SimulatedEnd(loop, delay, ("10.0.0.1", 80)), SimulatedEnd(loop, delay, address)
    near.peer, far.peer = far, near
    far._protocol = server
    near.begin(client)
    far.begin(server)
    return near


class SimulatedConnector(BaseConnector):
    """Has aiohttp's client connect through the loop, without sockets and name resolution."""

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:
        protocol: ResponseHandler = self._factory()
        await asyncio.get_running_loop().create_connection(lambda: protocol, req.url.raw_host, req.url.port)
        return protocol
