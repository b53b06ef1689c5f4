"""The clock and the random source, passed in everywhere so that tests control them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


def wall_time() -> float:
    """Return Unix time in seconds, also in a test that has frozen ``time.time`` (freezegun)."""
    return time.clock_gettime(time.CLOCK_REALTIME)


def monotonic() -> float:
    """Return seconds for measuring intervals, also in a test that has frozen ``time.monotonic``."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


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
    return rng.randint(1, MAX_SESSION_NUMBER)
