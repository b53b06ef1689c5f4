"""The signaling listener: WebSocket and HTTP on one port."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import cast

from aiohttp import web
from websockets.frames import CloseCode
from websockets.utils import accept_key

from smproxy.http_head import BadRequest, check_handshake, parse_headers, parse_request_line
from smproxy.origin.client_socket import CLOSE_TIMEOUT, ClientSocket
from smproxy.origin.connection_request import ConnectionRequest, read_connection_request
from smproxy.origin.settings import OriginSettings
from smproxy.signaling.node_channel import ATTEMPT_HEADER
from smproxy.tasks import Tasks

_log = logging.getLogger(__name__)

#: aiohttp's own log: its lines hold whole request URLs, and so passwords.
_quiet = logging.getLogger("smproxy.origin.http")
_quiet.setLevel(logging.CRITICAL)

#: What a client is told that no manager announced.
NOT_ANNOUNCED = "This origin takes only clients that its stream manager sends: connect to the stream manager's port."
#: Seconds and bytes that a request head may take.
_HEAD_TIMEOUT = 10.0
_MAX_HEAD = 65_536
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*websocket", re.IGNORECASE)

HttpHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
ClientHandler = Callable[[ClientSocket, ConnectionRequest], Awaitable[None]]


class OriginListener:
    """A listening server. Made by :meth:`start`, ended by :meth:`stop`.

    ``admit`` decides on each upgrade request, ``serve_client`` serves one WebSocket until its end.
    """

    def __init__(
        self,
        settings: OriginSettings,
        admit: Callable[[ConnectionRequest], Awaitable[bool]],
        serve_client: ClientHandler,
        http_server: web.Server,
    ) -> None:
        self._settings = settings
        self._admit = admit
        self._serve_client = serve_client
        self._http_server = http_server
        self._server: asyncio.Server | None = None
        self._stopped = False
        self._tasks = Tasks()
        #: Connections that have no head yet or wait to be admitted, and those that are open.
        self._heads: set[_NewConnection] = set()
        self._sockets: set[ClientSocket] = set()
        #: The port that was bound.
        self.port = 0

    @classmethod
    async def start(
        cls,
        settings: OriginSettings,
        admit: Callable[[ConnectionRequest], Awaitable[bool]],
        serve_client: ClientHandler,
        handle_http: HttpHandler,
    ) -> OriginListener:
        """Listen. ``handle_http`` answers every request that is no upgrade.

        Raises:
            OSError: the port is not to be had.
        """
        http_server = web.Server(handle_http, access_log=None, logger=_quiet, keepalive_timeout=30.0)
        listener = cls(settings, admit, serve_client, http_server)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(listener.new_connection, settings.host, settings.port)
        listener._server, listener.port = server, int(next(iter(server.sockets)).getsockname()[1])
        return listener

    async def stop(self) -> None:
        """Close all connections; abort those that do not answer the close."""
        if self._server is None:
            return
        self._stopped = True
        self._server.close()
        self._http_server.pre_shutdown()
        for head in tuple(self._heads):
            head.abort()
        for socket in tuple(self._sockets):
            self._tasks.spawn(socket.close(CloseCode.GOING_AWAY))
        await asyncio.gather(
            self._server.wait_closed(), self._http_server.shutdown(CLOSE_TIMEOUT), self._tasks.settled()
        )

    # connections ------------------------------------------------------------------------------------------------------

    def new_connection(self) -> asyncio.Protocol:
        """Make the protocol of a connection."""
        return _NewConnection(self)

    def came(self, head: _NewConnection) -> None:
        """Count a connection without a head; after the stop it is closed."""
        if self._stopped:
            head.abort()
        else:
            self._heads.add(head)

    def gone(self, head: _NewConnection) -> None:
        """Count it no more: it is gone, or was handed over."""
        self._heads.discard(head)

    def hand_over(self, transport: asyncio.Transport, data: bytes) -> None:
        """Give a connection to the HTTP server; ``data`` is what came of it."""
        handler = self._http_server()
        transport.set_protocol(handler)
        handler.connection_made(transport)
        handler.data_received(data)

    def upgrade(self, head: _NewConnection, transport: asyncio.Transport, lines: bytes) -> None:
        """Answer a request for a WebSocket, and serve it until its end."""
        head.serving = self._tasks.spawn(self._serve(head, transport, lines))

    async def _serve(self, head: _NewConnection, transport: asyncio.Transport, lines: bytes) -> None:
        asked = await self._accept(transport, lines)
        self.gone(head)
        if asked is None or transport.is_closing():
            transport.close()
            return
        socket = ClientSocket(transport, self._settings)
        self._sockets.add(socket)
        code = CloseCode.INTERNAL_ERROR
        try:
            if rest := head.rest:
                socket.data_received(rest)
            await self._serve_client(socket, asked)
            code = CloseCode.NORMAL_CLOSURE
        except Exception as error:
            _log.debug("a client is not served: %s", error)
        finally:
            await socket.close(code)
            self._sockets.discard(socket)

    async def _accept(self, transport: asyncio.Transport, lines: bytes) -> ConnectionRequest | None:
        """Read the head of an upgrade request and answer it; ``None`` when it is refused."""
        first, _, fields = lines.partition(b"\r\n")
        try:
            method, target, version = parse_request_line(first)
            headers = parse_headers(fields)
            key, offered = check_handshake(method, target, version, headers)
        except BadRequest as refusal:
            _refuse(
                transport, refusal.status, f"Failed to open a WebSocket connection: {refusal.text}.", refusal.headers
            )
            return None
        asked = read_connection_request(target, headers.get(ATTEMPT_HEADER.lower()))
        if asked is None:
            _refuse(transport, HTTPStatus.NOT_FOUND, "No such application.")
            return None
        if not await self._admit(asked):
            _refuse(transport, HTTPStatus.FORBIDDEN, NOT_ANNOUNCED)
            return None
        chosen = "Sec-WebSocket-Protocol: json\r\n" if "json" in offered else ""
        transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + f"Sec-WebSocket-Accept: {accept_key(key)}\r\n{chosen}\r\n".encode()
        )
        return asked


class _NewConnection(asyncio.Protocol):
    """A connection whose first request head decides whether it is a WebSocket."""

    def __init__(self, listener: OriginListener) -> None:
        self._listener = listener
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._decided = False
        #: Answers its request for a WebSocket.
        self.serving: asyncio.Task[None] | None = None

    @property
    def rest(self) -> bytes:
        """What came behind the head of an upgrade request."""
        return self._buffer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._deadline = asyncio.get_running_loop().call_later(_HEAD_TIMEOUT, self._transport.abort)
        self._listener.came(self)

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        self._buffer += data
        if self._decided:
            if len(self._buffer) > _MAX_HEAD:
                transport.abort()  # more than a client can have to say before it is answered
            return
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end and len(self._buffer) < _MAX_HEAD and self._buffer.startswith(b"GET "[: len(self._buffer)]):
            return
        self._decide()
        if end and _UPGRADE.search(head):
            self._buffer = rest
            self._listener.upgrade(self, transport, head + b"\r\n")
        else:
            data, self._buffer = self._buffer, b""
            self._listener.gone(self)
            self._listener.hand_over(transport, data)

    def _decide(self) -> None:
        self._decided = True
        if self._deadline is not None:
            self._deadline.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        self._decide()
        self._listener.gone(self)

    def abort(self) -> None:
        """Close the connection at once, also one that waits to be admitted."""
        if self._transport is not None:
            self._transport.abort()
        if self.serving is not None:
            self.serving.cancel()


def _refuse(transport: asyncio.Transport, status: int, why: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
    """Answer with an HTTP error and its reason as a text."""
    body = f"{why}\n".encode()
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers),
        "Connection: close",
        "\r\n",
    ]
    transport.write("\r\n".join(lines).encode() + body)
