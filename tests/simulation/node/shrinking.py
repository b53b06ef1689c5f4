"""The shortest history of a seed that breaks a promise."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tests.simulation.node.models.violation import BrokenPromise
from tests.simulation.node.run import run
from tests.simulation.node.steps import Step, draw


def shrink(seed: int, seconds: float = 30.0) -> tuple[list[Step], BaseException]:
    """Leave out steps as long as a promise is broken; return the shortest history found, and what it breaks."""
    _, steps = draw(seed)
    error = _broken_by(seed, steps)
    assert error is not None, "the seed breaks nothing"
    until, size = time.monotonic() + seconds, len(steps) // 2
    while size and time.monotonic() < until:
        place, shorter = 0, False
        while place < len(steps) and time.monotonic() < until:
            candidate = steps[:place] + steps[place + size :]
            if (found := _broken_by(seed, candidate)) is not None:
                steps, error, shorter = candidate, found, True
            else:
                place += size
        size = size if shorter and size == 1 else size // 2
    return steps, error


def _broken_by(seed: int, steps: Sequence[Step]) -> BaseException | None:
    try:
        run(seed, steps)
    except Exception as error:
        return error if isinstance(error, BrokenPromise) else BrokenPromise(repr(error))
    return None


def report(seed: int) -> str:
    """Describe a seed that breaks a promise: the shortest history found, and the command to replay it."""
    setup, _ = draw(seed)
    steps, error = shrink(seed)
    return "\n".join(
        [
            str(error),
            str(setup),
            *(f"  {step}" for step in steps),
            f"again, with all that happens: .venv/bin/python -m tests.simulation.node {seed}",
        ]
    )
