"""One timer for all that waits to be tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class RetryTimer:
    """Calls ``wake`` with the loop's time when the earliest retry is due."""

    def __init__(self, wake: Callable[[float], None]) -> None:
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._due: float | None = None

    def set(self, due: float | None) -> None:
        """Wake at ``due`` (loop time) and not before; ``None``: not at all."""
        if due == self._due:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._due = due
        self._handle = None if due is None else self._loop.call_at(due, self._elapsed)

    def _elapsed(self) -> None:
        self._handle = self._due = None
        # An event loop may call a little early (uvloop counts whole milliseconds).
        self._wake(self._loop.time() + 0.001)
