"""Replay a seed, or run many: ``python -m tests.simulation.manager SEED [--steps 3,17]``, ``… --seeds 1000``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tests.simulation.manager.run import run
from tests.simulation.manager.steps import draw
from tests.simulation.node.models.violation import BrokenPromise
from tests.simulation.node.steps import Step
from tests.simulation.shrinking import places, shrink


def broken_by(seed: int, steps: Sequence[Step]) -> BaseException | None:
    """Return what some of a seed's steps break."""
    try:
        run(seed, steps)
    except BrokenPromise as error:
        return error
    return None


def report(seed: int) -> str:
    """Describe a seed that breaks a promise: the shortest history found, and the command to replay it."""
    steps = draw(seed)
    left, error = shrink(steps, lambda some: broken_by(seed, some))
    command = f".venv/bin/python -m tests.simulation.manager {seed} --steps {','.join(map(str, left))}"
    return "\n".join([str(error), *(f"  {steps[place]}" for place in left), f"again, with all that happens: {command}"])


def main() -> int:
    """Run what was asked for; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.manager")
    parser.add_argument("seed", type=int, nargs="?")
    parser.add_argument("--steps", type=places, help="only these of its steps, by their places: 3,17")
    parser.add_argument("--seeds", type=int, default=50, help="run so many")
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    if asked.seed is None:
        return _many(range(asked.first, asked.first + asked.seeds))
    steps = draw(asked.seed)
    if asked.steps is not None:
        steps = [steps[place] for place in asked.steps]
    elif broken_by(asked.seed, steps) is not None:
        print(report(asked.seed))
        return 1
    if (error := broken_by(asked.seed, steps)) is not None:
        print(*error.__notes__, error, sep="\n")
        return 1
    print("\n".join(run(asked.seed, steps).log))
    return 0


def _many(seeds: range) -> int:
    failed = []
    for count, seed in enumerate(seeds, 1):
        if (error := broken_by(seed, draw(seed))) is not None:
            failed.append(seed)
            print(f"seed {seed}: {error}", flush=True)
        if count % 1000 == 0:
            print(f"{count} seeds, {len(failed)} break a promise", flush=True)
    print(f"{len(seeds)} seeds, {len(failed)} break a promise: {failed[:20]}")
    for seed in failed[:1]:
        print(report(seed))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
