"""An event loop in virtual time that a seed orders, and that can die like a process."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@dataclass(slots=True)
class SimulatedTime:
    """Seconds that only pass when nothing else happens."""

    now: float = 0.0


class _TimelessSelector(selectors.DefaultSelector):
    def __init__(self, time: SimulatedTime) -> None:
        super().__init__()
        self._time = time

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("nothing will ever happen: every task waits for something that is not on its way")
        self._time.now += max(0.0, timeout)
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A loop whose time is virtual, with simulated threads and connections.

    Tasks that are ready run in an order that the seed decides; callbacks keep the order that asyncio promises.
    """

    def __init__(self, time: SimulatedTime, rng: random.Random) -> None:
        self._simulated = time
        self._rng = rng
        #: The process was killed: nothing runs any more.
        self.dead = False
        #: Opens a simulated connection: factory, host and port in, transport and protocol out.
        self.connector: Callable[[Callable[[], Any], str, int], Any] | None = None
        super().__init__(_TimelessSelector(time))
        self.set_exception_handler(lambda loop, context: None)
        self.slow_callback_duration = 1e9

    def time(self) -> float:
        """Return the virtual time."""
        return self._simulated.now

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]
        if len(ready) > 1:
            places = [place for place, handle in enumerate(ready) if _is_task(handle)]
            if len(places) > 1:
                handles = [ready[place] for place in places]
                self._rng.shuffle(handles)
                for place, handle in zip(places, handles, strict=True):
                    ready[place] = handle
        super()._run_once()  # type: ignore[misc]

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As ``call_soon``: there are no threads."""
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run a thread's work at some moment soon, and return its result some moment later."""
        future: asyncio.Future[T] = self.create_future()

        def work() -> None:
            try:
                result, error = func(*args), None
            except Exception as raised:
                result, error = None, raised
            self.call_later(self._moment(), settle, result, error)

        def settle(result: Any, error: Exception | None) -> None:
            if not future.done():
                if error is None:
                    future.set_result(result)
                else:
                    future.set_exception(error)

        self.call_later(self._moment(), work)
        return future

    def _moment(self) -> float:
        return self._rng.choice((0.0, 0.0001, 0.001, 0.02))

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        """Connect to a simulated receiver."""
        assert self.connector is not None
        return await self.connector(protocol_factory, host, port)

    def kill(self) -> None:
        """Die: no code of the process runs from here on, not even a ``finally`` that has an effect."""
        self.dead = True
        self.stop()

    def bury(self) -> None:
        """Free what a dead process had."""
        self.dead = True
        for task in asyncio.all_tasks(self):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coroutine = task.get_coro()
            with suppress(BaseException):
                if coroutine is not None:
                    coroutine.close()
        self._ready.clear()  # type: ignore[attr-defined]
        self.close()

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Call soon, unless dead."""
        if self.dead:
            return asyncio.Handle(callback, args, self, context)
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call at a time, unless dead."""
        if self.dead:
            return asyncio.TimerHandle(when, callback, args, self, context)
        return super().call_at(when, callback, *args, context=context)


def _is_task(handle: asyncio.Handle) -> bool:
    return isinstance(getattr(handle._callback, "__self__", None), asyncio.Task)  # type: ignore[attr-defined]
