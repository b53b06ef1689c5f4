"""The one port: reads the first request head of a connection, then hands it to its protocol."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from aiohttp import web

from smproxy.http_head import (
    HEAD_LIMIT,
    BadRequest,
    Headers,
    check_handshake,
    is_websocket,
    origin_form,
    parse_headers,
    parse_request_line,
    with_target,
)
from smproxy.manager.aiohttp_handover import Taken, respond, take
from smproxy.manager.deadlines import HttpDeadlines, HttpTimes
from smproxy.manager.trusted_proxies import TrustedProxies
from smproxy.manager.upgrade import UpgradeRequest, http_error
from smproxy.signaling.clock import Clock

logger = logging.getLogger(__name__)

#: So many connections above the limit get their 503; those above that are just cut.
ABOVE_LIMIT = 64


class Listener:
    """A factory of protocols for one or more listening sockets, plain or TLS.

    A WebSocket upgrade on a path for signaling becomes an ``UpgradeRequest`` for ``upgrade``. Everything else, also upgrades
    on other paths, goes to the HTTP server with every byte that was read: ``http`` makes its protocol for a connection.

    At most ``max_connections`` at a time, of every kind. When there are as many, the one that has kept the server waiting
    longest, for a head, a body, the next request or the reading of an answer, gives way to a new one.

    ``proxies`` are believed who the client of an upgrade is.
    """

    def __init__(
        self,
        *,
        http: Callable[[Connection], asyncio.Protocol],
        is_socket_path: Callable[[str], bool],
        upgrade: Callable[[UpgradeRequest], None],
        clock: Clock,
        times: HttpTimes = HttpTimes(),  # noqa: B008 - immutable
        max_connections: int = 10_000,
        proxies: TrustedProxies | None = None,
    ) -> None:
        self.http = http
        self.is_socket_path = is_socket_path
        self.clock = clock
        self.max_connections = max_connections
        self.proxies = proxies
        self.deadlines = HttpDeadlines(times)
        self.connections = 0
        self.stopping = False
        #: Takes connections that begin as framed media does (RFC 4571), and what to call when they are gone.
        self.media: Callable[[asyncio.Transport, Callable[[], None]], asyncio.Protocol] | None = None
        self._upgrade = upgrade
        self._owned: set[Connection] = set()
        self._disowned = asyncio.Event()

    def __call__(self) -> asyncio.Protocol:
        return Connection(self)

    def takeover(self, request: web.BaseRequest) -> web.StreamResponse:
        """Take the connection of an upgrade request that aiohttp has read.

        That is how an upgrade comes in on a connection that has served HTTP before. A request that is no valid handshake gets
        its HTTP error.
        """
        try:
            taken = take(request)
        except BadRequest as error:
            return respond(error, self.clock.wall_ms())
        cast(Connection, taken.transport.get_protocol()).taken(taken)
        return taken.response

    async def stop(self) -> None:
        """Refuse new connections; end those that neither the HTTP server nor the relay has."""
        self.stopping = True
        for connection in list(self._owned):
            connection.abort()
        while self._owned:
            self._disowned.clear()
            await self._disowned.wait()
        self.deadlines.close()

    def enter(self, connection: Connection) -> bool:
        """Count a new connection and return whether there is a place; the slowest gives way."""
        self.connections += 1
        if self.connections <= self.max_connections:
            return True
        slowest = self.deadlines.slowest()
        if slowest is None:
            return False
        self.deadlines.stop(slowest)
        cast(Connection, slowest).abort()
        return True

    def own(self, connection: Connection) -> None:
        """Count a connection among those that ``stop`` ends."""
        self._owned.add(connection)

    def disown(self, connection: Connection) -> None:
        """Undo ``own``."""
        self._owned.discard(connection)
        self._disowned.set()

    def upgrade(self, request: UpgradeRequest) -> None:
        """Pass an upgrade on; whatever goes wrong there costs this client only."""
        try:
            self._upgrade(request)
        except Exception:
            logger.exception("an upgrade request could not be handled")
            if not request.answered:
                request.reject(500, "internal error")


class Connection(asyncio.Protocol):
    """One accepted connection: until its head is read, as HTTP, as an upgrade, or as a refusal."""

    __slots__ = (
        "_buffer", "_counted", "_http", "_listener", "_on_close", "_refused", "_request", "_stalled", "_transport",
    )  # fmt: skip

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._buffer = b""
        self._http: asyncio.Protocol | None = None
        self._request: UpgradeRequest | None = None
        self._refused = False
        self._stalled = False
        self._counted = True
        self._on_close: tuple[Callable[[], None], ...] = ()

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        listener = self._listener
        self._transport = cast(asyncio.Transport, transport)
        listener.own(self)
        if not listener.enter(self):
            if listener.connections > listener.max_connections + ABOVE_LIMIT:
                self.abort()
            else:
                self.refuse(503, "too many connections")
        elif listener.stopping:
            self.abort()
        else:
            listener.deadlines.heads.start(self, self._slow)

    def data_received(self, data: bytes) -> None:
        if self._http is not None:
            if self._listener.deadlines.idle.stop(self):  # the next head begins
                self._listener.deadlines.heads.start(self, self.abort)
            self._http.data_received(data)
        elif self._request is not None:
            self._request.rest += data
        elif not self._refused:
            self._read(data)

    def eof_received(self) -> bool | None:
        if self._http is not None:
            return self._http.eof_received()
        return None

    def pause_writing(self) -> None:
        if self._http is not None:
            self._listener.deadlines.stalled.start(self, self.abort)
            self._http.pause_writing()

    def resume_writing(self) -> None:
        if self._http is not None:
            self._listener.deadlines.stalled.stop(self)
            self._http.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone()
        if self._http is not None:
            self._http.connection_lost(exc)
        elif self._request is not None:
            self._request.closed = True

    # The head

    def _read(self, data: bytes) -> None:
        seen = len(self._buffer)
        if not seen and data[:1] == b"\0" and self._listener.media is not None:
            self._listener.deadlines.stop(self)
            media = self._listener.media(self._transport, self.gone)
            self.hand_over(media)
            media.data_received(data)
            return
        buffer = self._buffer + data if seen else data
        if buffer[:1] in (b"\r", b"\n"):  # empty lines before a request are ignored (RFC 9112, 2.2)
            buffer, seen = buffer.lstrip(b"\r\n"), 0
        end = buffer.find(b"\r\n\r\n", max(0, seen - 3))
        if end < 0 and len(buffer) <= HEAD_LIMIT:
            if buffer and not buffer[:1].isalpha():
                self.refuse(400, "this is not HTTP")
            self._buffer = buffer
            return
        self._buffer = b""
        self._listener.deadlines.stop(self)
        try:
            if not 0 <= end <= HEAD_LIMIT:
                line = buffer.find(b"\r\n")
                status = 431 if 0 <= line <= HEAD_LIMIT else 414
                raise BadRequest(status, f"request head longer than {HEAD_LIMIT} bytes")
            self._dispatch(buffer, end + 2)
        except BadRequest as error:
            self.refuse(error.status, error.text, error.headers)

    def _dispatch(self, buffer: bytes, end: int) -> None:
        line = buffer.find(b"\r\n")
        method, target, version = parse_request_line(buffer[:line])
        target, authority = origin_form(target)
        if authority is not None:
            buffer = with_target(buffer[: end + 2], method, target, version, authority) + buffer[end + 2 :]
            line, end = buffer.find(b"\r\n"), buffer.find(b"\r\n\r\n") + 2
        if self._listener.is_socket_path(target.partition("?")[0]) and b"upgrade" in buffer[line:end].lower():
            headers = parse_headers(buffer[line + 2 : end])
            if is_websocket(headers):
                key, subprotocols = check_handshake(method, target, version, headers)
                self._pass_on(target, headers, key, subprotocols, buffer[end + 2 :])
                return
        self._http = http = self._listener.http(self)
        self._listener.disown(self)
        http.connection_made(self._transport)
        http.data_received(buffer)

    def _slow(self) -> None:
        self.refuse(408, "the request head took too long")

    # What the HTTP server reports

    def busy(self) -> None:
        """A request is being answered: its time is that of its handler."""
        self._listener.deadlines.stop(self)

    def body(self, too_slow: Callable[[], None]) -> None:
        """The body of a request is being read; ``too_slow`` is called when that takes too long."""
        self._listener.deadlines.bodies.start(self, too_slow)

    def idle(self) -> None:
        """A request has been answered: the next one may come."""
        if self._http is not None and self._counted:
            self._listener.deadlines.stop(self)
            self._listener.deadlines.idle.start(self, self._transport.close)

    def on_close(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back once the connection is gone; return what undoes that."""
        self._on_close = (*self._on_close, callback)

        def undo() -> None:
            self._on_close = tuple(each for each in self._on_close if each is not callback)

        return undo

    # What becomes of it

    def taken(self, taken: Taken) -> None:
        """Pass on an upgrade whose connection aiohttp has handed over."""
        self._http = None
        self._stalled = True  # aiohttp may have paused reading
        self._listener.own(self)
        self._pass_on(taken.target, taken.headers, taken.key, taken.subprotocols, taken.rest)

    def _pass_on(self, target: str, headers: Headers, key: str, subprotocols: tuple[str, ...], rest: bytes) -> None:
        self._request = request = UpgradeRequest(
            target=target,
            headers=headers,
            key=key,
            subprotocols=subprotocols,
            transport=self._transport,
            rest=rest,
            keeper=self,
            proxies=self._listener.proxies,
        )
        self._listener.upgrade(request)
        if not request.answered:
            self._stalled = True
            self._transport.pause_reading()

    def refuse(self, status: int, error: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Answer with an HTTP error; then wait for the client to go, for a while."""
        self._refused = True
        self._request = None
        transport = self._transport
        deadlines = self._listener.deadlines
        deadlines.stop(self)
        if transport.is_closing():
            return
        transport.write(http_error(status, error, self._listener.clock.wall_ms(), headers))
        if self._stalled:
            transport.resume_reading()
        if transport.can_write_eof():
            transport.write_eof()
            deadlines.lingering.start(self, transport.abort)
        else:
            deadlines.lingering.start(self, transport.close)

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        """Give the connection to the protocol that answers the upgrade."""
        self._listener.disown(self)
        self._request = None
        self._transport.set_protocol(protocol)
        if self._stalled:
            self._transport.resume_reading()

    def gone(self) -> None:
        """Note, once, that the connection is gone."""
        if self._counted:
            self._counted = False
            self._listener.connections -= 1
            self._listener.deadlines.stop(self)
            self._listener.disown(self)
            for callback in self._on_close:
                callback()

    def abort(self) -> None:
        """End the connection at once."""
        self._refused = True
        self._transport.abort()
