"""Waiting without sleeping: what the tests share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

#: Slow machines set this above 1; every time-out of the tests is multiplied by it.
TIME_SCALE = float(os.environ.get("SMPROXY_TEST_TIME_SCALE", "1"))


def scaled(seconds: float) -> float:
    """Stretch a time-out for the machine that the tests run on."""
    return seconds * TIME_SCALE


async def eventually(condition: Callable[[], object], timeout: float = 5.0, message: str = "") -> None:
    """Wait until ``condition()`` is true; fail with ``message`` when it is not within ``timeout`` scaled seconds."""
    deadline = asyncio.get_running_loop().time() + scaled(timeout)
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(message or f"{condition!r} did not become true within {scaled(timeout):g} s")
        await _tick(0.005)


async def eventually_reads(read: Callable[[], Awaitable[T]], good: Callable[[T], bool], timeout: float = 10.0) -> T:
    """Ask something that has no event to wait for, such as an HTTP API, until its answer is good; return that."""
    deadline = asyncio.get_running_loop().time() + scaled(timeout)
    while not good(answer := await read()):
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"{answer!r} was the last answer within {scaled(timeout):g} s")
        await _tick(0.05)
    return answer


async def _tick(seconds: float) -> None:
    """Let the loop do other things for a moment, between two looks at a condition."""
    tick = asyncio.Event()
    handle = asyncio.get_running_loop().call_later(seconds, tick.set)
    try:
        await tick.wait()
    finally:
        handle.cancel()
