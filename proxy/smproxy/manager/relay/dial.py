"""Reach an origin: connect and do the opening handshake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from smproxy.manager.relay.handshake import HandshakeFailed
from smproxy.signaling.payloads import RouteError


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
        self._task: asyncio.Task[None] | None = None

    def start(self, host: str, port: int, unreachable: float | None = None) -> None:
        """Start to connect.

        ``unreachable``: nothing is connected, and the dial fails after so many seconds.
        """
        self._task = asyncio.get_running_loop().create_task(self._connect(host, port, unreachable))
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

    async def _connect(self, host: str, port: int, unreachable: float | None) -> None:
        why = ""
        try:
            if unreachable is not None:
                await asyncio.sleep(unreachable)
                raise ConnectionRefusedError(None, "a fault keeps it from being reached")
            await asyncio.get_running_loop().create_connection(lambda: self, host, port)
        except OSError as error:
            why = f"origin {host}:{port} cannot be reached: {error.strerror or error}"
        except (ValueError, OverflowError) as error:
            why = f"origin {host}:{port} has no usable address: {error}"
        finally:
            if self._transport is None:
                self.cancel(" ".join(why.split()), RouteError.GATEWAY_ERROR)

    def _connected(self, task: asyncio.Task[None]) -> None:
        # Not left to the task itself: one that is cancelled before its first step does not even reach its ``finally``.
        self._task = None
        if task.cancelled() and self._transport is not None:
            self._transport.abort()  # made, and then cancelled: uvloop would keep it, and never report that it is lost
        if task.cancelled() or self._transport is None:
            self._done(self)

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
