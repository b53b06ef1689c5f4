"""Background tasks and timers that have an owner.

None is lost or left over, and none fails unseen.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

_log = logging.getLogger(__name__)


async def cancelled(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    await asyncio.wait((task,))


class Tasks:
    """A set of running tasks; what one raises is logged."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run ``work`` in the background."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            _log.error("a background task failed", exc_info=failure)

    def cancel(self) -> None:
        """Cancel all tasks, without waiting."""
        for task in tuple(self._running):
            task.cancel()

    async def settled(self) -> None:
        """Wait for all tasks, also those that are spawned meanwhile."""
        while self._running:
            await asyncio.wait(tuple(self._running))

    async def drain(self, timeout: float) -> None:
        """Wait for all tasks, and cancel what is not done after ``timeout`` seconds."""
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=timeout)
        for task in tuple(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=timeout)


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and return once they have ended.

    They are cancelled until they do: before Python 3.12 ``asyncio.wait_for``, which nats-py uses, loses a cancellation that
    comes in the moment of its result.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        ended, running = await asyncio.wait(running, timeout=0.5)
        for task in ended:
            if not task.cancelled() and (failure := task.exception()) is not None:
                _log.error("a background task failed", exc_info=failure)


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
