"""Put each fault into a copy of the product, and see that it is caught: ``make mutants``, or with words of one mutant."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.mutants import MUTANTS, SIMULATION, Mutant

_PACKAGE = Path(__file__).parents[2] / "proxy" / "smproxy"
_PAGE = Path(__file__).parents[2] / "docs" / "guarantees.md"
_START, _END = "<!-- mutants: written by make mutants -->", "<!-- end of mutants -->"
#: Seeds in which the simulation must find a fault, beside the histories that it found before.
SEEDS = 300


def main() -> int:
    """Run the mutants; return 1 if one lives. All of them: write the table."""
    chosen = [mutant for mutant in MUTANTS if all(word in mutant.what for word in sys.argv[1:])]
    with ThreadPoolExecutor(2) as pool:
        caught_by = list(pool.map(_catch, chosen))
    lived = [mutant.what for mutant, by in zip(chosen, caught_by, strict=True) if not by]
    print(
        f"{len(chosen) - len(lived)} of {len(chosen)} mutants are caught",
        *(f"LIVES: {each}" for each in lived),
        sep="\n",
    )
    if len(chosen) == len(MUTANTS) and not lived:
        rows = [f"| {mutant.what} | {by} |" for mutant, by in zip(chosen, caught_by, strict=True)]
        head, _, rest = _PAGE.read_text().partition(_START)
        table = "\n".join(["| what is wrong | caught by |", "| --- | --- |", *rows])
        _PAGE.write_text(f"{head}{_START}\n{table}\n{_END}{rest.partition(_END)[2]}")
    return bool(lived)


def _catch(mutant: Mutant) -> str:
    """Return what catches a mutant, nothing when it lives."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(_PACKAGE, Path(folder) / "smproxy", ignore=shutil.ignore_patterns("__pycache__"))
        file = Path(folder) / "smproxy" / mutant.file
        text = file.read_text()
        assert mutant.old in text, f"{mutant.what}: {mutant.file} has changed: {mutant.old!r}"
        file.write_text(text.replace(mutant.old, mutant.new, 1))
        environment = os.environ | {"PYTHONPATH": folder, "SMPROXY_SIMULATION_SHRINK": "0"}
        ran = subprocess.run(_command(mutant), env=environment, capture_output=True, text=True, check=False)
    lines = [line for line in ran.stdout.splitlines() if line.startswith(("seed ", "FAILED", "found "))]
    by = _words(mutant, lines[0]) if ran.returncode == 1 and lines else ""
    print(f"{mutant.what:72}  {by or 'NOBODY'}  {time.monotonic() - began:.0f} s", flush=True)
    return by


def _words(mutant: Mutant, line: str) -> str:
    if mutant.caught_by != SIMULATION:
        return f"`{line.removeprefix('FAILED ').partition(' - ')[0].partition('[')[0]}`"
    return f"simulation: {line.split(': ')[1]}"


def _command(mutant: Mutant) -> list[str]:
    if mutant.caught_by == SIMULATION:
        return [sys.executable, "-W", "ignore", "-m", "tests.simulation.node", "--until-broken", "--seeds", str(SEEDS)]
    files = mutant.caught_by.split()
    return [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files]


if __name__ == "__main__":
    sys.exit(main())
