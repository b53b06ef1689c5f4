"""Background tasks end, whatever they do with a cancellation."""

from __future__ import annotations

import asyncio

import pytest
from smproxy.tasks import end_tasks


async def test_a_cancellation_that_is_lost_is_repeated() -> None:
    """A task that swallows its first cancellation is cancelled again; the end is waited for."""
    lost = 0

    async def work() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost += 1
                if lost > 1:
                    raise

    tasks = [asyncio.create_task(work()), asyncio.create_task(asyncio.Event().wait())]
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await end_tasks(tasks)
    assert all(task.cancelled() for task in tasks)
    assert lost == 2


async def test_a_failure_at_the_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What a task raises instead of ending is not lost, and nobody waits for ever."""

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("broken")

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    await end_tasks([task])
    assert "a background task failed" in caplog.text
