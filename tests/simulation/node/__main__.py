"""Replay seeds, or run many: ``python -m tests.simulation.node SEED``, ``… --seeds 100000``."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.node.models.violation import BrokenPromise
from tests.simulation.node.run import run
from tests.simulation.node.shrinking import report


def _try(seed: int) -> tuple[int, str | None]:
    try:
        run(seed)
    except BaseException as error:
        return seed, f"{type(error).__name__}: {error}"
    return seed, None


def main() -> int:
    """Run what was asked for; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.node")
    parser.add_argument("seed", type=int, nargs="?", help="replay this one, with all that happens")
    parser.add_argument("--seeds", type=int, default=200, help="run so many")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    if asked.seed is not None:
        try:
            print("\n".join(run(asked.seed).log))
        except BrokenPromise:
            print(report(asked.seed))
            return 1
        return 0
    began, failed = time.monotonic(), []
    with ProcessPoolExecutor(asked.processes) as pool:
        for seed, error in pool.map(_try, range(asked.first, asked.first + asked.seeds), chunksize=20):
            if error is not None:
                failed.append(seed)
                print(f"seed {seed}: {error}", flush=True)
    print(f"{asked.seeds} seeds in {time.monotonic() - began:.0f} s, {len(failed)} break a promise: {failed[:20]}")
    for seed in failed[:1]:
        print(report(seed))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
