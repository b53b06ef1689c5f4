"""How ``smproxy publish`` and ``smproxy subscribe`` run.

Start, show progress, stop at a signal or after a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from smproxy.signals import on_ending_signals

T = TypeVar("T")


class StoppedEarly(Exception):
    """A signal came before the stream was live."""

    def __str__(self) -> str:
        return "stopped before the stream was live"


@contextmanager
def stopped_by_signals() -> Iterator[asyncio.Future[Any]]:
    """Yield a future that is done on Ctrl-C, SIGTERM or SIGHUP."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    forget_signals = on_ending_signals(loop, lambda _: stop.set())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        yield stopping
    finally:
        stopping.cancel()
        forget_signals()


async def unless_stopped(work: Coroutine[Any, Any, T], stopping: asyncio.Future[Any]) -> T:
    """Return or raise what comes of the work.

    Raises:
        StoppedEarly: ``stopping`` was done before, and the work is cancelled.
    """
    working = asyncio.ensure_future(work)
    await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        working.cancel()
        await asyncio.wait((working,))
        raise StoppedEarly
    return working.result()


async def until_over(
    over: Coroutine[Any, Any, object],
    stopping: asyncio.Future[Any],
    duration: float | None,
    progress: Callable[[float], None],
) -> None:
    """Show the progress each second until it is over, stopped, or ``duration`` has passed.

    ``progress`` is called with the seconds so far.
    """
    ending = asyncio.ensure_future(over)
    started = time.monotonic()
    try:
        while True:
            left = 1.0 if duration is None else min(1.0, started + duration - time.monotonic())
            if left <= 0:
                return
            ended, _ = await asyncio.wait({ending, stopping}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if ended:
                return
            progress(time.monotonic() - started)
    finally:
        ending.cancel()
