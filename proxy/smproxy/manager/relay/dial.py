"""Reach an origin: connect and do the opening handshake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, cast

from smproxy.manager.relay.handshake import HandshakeFailed
from smproxy.signaling.payloads import RouteError

#: Connects a protocol to an origin of this process.
Connect = Callable[[asyncio.Protocol], None]


class DialOwner(Protocol):
    """What a dial calls with its outcome."""

    def check(self, head: bytes) -> str | None:
        """Check the origin's response; return its subprotocol or raise ``HandshakeFailed``."""

    def accepted(self, transport: asyncio.Transport, subprotocol: str | None, rest: bytes) -> None:
        """Take the connection; ``rest`` came after the response head."""

    def failed(self, why: str, error: RouteError) -> None:
        """Do without a connection."""


class Dial(asyncio.Protocol):
    """One dial: connects, sends the request, checks the answer.

    Reports one outcome, unless it was cancelled before.

    ``done`` is called when nothing is left of it: the connection was handed over, or is gone.
    """

    def __init__(self, owner: DialOwner, request: bytes, *, limit: int, done: Callable[[Dial], None]) -> None:
        self._owner: DialOwner | None = owner
        self._request = request
        self._limit = limit
        self._done = done
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._address = "", 0
        self._task: asyncio.Task[object] | None = None

    def start(self, host: str, port: int, unreachable: float | None = None, connect: Connect | None = None) -> None:
        """Start to connect, with ``connect`` if there is one.

        ``unreachable``: nothing is connected, and the dial fails after so many seconds.
        """
        if connect is not None and unreachable is None:
            connect(self)
            return
        loop = asyncio.get_running_loop()
        self._address = host, port
        work: Coroutine[Any, Any, object] = (
            loop.create_connection(self._protocol, host, port) if unreachable is None else _unreachable(unreachable)
        )
        self._task = loop.create_task(work)
        self._task.add_done_callback(self._connected)

    def cancel(self, why: str = "", error: RouteError = RouteError.MEDIA_ERROR) -> None:
        """End the dial; with a reason the owner gets ``failed``."""
        owner, self._owner = self._owner, None
        if owner is None:
            return
        if self._transport is not None:
            self._transport.abort()
        elif self._task is not None:
            self._task.cancel()
        if why:
            owner.failed(why, error)

    def _protocol(self) -> Dial:
        return self

    def _connected(self, task: asyncio.Task[object]) -> None:
        self._task = None
        if task.cancelled():
            self.cancel()
            if self._transport is not None:
                self._transport.abort()  # made, and then cancelled: uvloop would keep it, and never report that it is lost
        elif (error := task.exception()) is None:
            return  # connection_lost will come
        elif self._transport is None:
            self.cancel(self._why(error), RouteError.GATEWAY_ERROR)
        self._done(self)

    def _why(self, error: BaseException) -> str:
        host, port = self._address
        if isinstance(error, OSError):
            why = f"origin {host}:{port} cannot be reached: {error.strerror or error}"
        else:
            why = f"origin {host}:{port} has no usable address: {error}"
        return " ".join(why.split())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._owner is None:
            self._transport.abort()
        else:
            self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        owner, transport = self._owner, self._transport
        if owner is None or transport is None:
            return
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n") + 4
        if not 4 <= end <= self._limit:
            if len(self._buffer) >= self._limit:
                self.cancel(f"the origin's response head is longer than {self._limit} bytes")
            elif not b"HTTP/".startswith(self._buffer[:5]):
                self.cancel("the origin's answer is not HTTP/1.1")
            return
        try:
            subprotocol = owner.check(self._buffer[:end])
        except HandshakeFailed as error:
            self.cancel(str(error))
            return
        self._owner = None
        self._done(self)
        owner.accepted(transport, subprotocol, self._buffer[end:])

    def connection_lost(self, exc: Exception | None) -> None:
        self.cancel("the origin closed the connection during the handshake")
        self._done(self)


async def _unreachable(seconds: float) -> None:
    """Fail after a while, as a fault says.

    Raises:
        ConnectionRefusedError: always.
    """
    await asyncio.sleep(seconds)
    raise ConnectionRefusedError(None, "a fault keeps it from being reached")
