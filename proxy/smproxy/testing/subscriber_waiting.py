"""Waiting for what a subscriber receives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

Condition: TypeAlias = Callable[[], object]


class Waiters:
    """Futures that are done when a condition is true; ``changed`` looks at them again."""

    def __init__(self) -> None:
        self._waiters: list[tuple[Condition, asyncio.Future[None]]] = []

    def changed(self) -> None:
        """Look at every condition again. What a condition raises, its waiter gets."""
        for condition, future in list(self._waiters):
            if future.done():
                continue
            try:
                met = condition()
            except Exception as error:
                future.set_exception(error)
            else:
                if met:
                    future.set_result(None)

    async def until(self, condition: Condition, timeout: float) -> None:
        """Wait for a condition.

        Raises:
            TimeoutError: It did not come true within ``timeout`` seconds.
        """
        if condition():
            return
        waiter = (condition, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter[1]
        finally:
            self._waiters.remove(waiter)
