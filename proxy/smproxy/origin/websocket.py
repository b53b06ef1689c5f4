"""A client's signaling over its WebSocket."""

from __future__ import annotations

import contextlib
import logging

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from smproxy.origin.client_session import ClientSession
from smproxy.origin.effects import Effect

_log = logging.getLogger(__name__)


class WebSocketChannel:
    """The signaling channel on a WebSocket."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        """Send a text; when the socket is closed it is dropped."""
        with contextlib.suppress(ConnectionClosed):
            await self._connection.send(text)

    async def close(self) -> None:
        """Close the socket."""
        await self._connection.close()


async def serve_websocket(connection: ServerConnection, session: ClientSession, greeting: list[Effect]) -> None:
    """Pass frames to the session until the socket closes."""
    try:
        await session.perform(greeting)
        async for frame in connection:
            await session.receive(frame)
    except ConnectionClosed:
        pass
    except Exception:
        _log.exception("attempt %s: the origin failed", session.attempt, extra=session.about)
        session.fail()
    finally:
        session.channel_closed(lost=connection.close_code == 1006)
