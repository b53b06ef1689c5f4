"""Timers that have an owner: at its end none is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timers:
    """A set of timers; cancelled together."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.TimerHandle] = set()

    def after(self, delay: float, work: Callable[[], object]) -> asyncio.TimerHandle:
        """Do ``work`` after ``delay`` seconds."""

        def due() -> None:
            self._waiting.discard(timer)
            work()

        timer = asyncio.get_running_loop().call_later(delay, due)
        self._waiting.add(timer)
        return timer

    def forget(self, timer: asyncio.TimerHandle) -> None:
        """Cancel one; when it is over already, that is no harm."""
        timer.cancel()
        self._waiting.discard(timer)

    def cancel(self) -> None:
        """Cancel all."""
        for timer in self._waiting:
            timer.cancel()
        self._waiting.clear()
