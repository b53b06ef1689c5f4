"""Objects on the event loop of another thread, used from blocking code and from another loop."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Iterator
from typing import Any, Self

import pytest
from smproxy.testing.loop_thread import LoopThread
from smproxy.testing.remote import Awaiting, Blocking

from tests.helpers import eventually


class Thing:
    """Something that lives on a loop and knows on which thread it is used."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.entered = 0
        self.name = "thing"

    async def where(self) -> int:
        await asyncio.sleep(0)
        return threading.get_ident()

    def here(self) -> int:
        asyncio.get_running_loop().call_soon(self.done.set)
        return threading.get_ident()

    async def fail(self, error: Exception) -> None:
        raise error

    async def __aenter__(self) -> Self:
        self.entered += 1
        return self

    async def __aexit__(self, *error: object) -> None:
        self.entered -= 1


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    thread = LoopThread.start()
    yield thread
    thread.stop()


@pytest.fixture
def thing(thread: LoopThread) -> Thing:
    return thread.call(Thing)


def test_blocking(thread: LoopThread, thing: Thing) -> None:
    """Every method runs on the thread and is waited for; data is read; what waits itself blocks too."""
    blocking: Any = Blocking(thing, thread)
    assert blocking.where() == blocking.here() != threading.get_ident()
    assert blocking.done.wait() is True
    assert blocking.name == "thing"
    blocking.name = "other"
    assert thing.name == "other"
    with blocking as entered:
        assert (entered, thing.entered) == (blocking, 1)
    assert thing.entered == 0


async def test_the_other_kind_of_with(thread: LoopThread, thing: Thing) -> None:
    """The wrong kind of ``with`` says which one is right."""
    blocking: Any = Blocking(thing, thread)
    with pytest.raises(TypeError, match="write `with`"):
        async with blocking:
            pass
    awaiting: Any = Awaiting(thing, thread)
    with pytest.raises(TypeError, match="write `async with`"), awaiting:
        pass
    assert thing.entered == 0


async def test_awaiting(thread: LoopThread, thing: Thing) -> None:
    """From another loop coroutine methods are awaited, and plain ones are plain."""
    awaiting: Any = Awaiting(thing, thread)
    assert await awaiting.where() == awaiting.here() != threading.get_ident()
    assert await awaiting.done.wait() is True
    async with awaiting as entered:
        assert (entered, thing.entered) == (awaiting, 1)
    assert thing.entered == 0


@pytest.mark.parametrize("error", [AssertionError("no"), TimeoutError("late")])
async def test_errors_point_here(thread: LoopThread, thing: Thing, error: Exception) -> None:
    """An error that speaks for itself comes without the places inside that it came from."""
    blocking: Any = Blocking(thing, thread)
    awaiting: Any = Awaiting(thing, thread)
    with pytest.raises(type(error)) as blocked:
        blocking.fail(error)
    with pytest.raises(type(error)) as awaited:
        await awaiting.fail(error)
    for caught in (blocked, awaited):
        assert "in fail" not in "".join(traceback.format_exception(caught.value))


async def test_a_cancelled_wait_is_cancelled_there(thread: LoopThread, thing: Thing) -> None:
    """Who stops waiting stops what it waited for."""
    awaiting: Any = Awaiting(thing, thread)
    tasks = thread.call(lambda: len(asyncio.all_tasks()))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await awaiting.done.wait()
    await eventually(lambda: thread.call(lambda: len(asyncio.all_tasks())) == tasks)


def test_stop_ends_everything() -> None:
    """Stopping cancels what runs and ends the thread; what is asked of it then is refused in words."""
    thread = LoopThread.start("to be stopped")
    cancelled = threading.Event()

    async def forever() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()

    running: list[asyncio.Task[None]] = []
    thread.call(lambda: running.append(asyncio.ensure_future(forever())))
    thread.call(lambda: None)
    thread.stop()
    thread.stop()
    assert cancelled.is_set()
    assert "to be stopped" not in [each.name for each in threading.enumerate()]
    with pytest.raises(RuntimeError, match="has been stopped"):
        thread.call(lambda: None)


def test_it_does_not_wait_for_itself(thread: LoopThread) -> None:
    """Blocking on the loop's own thread is an error instead of a standstill."""

    async def blocks() -> None:
        thread.call(lambda: None)

    with pytest.raises(RuntimeError, match="wait for itself"):
        thread.run(blocks())
