"""Replay seeds, or run many: ``python -m tests.simulation.node SEED``, ``… --seeds 100000``."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.node.found import FOUND
from tests.simulation.node.models.violation import BrokenPromise
from tests.simulation.node.run import run
from tests.simulation.node.shrinking import report
from tests.simulation.node.steps import draw
from tests.simulation.shrinking import places


def main() -> int:
    """Run what was asked for; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.node")
    parser.add_argument("seed", type=int, nargs="?", help="replay this one, with all that happens")
    parser.add_argument("--steps", type=places, help="only these of its steps, by their places: 3,17,18")
    parser.add_argument("--seeds", type=int, default=200, help="run so many")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--until-broken", action="store_true", help="what was found before, then seeds, up to the first"
    )
    asked = parser.parse_args()
    if asked.seed is not None:
        return _replay(asked.seed, asked.steps)
    seeds = range(asked.first, asked.first + asked.seeds)
    return _until_broken(seeds) if asked.until_broken else _many(seeds, asked.processes)


def _replay(seed: int, only: list[int] | None) -> int:
    steps = draw(seed)[1]
    try:
        print("\n".join(run(seed, steps if only is None else [steps[place] for place in only]).log))
    except BrokenPromise as error:
        print("\n".join(error.__notes__) if only is not None else report(seed))
        print(error)
        return 1
    return 0


def _many(seeds: range, processes: int) -> int:
    began, failed = time.monotonic(), list[int]()
    with ProcessPoolExecutor(processes) as pool:
        for count, (seed, error) in enumerate(pool.map(_try, seeds, chunksize=20), 1):
            if count % 1000 == 0:
                print(f"{count} seeds, {len(failed)} break a promise", flush=True)
            if error is not None:
                failed.append(seed)
                print(f"seed {seed}: {error}", flush=True)
    print(f"{len(seeds)} seeds in {time.monotonic() - began:.0f} s, {len(failed)} break a promise: {failed[:20]}")
    for seed in failed[:1]:
        print(report(seed))
    return bool(failed)


def _until_broken(seeds: range) -> int:
    for found in FOUND:
        try:
            run(found.seed, found.steps, found.setup)
        except Exception as error:
            print(f"found before: {error}")
            return 1
    for seed in seeds:
        _, wrong = _try(seed)
        if wrong is not None:
            print(f"seed {seed}: {wrong}")
            return 1
    return 0


def _try(seed: int) -> tuple[int, str | None]:
    try:
        run(seed)
    except Exception as error:
        return seed, str(error) if isinstance(error, BrokenPromise) else repr(error)
    return seed, None


if __name__ == "__main__":
    sys.exit(main())
