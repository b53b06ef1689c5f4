"""What carries a client's signaling: a WebSocket, or nothing once an HTTP exchange is done."""

from __future__ import annotations

from typing import Protocol

from smproxy.tasks import Tasks

#: Messages that wait to be sent on a channel whose client does not read; more are dropped.
MAX_UNSENT = 256


class SignalingChannel(Protocol):
    """What carries a client's signaling. Its end calls the session's ``channel_closed``."""

    async def send(self, text: str) -> None:
        """Send a text; when the channel is closed it is dropped."""

    async def close(self) -> None:
        """Close the channel."""


class NoChannel:
    """The signaling channel of a client that is done with its first exchange."""

    async def send(self, text: str) -> None:
        """Drop the text."""

    async def close(self) -> None:
        """Do nothing."""


class ChannelWriter:
    """Sends on a signaling channel, also from outside of the channel's own task.

    ``closed`` is set by its user.
    """

    def __init__(self, channel: SignalingChannel, tasks: Tasks) -> None:
        self.closed = False
        self._channel = channel
        self._tasks = tasks
        self._unsent = 0

    async def send(self, text: str) -> None:
        """Send a text, and wait until the channel has taken it."""
        await self._channel.send(text)

    def send_soon(self, text: str) -> bool:
        """Send a text in the background; False when it is dropped because the client does not read."""
        if self.closed:
            return True
        if self._unsent >= MAX_UNSENT:
            return False
        self._unsent += 1
        self._tasks.spawn(self._send(text))
        return True

    async def _send(self, text: str) -> None:
        try:
            await self._channel.send(text)
        finally:
            self._unsent -= 1

    def close_soon(self) -> None:
        """Close the channel in the background."""
        self._tasks.spawn(self._channel.close())
