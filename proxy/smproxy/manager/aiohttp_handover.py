"""Take a connection from aiohttp: the only place that knows how its server keeps one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_protocol import RequestHandler

from smproxy.http_head import BadRequest, Headers, check_handshake, is_websocket, origin_form
from smproxy.manager.upgrade import error_body


class HandedOver(web.StreamResponse):
    """What a handler returns when the connection is no longer aiohttp's: nothing is written."""

    def __init__(self) -> None:
        super().__init__(status=101)
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write nothing."""
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A valid handshake and its connection, which aiohttp has handed over."""

    target: str
    headers: Headers
    key: str
    subprotocols: tuple[str, ...]
    rest: bytes
    transport: asyncio.Transport
    response: HandedOver


def take(request: web.BaseRequest) -> Taken:
    """Take the connection of an upgrade request away from aiohttp.

    Everything that answers earlier requests has been written: aiohttp serves one request at a time.

    Raises:
        BadRequest: it is no valid WebSocket handshake; the connection is still aiohttp's.
    """
    headers = Headers((name.decode("iso-8859-1"), value.decode("iso-8859-1")) for name, value in request.raw_headers)
    handler: RequestHandler = request.protocol
    transport = handler.transport
    if transport is None:
        raise BadRequest(400, "the connection is gone")
    if not is_websocket(headers) or request.version < (1, 1):
        raise BadRequest(426, "this path is for WebSocket connections", (("Upgrade", "websocket"),))
    target, authority = origin_form(request.raw_path)
    if authority is not None:
        headers["host"] = authority
    version = f"HTTP/{request.version.major}.{request.version.minor}"
    key, subprotocols = check_handshake(request.method, target, version, headers)
    if not handler._upgraded:  # aiohttp takes what follows for HTTP and has parsed it as such
        raise BadRequest(400, "malformed Upgrade header")
    rest, handler._message_tail = handler._message_tail, b""
    handler.transport = None  # before the next line, which would close it
    handler.connection_lost(None)
    return Taken(target, headers, key, subprotocols, rest, transport, HandedOver())


def respond(error: BadRequest, timestamp: int) -> web.Response:
    """Write the same HTTP error as the listener would, for a connection that is aiohttp's."""
    headers = dict(error.headers)
    if error.status == 426:
        headers["Connection"] = "Upgrade"  # RFC 9110, 7.8: an Upgrade field needs it
    headers["Access-Control-Allow-Origin"] = "*"
    return web.Response(
        status=error.status,
        body=error_body(error.text, timestamp),
        content_type="application/json",
        headers=headers,
    )
