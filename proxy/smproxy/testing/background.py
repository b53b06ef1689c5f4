"""The tasks and timers of one owner, so that none outlives it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Background:
    """Runs coroutines and timers until ``stop``."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: list[asyncio.TimerHandle] = []

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine, which deals with its own errors."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def later(self, delay: float, what: Callable[[], None]) -> None:
        """Call ``what`` in ``delay`` seconds."""
        self._timers.append(asyncio.get_running_loop().call_later(delay, what))

    def cancel_timers(self) -> None:
        """Cancel the timers only."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def cancel(self) -> None:
        """Cancel everything, without waiting."""
        self.cancel_timers()
        for task in self._tasks:
            task.cancel()

    async def stop(self) -> None:
        """Cancel everything and wait for it."""
        self.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
