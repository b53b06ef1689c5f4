"""How often a client may have something done."""

from __future__ import annotations

from collections.abc import Callable


class TokenBucket:
    """So many at once, and so many a second in the long run. Sans-I/O."""

    __slots__ = ("_at", "_burst", "_left", "_monotonic", "_rate")

    def __init__(self, rate: float, burst: float, monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = self._left = burst
        self._monotonic = monotonic
        self._at = monotonic()

    def take(self) -> bool:
        """Use one up; False when there is none left."""
        now = self._monotonic()
        self._left = min(self._left + (now - self._at) * self._rate, self._burst)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
