"""Waiting without sleeping: what the tests share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

#: Slow machines set this above 1; every time-out of the tests is multiplied by it.
TIME_SCALE = float(os.environ.get("SMPROXY_TEST_TIME_SCALE", "1"))


def scaled(seconds: float) -> float:
    """Stretch a time-out for the machine that the tests run on."""
    return seconds * TIME_SCALE


async def eventually(condition: Callable[[], object], timeout: float = 5.0, message: str = "") -> None:
    """Wait until ``condition()`` is true; fail with ``message`` when it is not within ``timeout`` scaled seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + scaled(timeout)
    tick = asyncio.Event()
    while not condition():
        if loop.time() > deadline:
            raise AssertionError(message or f"{condition!r} did not become true within {scaled(timeout):g} s")
        handle = loop.call_later(0.005, tick.set)
        try:
            await tick.wait()
        finally:
            handle.cancel()
        tick.clear()
