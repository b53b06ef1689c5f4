"""The client's WebSocket, as a browser behaves with one."""

from __future__ import annotations

import ssl as tls
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from smproxy import __version__
from smproxy.network_errors import connect_reason
from smproxy.testing.errors import PublishError, PublishRejected, Rejected, StreamError
from smproxy.testing.well_formed import well_formed

#: Seconds that the closing handshake may take.
_CLOSE_TIMEOUT = 2.0


class SignalingSocket:
    """An open WebSocket for text frames.

    It offers no subprotocol and no extension, pings nobody and closes without a code.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._silent = False

    @classmethod
    async def open(
        cls,
        url: str,
        ssl: tls.SSLContext | None,
        *,
        user_agent: str = f"stream-manager-proxy-publisher/{__version__}",
        failed: type[StreamError] = PublishError,
        rejected: type[Rejected] = PublishRejected,
    ) -> SignalingSocket:
        """Dial.

        Raises:
            rejected: The upgrade was answered with an HTTP status.
            failed: The server could not be reached. Neither error names the URL's query, which may hold a password.
        """
        parts = urlsplit(url)
        extra: dict[str, Any] = {"ssl": ssl} if parts.scheme == "wss" and ssl is not None else {}
        try:
            connection = await connect(
                url,
                compression=None,
                ping_interval=None,
                close_timeout=_CLOSE_TIMEOUT,
                open_timeout=None,
                user_agent_header=user_agent,
                proxy=None,
                **extra,
            )
        except InvalidStatus as refusal:
            raise rejected(f"HTTP {refusal.response.status_code}", _words(bytes(refusal.response.body))) from None
        except (OSError, InvalidHandshake, EOFError, ValueError) as error:
            where = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'wss' else 80)}"
            raise failed(f"cannot connect to {where}: {connect_reason(error)}") from error
        return cls(connection)

    @property
    def close_code(self) -> int | None:
        """The code of the close frame, 1005 without a code, 1006 without a frame.

        ``None`` while open.
        """
        return self._connection.close_code

    @property
    def close_reason(self) -> str:
        """The reason of the close frame."""
        return self._connection.close_reason or ""

    async def texts(self) -> AsyncIterator[str]:
        """Yield text frames until the socket is closed, by whichever side; binary ones are ignored."""
        try:
            async for frame in self._connection:
                if isinstance(frame, str):
                    yield frame
        except ConnectionClosed:
            return

    async def send(self, text: str) -> None:
        """Send a text frame; into a closed socket it is lost, as in a browser."""
        try:
            await self._connection.send(well_formed(text))
        except ConnectionClosed:
            return

    async def close(self) -> None:
        """Close; at once when the socket was silenced."""
        if self._silent:
            self.abort()
        await self._connection.close(code=None)  # type: ignore[arg-type] # a frame without a code, which reads as 1005

    async def wait_closed(self) -> None:
        """Wait until the other side has closed."""
        await self._connection.wait_closed()

    def abort(self) -> None:
        """Drop the TCP connection."""
        self._connection.transport.abort()

    def silence(self) -> None:
        """Keep the TCP connection, and read and answer nothing on it any more."""
        self._silent = True
        self._connection.transport.pause_reading()


def _words(body: bytes) -> str:
    """Read the reason in the body of a refused upgrade: ``errorMessage`` of JSON, or text."""
    try:
        said = msgspec.json.decode(body)
        if isinstance(said, dict) and isinstance(said.get("errorMessage"), str):
            return str(said["errorMessage"])
    except msgspec.DecodeError:
        pass
    return body.decode(errors="replace").strip()[:200]
