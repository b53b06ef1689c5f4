"""The shortest history of a seed that breaks a promise."""

from __future__ import annotations

from collections.abc import Sequence

from tests.simulation.node.models.violation import BrokenPromise
from tests.simulation.node.run import run
from tests.simulation.node.steps import Step, draw
from tests.simulation.shrinking import shrink


def broken_by(seed: int, steps: Sequence[Step]) -> BaseException | None:
    """Return what some of a seed's steps break."""
    try:
        run(seed, steps)
    except Exception as error:
        return error if isinstance(error, BrokenPromise) else BrokenPromise(repr(error))
    return None


def report(seed: int) -> str:
    """Describe a seed that breaks a promise: the shortest history found, and the command to replay it."""
    setup, steps = draw(seed)
    left, error = shrink(steps, lambda some: broken_by(seed, some))
    return "\n".join(
        [
            str(error),
            str(setup),
            *(f"  {steps[place]}" for place in left),
            "again, with all that happens: .venv/bin/python -m tests.simulation.node "
            f"{seed} --steps {','.join(map(str, left))}",
        ]
    )
