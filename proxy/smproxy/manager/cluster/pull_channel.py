"""Streams between two nodes: a WebSocket for each stream that a node pulls from its origin."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import aiohttp
from aiohttp import WSMsgType, web

from smproxy.cluster.records import NodeRecord
from smproxy.manager.cluster.paths import KEY_HEADER, PULL

logger = logging.getLogger(__name__)

#: Seconds to connect, to close, for one message to be taken, and between two looks whether the other end is there.
_CONNECT_WITHIN = 2.0
_CLOSE_WITHIN = 0.5
_SEND_WITHIN = 5.0
_HEARTBEAT = 4.0
#: Octets of a message: a batch of packets, or what a publisher says.
_MAX_MESSAGE = 1 << 20


class Feed(Protocol):
    """One stream on its way to one other node."""

    broken: bool

    def take(self) -> list[str | bytes]:
        """Return the messages that wait."""

    def receive(self, text: str) -> None:
        """Take a message of the other node. Raises ``ValueError``."""

    def close(self) -> None:
        """Send nothing more."""


OpenFeed = Callable[[str, str, Callable[[], None]], Feed]
"""Begins to send a stream, by scope and name; what is given is called when there is something to send."""


class PullChannels:
    """The streams that other nodes pull from this one."""

    def __init__(self) -> None:
        self._open_feed: OpenFeed | None = None
        self._sockets: set[web.WebSocketResponse] = set()

    def serve_origin(self, open_feed: OpenFeed) -> None:
        """Send the streams of this origin from now on."""
        self._open_feed = open_feed

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(socket.close(code=1001) for socket in tuple(self._sockets)), return_exceptions=True)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Send one stream to another node, which has shown this node's key."""
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT, compress=False, max_msg_size=_MAX_MESSAGE)
        await socket.prepare(request)
        if self._open_feed is None:
            await socket.close(code=1011, message=b"this node has no origin")
            return socket
        ready = asyncio.Event()
        feed = self._open_feed(request.query.get("scope", ""), request.query.get("name", ""), ready.set)
        self._sockets.add(socket)
        sending = asyncio.create_task(_send(socket, feed, ready))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    feed.receive(message.data)
        except ValueError as error:
            logger.warning("a wish of another node cannot be read: %s", error)
        finally:
            feed.close()
            self._sockets.discard(socket)
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await sending
        return socket


async def _send(socket: web.WebSocketResponse, feed: Feed, ready: asyncio.Event) -> None:
    """Send what waits; a node that takes nothing for a while is given up."""
    try:
        while not feed.broken:
            ready.clear()
            for message in feed.take():
                async with asyncio.timeout(_SEND_WITHIN):
                    await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))
            await ready.wait()
    except TimeoutError:
        logger.warning("a node that pulls a stream has read nothing for %g s: its connection is closed", _SEND_WITHIN)
    await socket.close(code=1011)


class PullSocket:
    """A connection to the owner of a stream."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Give what the owner sends, until the connection ends."""
        async for message in self._socket:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                yield message.data

    async def send(self, text: str) -> None:
        """Send a message to the owner."""
        await self._socket.send_str(text)


@contextlib.asynccontextmanager
async def pull_from(http: aiohttp.ClientSession, owner: NodeRecord, scope: str, name: str) -> AsyncIterator[PullSocket]:
    """Connect to the owner of a stream, with its key.

    Raises:
        ConnectionError: it cannot be reached, or refuses.
    """
    try:
        async with asyncio.timeout(_CONNECT_WITHIN):
            socket = await http.ws_connect(
                f"{owner.url}{PULL}",
                params={"scope": scope, "name": name},
                headers={KEY_HEADER: owner.key},
                heartbeat=_HEARTBEAT,
                compress=0,
                max_msg_size=_MAX_MESSAGE,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_WITHIN),
            )
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise ConnectionError(str(error) or f"no answer within {_CONNECT_WITHIN:g} s") from None
    try:
        yield PullSocket(socket)
    finally:
        await socket.close()
