"""A histogram: how many values were at most each bound, and their sum."""

from __future__ import annotations

from bisect import bisect_left


class Histogram:
    """Counts values by ``bounds``, which grow; values above the last are counted, too."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        #: How many values there were up to each bound from the one before, and above the last.
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value
