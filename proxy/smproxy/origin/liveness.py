"""Notice clients that are gone: one sweep over all, by the packets since the last one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from enum import Enum
from typing import Protocol

_log = logging.getLogger(__name__)


class LivenessVerdict(Enum):
    """What a look at a peer's counter showed."""

    FINE = "fine"
    PROBE = "probe"
    GAP = "gap"
    BACK = "back"
    LOST = "lost"


class Liveness:
    """One peer's silence. Sans-I/O; times in seconds, monotonic.

    Half-way to the gap a probe is due, and again at every look: a living peer answers it, so one that merely has nothing
    to say (a browser without media sends a STUN check every 2.5 s) never shows a gap.
    """

    __slots__ = ("_count", "_gap", "_in_gap", "_last", "_timeout")

    def __init__(self, gap: float, timeout: float, now: float) -> None:
        self._gap = gap
        self._timeout = timeout
        self._count = -1
        self._last = now
        self._in_gap = False

    def look(self, count: int, now: float) -> LivenessVerdict:
        """Compare the count of datagrams received so far."""
        if count != self._count:
            self._count = count
            self._last = now
            if self._in_gap:
                self._in_gap = False
                return LivenessVerdict.BACK
            return LivenessVerdict.FINE
        silence = now - self._last
        if silence >= self._timeout:
            return LivenessVerdict.LOST
        if silence >= self._gap and not self._in_gap:
            self._in_gap = True
            return LivenessVerdict.GAP
        return LivenessVerdict.PROBE if silence >= self._gap / 2 else LivenessVerdict.FINE

    def discount_stall(self, seconds: float) -> None:
        """Do not count a time as silence in which the loop was stalled."""
        self._last += seconds


class Swept(Protocol):
    """A member of the sweep."""

    def sweep(self, now: float) -> None:
        """Do what is due."""

    def discount_stall(self, seconds: float) -> None:
        """Do not count a stall of the loop as silence."""

    def fail(self) -> None:
        """End, after ``sweep`` raised."""


class Sweeper:
    """One timer for all peers."""

    def __init__(self, interval: float, monotonic: Callable[[], float]) -> None:
        self._interval = interval
        self._monotonic = monotonic
        self._members: set[Swept] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._last = monotonic()

    def start(self) -> Callable[[], None]:
        """Begin to sweep; return what ends it."""
        self._last = self._monotonic()
        self._schedule()

        def stop() -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        return stop

    def add(self, member: Swept) -> None:
        """Sweep this one from now on."""
        self._members.add(member)

    def discard(self, member: Swept) -> None:
        """Sweep it no more."""
        self._members.discard(member)

    def _schedule(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._sweep)

    def _sweep(self) -> None:
        self._schedule()
        now = self._monotonic()
        stalled = now - self._last - self._interval
        self._last = now
        for member in tuple(self._members):
            try:
                if stalled > self._interval:
                    member.discount_stall(stalled)
                member.sweep(now)
            except Exception:
                _log.exception("the origin failed")
                self._members.discard(member)
                member.fail()
