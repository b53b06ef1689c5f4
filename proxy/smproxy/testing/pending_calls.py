"""Calls that an async test has made and must await."""

from __future__ import annotations

import inspect
from collections.abc import Coroutine
from types import FrameType
from typing import Any


class PendingCalls:
    """The coroutines that were handed to one test and not awaited yet."""

    def __init__(self) -> None:
        self._calls: list[tuple[Coroutine[Any, Any, Any], str]] = []

    def add(self, call: Coroutine[Any, Any, Any], name: str) -> None:
        """Note a call and the line of the test that made it."""
        self._calls = [each for each in self._calls if _unstarted(each[0])]
        self._calls.append((call, f"{name}(…) {_place(inspect.currentframe())}"))

    def close(self) -> list[str]:
        """Return the calls that were never awaited, and give them up."""
        forgotten = [(call, text) for call, text in self._calls if _unstarted(call)]
        self._calls = []
        for call, _ in forgotten:
            call.close()
        return [text for _, text in forgotten]


def _unstarted(call: Coroutine[Any, Any, Any]) -> bool:
    return inspect.getcoroutinestate(call) == inspect.CORO_CREATED


def _place(frame: FrameType | None) -> str:
    """Return file and line of the nearest frame outside of this package."""
    package = __name__.partition(".")[0]
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == package:
        frame = frame.f_back
    if frame is None:
        return ""
    return f"in {frame.f_code.co_name}, line {frame.f_lineno}"
