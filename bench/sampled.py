"""Runs a program of this project and looks every few milliseconds of its CPU time where it is.

    python bench/sampled.py OUTPUT SCRIPT_OR_MODULE [ARGUMENT…]

Writes, when the program ends, how often each function of this project was found running, itself or through what it called
outside of the project, as JSON. What the event loop does between two callbacks counts for the function that runs it.
"""

from __future__ import annotations

import collections
import json
import runpy
import signal
import sys
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parents[1]
PACKAGE = str(ROOT / "proxy" / "smproxy") + "/"
#: Seconds of CPU time between two looks; a kernel with a coarser timer looks less often.
STEP = 0.001


def main() -> None:
    """Run it."""
    output, program, *arguments = sys.argv[1:]
    found: collections.Counter[str] = collections.Counter()

    def look(_signal: int, frame: FrameType | None) -> None:
        while frame is not None and not frame.f_code.co_filename.startswith(PACKAGE):
            frame = frame.f_back
        if frame is None:
            found["outside"] += 1
            return
        code = frame.f_code
        module = code.co_filename.removeprefix(PACKAGE).removesuffix(".py").replace("/", ".")
        found[f"{module}:{code.co_qualname}"] += 1

    # From the first connection on, which is when somebody sends this signal.
    def begin(*_: object) -> None:
        found.clear()
        signal.signal(signal.SIGPROF, look)
        signal.setitimer(signal.ITIMER_PROF, STEP, STEP)

    signal.signal(signal.SIGUSR1, begin)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.argv = [program, *arguments]
    try:
        if program.endswith(".py"):
            sys.path.insert(0, str(Path(program).parent))
            runpy.run_path(program, run_name="__main__")
        else:
            runpy.run_module(program, run_name="__main__")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        Path(output).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
