"""Replay a seed of the WHIP simulation: ``python -m tests.simulation.whip_replay SEED [--steps 3,17]``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from tests.simulation.shrinking import places, shrink
from tests.simulation.whip_model import draw, run


def broken_by(seed: int, steps: Sequence[int]) -> BaseException | None:
    """Return what some of a seed's steps break."""
    try:
        asyncio.run(run(seed, steps))
    except Exception as error:
        return error
    return None


def report(seed: int) -> str:
    """Describe a seed that breaks a promise: the shortest history found, and the command to replay it."""
    left, error = shrink(draw(seed), lambda some: broken_by(seed, some))
    command = f".venv/bin/python -m tests.simulation.whip_replay {seed} --steps {','.join(map(str, left))}"
    return "\n".join([repr(error), *getattr(error, "__notes__", ()), f"again: {command}"])


def main() -> int:
    """Replay what was asked for; return 1 if a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.whip_replay")
    parser.add_argument("seed", type=int)
    parser.add_argument("--steps", type=places, help="only these of its steps, by their places: 3,17")
    asked = parser.parse_args()
    numbers = draw(asked.seed)
    if asked.steps is None and broken_by(asked.seed, numbers) is not None:
        print(report(asked.seed))
        return 1
    steps = numbers if asked.steps is None else [numbers[place] for place in asked.steps]
    if (error := broken_by(asked.seed, steps)) is not None:
        print(repr(error), *getattr(error, "__notes__", ()), sep="\n")
        return 1
    print("\n".join(asyncio.run(run(asked.seed, steps)).log))
    return 0


if __name__ == "__main__":
    sys.exit(main())
