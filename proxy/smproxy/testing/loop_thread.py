"""An event loop in a thread of its own, so that a test may block and what it tests goes on."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from smproxy.signaling.clock import monotonic
from smproxy.testing.errors import CannotRun

T = TypeVar("T")


class UnfrozenLoop(asyncio.SelectorEventLoop):
    """An event loop whose time goes on when a test has frozen ``time.monotonic``."""

    def time(self) -> float:
        return monotonic()


class LoopThread:
    """Runs coroutines for other threads.

    Made by :meth:`start`, ended by :meth:`stop`; it may be used by any thread.
    """

    def __init__(self, name: str) -> None:
        self._started = threading.Event()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._error: Exception | None = None
        # A daemon, so that an interpreter whose test run was torn down by force can still exit.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @classmethod
    def start(cls, name: str = "stream manager") -> LoopThread:
        """Start the thread and return when its loop runs.

        Raises:
            CannotRun: The loop cannot be made, for instance because sockets are forbidden.
        """
        thread = cls(name)
        thread._thread.start()
        thread._started.wait()
        if thread._error is not None:
            raise CannotRun.because(thread._error) from None
        return thread

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, wait, and return or raise what comes of it."""
        __tracebackhide__ = True
        future = self._submit(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def arun(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, for a coroutine of another loop, which must be asyncio's too."""
        __tracebackhide__ = True
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            work.close()
            raise RuntimeError("this is awaited on asyncio only: with anyio, choose the backend asyncio") from None
        return await asyncio.wrap_future(self._submit(work))

    def call(self, what: Callable[[], T]) -> T:
        """Call a function on the loop; it must not block."""
        __tracebackhide__ = True

        async def work() -> T:
            return what()

        return self.run(work())

    def stop(self) -> None:
        """Cancel what still runs and end the thread. Safe to call again."""
        if self._thread.is_alive() and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if self._loop is None or not self._thread.is_alive() or threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("it cannot be used any more: it has been stopped" if not self._thread.is_alive() else
                               "this blocks, and would wait for itself on this event loop")  # fmt: skip
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _run(self) -> None:
        try:
            for end in socket.socketpair():  # which the loop needs; without them it would be left half made
                end.close()
        except Exception as error:
            self._error = error
            self._started.set()
            return
        with asyncio.Runner(loop_factory=UnfrozenLoop) as runner:
            self._loop = runner.get_loop()
            self._loop.call_soon(self._started.set)
            runner.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        await self._stopping.wait()
