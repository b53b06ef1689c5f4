"""A client's signaling over its WebSocket."""

from __future__ import annotations

import logging

from smproxy.origin.client_session import ClientSession
from smproxy.origin.client_socket import ClientSocket
from smproxy.origin.effects import Effect

_log = logging.getLogger(__name__)

#: The close code of a connection that ended without a close (RFC 6455, 7.1.5).
_ABNORMAL = 1006


async def serve_websocket(socket: ClientSocket, session: ClientSession, greeting: list[Effect]) -> None:
    """Pass frames to the session until the socket closes."""
    try:
        await session.perform(greeting)
        async for frame in socket:
            await session.receive(frame)
    except Exception:
        _log.exception("attempt %s: the origin failed", session.attempt, extra=session.about)
        session.fail()
    finally:
        session.channel_closed(lost=socket.close_code == _ABNORMAL)
