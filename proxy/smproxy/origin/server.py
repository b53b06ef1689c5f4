"""The signaling listener: WebSocket and HTTP on one port."""

from __future__ import annotations

import asyncio
import http
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from aiohttp import web
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from smproxy.origin.connection_request import ConnectionRequest, read_connection_request
from smproxy.origin.settings import OriginSettings
from smproxy.signaling.node_channel import ATTEMPT_HEADER

#: The libraries' own log: its lines hold whole request URLs, and so passwords; what matters the origin logs itself.
_quiet = logging.getLogger("smproxy.origin.websocket")
_quiet.setLevel(logging.CRITICAL)

#: What a client is told that no manager announced.
NOT_ANNOUNCED = "This origin takes only clients that its stream manager sends: connect to the stream manager's port."
#: Seconds that a client has to answer a close.
_CLOSE_TIMEOUT = 0.4
#: Seconds and bytes that a request head may take.
_HEAD_TIMEOUT = 10.0
_MAX_HEAD = 65_536
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*websocket", re.IGNORECASE)

HttpHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class OriginListener:
    """A listening server. Made by :meth:`start`, ended by :meth:`stop`."""

    def __init__(self, server: Server, http_server: web.Server, transports: set[asyncio.BaseTransport]) -> None:
        self._server = server
        self._http_server = http_server
        #: The port that was bound.
        self.port = int(next(iter(server.sockets)).getsockname()[1])
        self._transports = transports

    @classmethod
    async def start(
        cls,
        settings: OriginSettings,
        admit: Callable[[ConnectionRequest], Awaitable[bool]],
        serve_client: Callable[[ServerConnection, ConnectionRequest], Awaitable[None]],
        handle_http: HttpHandler,
    ) -> OriginListener:
        """Listen.

        ``admit`` decides on each upgrade request, ``serve_client`` serves one WebSocket until its end, ``handle_http`` answers
        every other request.

        Raises:
            OSError: the port is not to be had.
        """
        transports: set[asyncio.BaseTransport] = set()
        http_server = web.Server(handle_http, access_log=None, logger=_quiet, keepalive_timeout=30.0)

        class OriginConnection(ServerConnection):
            """A connection whose first request head decides whether it is a WebSocket."""

            _buffer = b""
            _undecided: asyncio.Transport | None = None
            _deadline: asyncio.TimerHandle | None = None

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                transports.add(transport)
                self._undecided = cast(asyncio.Transport, transport)
                self._deadline = asyncio.get_running_loop().call_later(_HEAD_TIMEOUT, self._undecided.abort)

            def data_received(self, data: bytes) -> None:
                transport = self._undecided
                if transport is None:
                    super().data_received(data)
                    return
                self._buffer += data
                head, end, _ = self._buffer.partition(b"\r\n\r\n")
                if not end and len(self._buffer) < _MAX_HEAD and self._buffer.startswith(b"GET "[: len(self._buffer)]):
                    return
                data, self._buffer = self._buffer, b""
                self._decided()
                if _UPGRADE.search(head):
                    super().connection_made(transport)
                    super().data_received(data)
                else:
                    transports.discard(transport)
                    handler = http_server()
                    transport.set_protocol(handler)
                    handler.connection_made(transport)
                    handler.data_received(data)

            def _decided(self) -> None:
                self._undecided = None
                if self._deadline is not None:
                    self._deadline.cancel()

            def eof_received(self) -> None:
                if self._undecided is None:
                    super().eof_received()

            def connection_lost(self, exc: Exception | None) -> None:
                if (transport := self._undecided) is not None:
                    transports.discard(transport)
                    self._decided()
                else:
                    transports.discard(self.transport)
                    super().connection_lost(exc)

        async def handle(connection: ServerConnection) -> None:
            asked = _read(connection.request)
            if asked is not None:  # checked before the upgrade
                await serve_client(connection, asked)

        async def check(connection: ServerConnection, request: Request) -> Response | None:
            asked = _read(request)
            if asked is None:
                return connection.respond(http.HTTPStatus.NOT_FOUND, "No such application.\n")
            return None if await admit(asked) else connection.respond(http.HTTPStatus.FORBIDDEN, f"{NOT_ANNOUNCED}\n")

        server = await serve(
            handle,
            settings.host,
            settings.port,
            process_request=check,
            select_subprotocol=_subprotocol,
            create_connection=OriginConnection,
            logger=_quiet,
            compression=None,
            server_header=None,
            max_size=settings.max_message,
            ping_interval=settings.ping_interval,
            ping_timeout=settings.ping_timeout,
            close_timeout=_CLOSE_TIMEOUT,
        )
        return cls(server, http_server, transports)

    async def stop(self) -> None:
        """Close all connections; abort those that do not answer the close."""
        self._server.close()
        self._http_server.pre_shutdown()
        closed = asyncio.ensure_future(self._server.wait_closed())
        stopping = asyncio.ensure_future(self._http_server.shutdown(_CLOSE_TIMEOUT))
        if not (await asyncio.wait((closed,), timeout=_CLOSE_TIMEOUT))[0]:
            for transport in tuple(self._transports):
                cast(asyncio.WriteTransport, transport).abort()
        await asyncio.gather(closed, stopping)


def _read(request: Request | None) -> ConnectionRequest | None:
    return None if request is None else read_connection_request(request.path, request.headers.get(ATTEMPT_HEADER))


def _subprotocol(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return Subprotocol("json") if "json" in offered else None
