"""The clock and the random source, passed in everywhere so that tests control them."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

#: Return Unix time in seconds, also in a test that has frozen ``time.time`` (freezegun). No function of ours: a relayed
#: message asks twice for the time.
wall_time: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_REALTIME)

#: Return seconds for measuring intervals, also in a test that has frozen ``time.monotonic``.
monotonic: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_MONOTONIC)


@dataclass(frozen=True, slots=True)
class Clock:
    """Two readings of time, both in seconds.

    ``wall`` since the Unix epoch, ``monotonic`` for intervals.
    """

    wall: Callable[[], float] = wall_time
    monotonic: Callable[[], float] = monotonic

    def wall_ms(self) -> int:
        """Return Unix time in whole milliseconds."""
        return int(self.wall() * 1000)


#: Session numbers must survive a JavaScript double: 1 … 2^53 − 1.
MAX_SESSION_NUMBER = 2**53 - 1


def session_number(rng: random.Random) -> int:
    """Draw the number of a new session."""
    while (number := rng.getrandbits(53)) >= MAX_SESSION_NUMBER:
        pass
    return number + 1


class SystemRandomness(random.SystemRandom):
    """The system's random numbers, fetched a few kilobytes at a time.

    A system call for each was a fortieth of a short session. What has a copy of it after a ``fork`` draws the same numbers.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bytes = b""
        self._used = 0

    def getrandbits(self, k: int, /) -> int:
        """Return an integer of ``k`` random bits."""
        size = (k + 7) // 8
        start, end = self._used, self._used + size
        if end > len(self._bytes):
            self._bytes = os.urandom(max(size, _FETCHED))
            start, end = 0, size
        self._used = end
        return int.from_bytes(self._bytes[start:end], "little") >> (size * 8 - k)


#: Bytes that are fetched at a time.
_FETCHED = 4096
