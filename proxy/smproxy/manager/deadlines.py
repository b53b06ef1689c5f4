"""Time-outs of one length that share one timer, so that a connection that keeps its time costs a dictionary entry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable


class Deadlines:
    """Calls back for every key that is still there ``seconds`` after it was started.

    All have the same length, so the oldest entry is always the next to expire. A callback must not raise.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._due: dict[Hashable, tuple[float, Callable[[], None]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def start(self, key: Hashable, expired: Callable[[], None]) -> None:
        """Start the time of ``key``; does nothing when it is running already."""
        if key in self._due:
            return
        loop = asyncio.get_running_loop()
        self._due[key] = (loop.time() + self.seconds, expired)
        if self._timer is None:
            self._timer = loop.call_later(self.seconds, self._expire, loop)

    def stop(self, key: Hashable) -> None:
        """Forget ``key``, whether or not it is running. The timer stays: it finds out by itself that nothing is due."""
        self._due.pop(key, None)

    def close(self) -> None:
        """Forget everything and cancel the timer."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for key, (due, expired) in list(self._due.items()):
            if due > now:
                break
            if self._due.pop(key, None) is not None:
                expired()
        if self._due and self._timer is None:
            due, _ = next(iter(self._due.values()))
            self._timer = loop.call_at(due, self._expire, loop)
