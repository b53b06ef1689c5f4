"""The buckets of a histogram, as Prometheus has them: each with all that is below it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate


def buckets(bounds: Iterable[float], counts: Iterable[int]) -> list[tuple[str, float]]:
    """Return upper bounds with cumulated counts.

    The last of ``counts`` are the values above all bounds.
    """
    names = [*map(str, bounds), "+Inf"]
    return [(name, float(count)) for name, count in zip(names, accumulate(counts), strict=True)]
