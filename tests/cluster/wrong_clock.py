"""``smproxy`` on a machine whose wall clock is wrong: ``python -m tests.cluster.wrong_clock SECONDS serve …``."""

from __future__ import annotations

import sys
import time


def set_wrong(seconds: float) -> None:
    """Have every reading of the wall clock be so many seconds ahead; intervals are measured as ever."""
    read, wall, wall_ns = time.clock_gettime, time.time, time.time_ns
    time.clock_gettime = lambda clock: read(clock) + (seconds if clock == time.CLOCK_REALTIME else 0.0)
    time.time = lambda: wall() + seconds
    time.time_ns = lambda: wall_ns() + int(seconds * 1e9)


if __name__ == "__main__":
    set_wrong(float(sys.argv.pop(1)))
    from smproxy.__main__ import main

    sys.exit(main())
