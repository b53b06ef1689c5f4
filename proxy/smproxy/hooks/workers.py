"""Tasks that work through a queue: at most so many, and only while there is work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Workers:
    """Runs ``work``, which returns when nothing is left to do, in at most ``most`` tasks.

    ``failed`` is called with what ``work`` raises.
    """

    def __init__(self, most: int, work: Callable[[], Awaitable[None]], failed: Callable[[BaseException], None]) -> None:
        #: How many there may be.
        self.most = most
        self._work = work
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        #: How many there are.
        self.running = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def ensure(self, wanted: int) -> None:
        """Start as many as are missing to ``wanted``, as far as there may be more."""
        for _ in range(min(self.most, wanted) - self.running):
            self.running += 1
            task = self._loop.create_task(self._run())
            self._tasks.add(task)
            task.add_done_callback(self._done)

    async def stop(self) -> None:
        """Cancel all, and start no more."""
        self.most = 0
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        try:
            await self._work()
        finally:
            # Not in the done callback: between the last look at the queue and here no work can have come in unseen.
            self.running -= 1

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)
