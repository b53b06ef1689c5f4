"""The shortest history that breaks a promise: steps are left out as long as one is broken."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

S = TypeVar("S")


def shrink(
    steps: Sequence[S], broken_by: Callable[[Sequence[S]], BaseException | None]
) -> tuple[list[int], BaseException]:
    """Return the places of the steps of the shortest history found within some seconds, and what it breaks."""
    seconds = float(os.environ.get("SMPROXY_SIMULATION_SHRINK", "30"))
    left = list(range(len(steps)))
    error = broken_by(steps)
    assert error is not None, "these steps break nothing"
    until, size = time.monotonic() + seconds, max(1, len(steps) // 2)
    while size and time.monotonic() < until:
        place, shorter = 0, False
        while place < len(left) and time.monotonic() < until:
            candidate = left[:place] + left[place + size :]
            if (found := broken_by([steps[each] for each in candidate])) is not None:
                left, error, shorter = candidate, found, True
            else:
                place += size
        size = size if shorter and size == 1 else size // 2
    return left, error


def places(text: str) -> list[int]:
    """Read the places of steps, as a report prints them: ``3,17,18``. ``ValueError`` for anything else."""
    return [int(each) for each in text.split(",") if each]
