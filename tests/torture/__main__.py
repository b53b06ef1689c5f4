"""Play all scenes, or those that are named, and print one table: ``make torture``."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.torture.scenes import SCENES, play

_KILLS = "tests/integration/test_hooks_crash.py::test_a_hundred_kills"


def main() -> int:
    """Return 1 if a promise was broken."""
    if len(sys.argv) == 3 and sys.argv[1] == "--one":
        print(play(sys.argv[2]))
        return 0
    rows = {"hundred-kills": [sys.executable, "-m", "pytest", "-q", _KILLS]}
    rows |= {name: [sys.executable, "-m", "tests.torture", "--one", name] for name in SCENES}
    failed = False
    print("| scene | what came of it | seconds |\n| --- | --- | --- |", flush=True)
    for name, command in rows.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        began = time.monotonic()
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = (ran.stdout if not ran.returncode else ran.stderr + ran.stdout).strip().splitlines()
        outcome = lines[-1] if lines else "nothing"
        failed |= bool(ran.returncode)
        print(f"| {name} | {'BROKEN: ' * bool(ran.returncode)}{outcome} | {time.monotonic() - began:.0f} |", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
