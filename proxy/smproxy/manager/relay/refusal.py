"""Refuse a client in signaling messages.

Accept the upgrade, send one text with the reason, close.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from smproxy.manager.deadlines import Deadlines
from smproxy.manager.relay.frames import close_frame, text_frame
from smproxy.manager.relay.scanner import FrameScanner
from smproxy.manager.upgrade import UpgradeRequest


class Refusal(asyncio.Protocol):
    """One refused client: waits for its Close frame, then closes.

    Aborts when none comes in time.
    """

    def __init__(
        self, request: UpgradeRequest, deadlines: Deadlines, *, max_message: int, done: Callable[[Refusal], None]
    ) -> None:
        self._request = request
        self._transport = request.transport
        self._deadlines = deadlines
        self._scanner = FrameScanner(masked=True, max_message=max_message)
        self._done = done

    def start(self, head: bytes, text: str | None, code: int, reason: str, sent: bytes) -> None:
        """Send ``head`` (a 101, or nothing if it went before), ``text``, a Close frame.

        ``sent`` came from the client.
        """
        message = b"" if text is None else text_frame(text)
        self._deadlines.start(self, self._transport.abort)
        self._transport.write(head + message + close_frame(code, reason))
        if sent:
            self.data_received(sent)

    def data_received(self, data: bytes) -> None:
        self._scanner.feed(data)
        self._scanner.messages.clear()
        if self._scanner.ended:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadlines.stop(self)
        self._request.gone()
        self._done(self)

    def abort(self) -> None:
        """End it at once."""
        self._transport.abort()
