"""How long a connection may take for what it does: one policy for all HTTP on the port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTimes:
    """Time-outs of HTTP connections, in seconds.

    ``head``: from the first to the last byte of a request head; before the first request also for that byte.

    ``body``: for a whole request body. ``idle``: between two requests. ``stalled``: for a client to go on reading an answer.
    ``linger``: for a refused client to take its answer and go; closing at once could destroy it (RFC 9112, 9.6).
    """

    head: float = 10.0
    body: float = 20.0
    idle: float = 30.0
    stalled: float = 120.0
    linger: float = 2.0


class Deadlines:
    """Calls back for every key that is still there ``seconds`` after it was started.

    All have the same length, so the oldest entry is always the next to expire, and one timer serves all: a connection that
    keeps its time costs a dictionary entry. A callback must not raise.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._due: dict[Hashable, tuple[float, Callable[[], None]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def start(self, key: Hashable, expired: Callable[[], None]) -> None:
        """Start the time of ``key``; does nothing when it is running already."""
        if key in self._due:
            return
        loop = asyncio.get_running_loop()
        self._due[key] = (loop.time() + self.seconds, expired)
        if self._timer is None:
            self._timer = loop.call_later(self.seconds, self._expire, loop)

    def stop(self, key: Hashable) -> bool:
        """Forget ``key``; return whether it was running.

        The timer stays: when it fires it finds that nothing is due.
        """
        return self._due.pop(key, None) is not None

    def oldest(self) -> tuple[float, Hashable] | None:
        """Return what was started first, after the time at which that was."""
        for key, (due, _) in self._due.items():
            return due - self.seconds, key
        return None

    def close(self) -> None:
        """Forget everything and cancel the timer."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for key, (due, expired) in list(self._due.items()):
            if due > now:
                break
            if self._due.pop(key, None) is not None:
                expired()
        if self._due and self._timer is None:
            due, _ = next(iter(self._due.values()))
            self._timer = loop.call_at(due, self._expire, loop)


class HttpDeadlines:
    """The deadlines of all connections, and who gives way when there are too many of them."""

    def __init__(self, times: HttpTimes) -> None:
        self.heads = Deadlines(times.head)
        self.bodies = Deadlines(times.body)
        self.idle = Deadlines(times.idle)
        self.stalled = Deadlines(times.stalled)
        self.lingering = Deadlines(times.linger)
        self._all = (self.heads, self.bodies, self.idle, self.stalled, self.lingering)
        self._due = tuple(deadlines._due for deadlines in self._all)

    def stop(self, key: Hashable) -> None:
        """Forget every deadline of a connection."""
        for due in self._due:
            due.pop(key, None)

    def slowest(self) -> Hashable | None:
        """Return the connection that has kept the server waiting longest.

        One that is being answered does not.
        """
        waiting = [oldest for deadlines in self._all if (oldest := deadlines.oldest()) is not None]
        return min(waiting, key=lambda each: each[0])[1] if waiting else None

    def close(self) -> None:
        """Forget everything."""
        for deadlines in self._all:
            deadlines.close()
