"""What of an origin is there at once: its ports, and who may connect.

Nothing here needs the libraries that media needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import web

from smproxy.origin.client_socket import ClientSocket
from smproxy.origin.connection_request import ConnectionRequest
from smproxy.origin.gate import Gate
from smproxy.origin.server import ClientHandler, HttpHandler, OriginListener
from smproxy.origin.settings import OriginSettings
from smproxy.pair_transport import connect_pair
from smproxy.signaling.clock import Clock
from smproxy.signaling.node_channel import Hello

if TYPE_CHECKING:
    from smproxy.origin.ice_tcp import MediaStreams
    from smproxy.origin.media_sockets import MediaSockets

_WILDCARDS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104


class OriginFront:
    """The ports of an origin. Made by :meth:`open`, ended by :meth:`close`.

    Clients that come before :meth:`attach` have their WebSocket, and wait. ``on_client`` is called for each.
    """

    def __init__(self, settings: OriginSettings, clock: Clock) -> None:
        self._settings = settings
        self._listener: OriginListener | None = None
        self._handlers: asyncio.Future[tuple[ClientHandler, HttpHandler]] = asyncio.get_running_loop().create_future()
        self._waiting: set[str | None] = set()
        self.gate = Gate(settings, clock.monotonic)
        self.on_client: Callable[[], None] = lambda: None
        #: Of the media that has ports which all clients share; ``None``: each client has ports of its own.
        self.sockets: MediaSockets | None = None
        #: Where TCP connections with media come in, with ``media_tcp``.
        self.streams: MediaStreams | None = None

    @classmethod
    async def open(cls, settings: OriginSettings, clock: Clock) -> OriginFront:
        """Listen.

        Raises:
            OSError: a port is not to be had.
        """
        front = cls(settings, clock)
        if settings.media_port is not None or settings.media_tcp:
            await front._open_media(clock)
        try:
            front._listener = await OriginListener.start(settings, front._admit, front._serve, front._handle_http)
        except OSError:
            if front.sockets is not None:
                front.sockets.close()
            raise
        return front

    async def _open_media(self, clock: Clock) -> None:
        from smproxy.origin.ice_tcp import MediaStreams, WithStreams
        from smproxy.origin.media_sockets import open_media, own_addresses

        addresses = own_addresses(self._settings, clock.monotonic)
        self.sockets = await open_media(self._settings, addresses)
        if self._settings.media_tcp:
            self.streams = MediaStreams(addresses, self._settings.media_addresses)
            self.sockets = WithStreams(self.sockets, self.streams)

    def connect(self, protocol: asyncio.Protocol) -> None:
        """Connect a client of this process, as if it had come to the port."""
        assert self._listener is not None
        connect_pair(protocol, self._listener.new_connection())

    @property
    def hello(self) -> Hello:
        """What the manager is told of this origin."""
        settings, port = self._settings, self._settings.port if self._listener is None else self._listener.port
        dial = settings.host if settings.host not in _WILDCARDS else "127.0.0.1"
        return Hello(address=settings.address, host=dial, port=port, region=settings.region)

    @property
    def media_port(self) -> int | None:
        """The UDP port of all media; ``None``: each client has ports of its own."""
        return None if self.sockets is None else self.sockets.port

    def attach(self, serve_client: ClientHandler, handle_http: HttpHandler) -> None:
        """Have clients served, also those that wait."""
        self._handlers.set_result((serve_client, handle_http))

    def fail(self, why: Exception) -> None:
        """Turn clients away, also those that wait: nothing will serve them."""
        self._handlers.set_exception(why)
        self._handlers.exception()  # nobody may wait

    def turn_away(self, attempt: str) -> None:
        """Close the connection of an attempt that waits, and take it no more."""
        self.gate.discard(attempt)
        self._waiting.discard(attempt)

    async def stop_listening(self) -> None:
        """Take no more clients, and close the connections of those that are there."""
        if not self._handlers.done():
            self._handlers.cancel()
        if self._listener is not None:
            await self._listener.stop()

    async def close(self) -> None:
        """Stop listening, and close the ports of the media."""
        await self.stop_listening()
        if self.sockets is not None:
            self.sockets.close()

    async def _admit(self, asked: ConnectionRequest) -> bool:
        return await self.gate.admit(asked.attempt, asked.scope)

    async def _serve(self, socket: ClientSocket, asked: ConnectionRequest) -> None:
        if not self._handlers.done():
            self._waiting.add(asked.attempt)
            self.on_client()
            await asyncio.wait((self._handlers,))
            if asked.attempt not in self._waiting:
                return
            self._waiting.discard(asked.attempt)
        serve_client, _ = self._handlers.result()
        await serve_client(socket, asked)

    async def _handle_http(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self._handlers.done():
            self.on_client()
            await asyncio.wait((self._handlers,))
        _, handle_http = self._handlers.result()
        return await handle_http(request)
