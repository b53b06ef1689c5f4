"""Objects that live on another thread's event loop, to be used as if they lived here."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Never, Self

from smproxy.testing.errors import StreamError
from smproxy.testing.loop_thread import LoopThread
from smproxy.testing.pending_calls import PendingCalls

#: Errors that say what went wrong in their message: where inside the tool they were raised is of no interest.
_TOLD = (AssertionError, StreamError, TimeoutError, ValueError, TypeError)


class Remote:
    """Something on the loop of a :class:`LoopThread`.

    Its coroutine methods run there; so do its plain methods, which are waited for, as they only take a moment. Its data is
    read where it is. What it holds or returns that is ``alive`` itself, such as an ``asyncio.Event``, is remote too.
    """

    def __init__(self, inner: Any, thread: LoopThread, alive: tuple[type, ...] = (asyncio.Event,)) -> None:
        self.__dict__.update(_inner=inner, _thread=thread, _alive=alive)

    def __repr__(self) -> str:
        return repr(self._inner)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what copying and pickling look for
            raise AttributeError(name)
        value = getattr(self._inner, name)
        if inspect.iscoroutinefunction(value):
            return functools.wraps(value)(functools.partial(self._run, value))
        if inspect.ismethod(value):
            return functools.wraps(value)(functools.partial(self._call, value))
        return self._here(value)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, value)

    def _here(self, value: Any) -> Any:
        return self._like(value) if isinstance(value, self._alive) else value

    def _like(self, value: Any) -> Self:
        return type(self)(value, self._thread, self._alive)

    def _call(self, what: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        __tracebackhide__ = True
        try:
            return self._here(self._thread.call(functools.partial(what, *arguments, **options)))
        except _TOLD as error:
            raise error.with_traceback(None) from error.__cause__

    def _run(self, what: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any, **options: Any) -> Any:
        raise NotImplementedError


class Blocking(Remote):
    """For synchronous tests.

    What is a coroutine method there blocks here, ``async with`` is ``with``.
    """

    def _run(self, what: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any, **options: Any) -> Any:
        __tracebackhide__ = True
        try:
            return self._thread.run(what(*arguments, **options))
        except _TOLD as error:
            raise error.with_traceback(None) from error.__cause__

    def __enter__(self) -> Self:
        __tracebackhide__ = True
        self._run(self._inner.__aenter__)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        self._run(self._inner.__aexit__, kind, error, trace)

    async def __aenter__(self) -> Never:
        __tracebackhide__ = True
        raise TypeError("everything blocks here, as the test is no coroutine: write `with`, or `async def test_…`")

    async def __aexit__(self, *_: object) -> None:
        """Make ``async with`` get as far as its error."""


class Awaiting(Remote):
    """For asynchronous tests: the same methods as there, awaited on the loop of the test.

    ``calls`` keeps those that the test has not awaited yet.
    """

    def __init__(
        self,
        inner: Any,
        thread: LoopThread,
        alive: tuple[type, ...] = (asyncio.Event,),
        calls: PendingCalls | None = None,
    ) -> None:
        super().__init__(inner, thread, alive)
        self.__dict__.update(_calls=calls)

    def _like(self, value: Any) -> Self:
        return type(self)(value, self._thread, self._alive, self._calls)

    def _run(self, what: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any, **options: Any) -> Any:
        __tracebackhide__ = True
        call = self._awaited(what, *arguments, **options)
        if self._calls is not None:
            self._calls.add(call, what.__qualname__)
        return call

    async def _awaited(self, what: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any, **options: Any) -> Any:
        __tracebackhide__ = True
        try:
            return await self._thread.arun(what(*arguments, **options))
        except _TOLD as error:
            raise error.with_traceback(None) from error.__cause__

    async def __aenter__(self) -> Self:
        __tracebackhide__ = True
        await self._run(self._inner.__aenter__)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        await self._run(self._inner.__aexit__, kind, error, trace)

    def __enter__(self) -> Never:
        __tracebackhide__ = True
        raise TypeError("everything is awaited here, as the test is a coroutine: write `async with`")

    def __exit__(self, *_: object) -> None:
        """Make ``with`` get as far as its error."""
