"""Cores that are broken on purpose. The simulation must find every one: ``make mutants-cluster``.

    python -m tests.simulation.mutants [--seeds 1000] [NAME …]

Each is one change of the core's source, listed in ``mutants.toml``. A core that is found names the first seed and what was
broken; one that is not, or whose source has changed so that it cannot be made any more, makes the run fail.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
import smproxy

CORE = Path(smproxy.__file__).parent / "cluster"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A core in which ``right`` was replaced by ``wrong``, once, in one module."""

    name: str
    module: str
    right: str
    wrong: str

    def source(self) -> str:
        """Return the broken module's source.

        Raises:
            ValueError: the right one is not there once.
        """
        source = (CORE / f"{self.module}.py").read_text()
        if source.count(self.right) != 1:
            raise ValueError(f"{self.name}: {self.module}.py has {source.count(self.right)} times: {self.right!r}")
        return source.replace(self.right, self.wrong)

    def load(self) -> None:
        """Put the broken module in place of the right one, before anything has imported that."""
        name = f"smproxy.cluster.{self.module}"
        assert name not in sys.modules
        spec = importlib.util.spec_from_file_location(name, CORE / f"{self.module}.py")
        assert spec is not None
        module: ModuleType = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        exec(compile(self.source(), f"{self.module}.py ({self.name})", "exec"), vars(module))


MUTANTS = tuple(Mutant(**each) for each in tomllib.loads(Path(__file__).with_suffix(".toml").read_text())["mutant"])


def _runs(seeds: int) -> Iterator[tuple[str, int, Callable[[], object]]]:
    """Yield what is run: the seeds that have found a fault before, then new ones."""
    from tests.simulation import scenario
    from tests.simulation.situations import FOUND, SITUATIONS, run

    for situation in SITUATIONS:
        for seed in FOUND.get(situation.__name__, ()):
            yield situation.__name__, seed, partial(run, situation, seed)
    for seed in range(seeds):
        yield "trouble", seed, partial(scenario.run, seed)
        if seed % 10 == 0:
            for situation in SITUATIONS:
                yield situation.__name__, seed // 10, partial(run, situation, seed // 10)


def attempt(mutant: Mutant, seeds: int) -> str | None:
    """Run seeds with a broken core, in a process that has no other; return what was found, if anything was."""
    mutant.load()
    for name, seed, one in _runs(seeds):
        try:
            one()
        except Exception as error:
            return f"{name} {seed}: {type(error).__name__}: {error}"
    # What no history of failures shows because another safeguard is in its way, the tests of the single parts do.
    here = Path(__file__).parents[1] / "unit"
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        code = pytest.main(
            [
                "-q",
                "-x",
                "-p",
                "no:cacheprovider",
                "-W",
                "ignore::pytest.PytestAssertRewriteWarning",
                *map(str, sorted(here.glob("test_cluster_*.py"))),
            ]
        )
    failed = re.search(r"^FAILED \S+::(\w+)", output.getvalue(), re.MULTILINE)
    return f"unit: {failed[1]}" if code and failed else None


def _in_a_process(mutant: Mutant, seeds: int) -> tuple[Mutant, int, str, float]:
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.simulation.mutants", "--here", "--seeds", str(seeds), mutant.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return mutant, done.returncode, done.stdout.strip() or done.stderr.strip(), time.monotonic() - began


def main() -> int:
    """Run the broken cores; return how many were not found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--here", action="store_true", help="run the one that is named in this process")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    chosen = [each for each in MUTANTS if not arguments.names or each.name in arguments.names]
    if arguments.here:
        found = attempt(chosen[0], arguments.seeds)
        print(found or f"not found in {arguments.seeds} seeds")
        return 0 if found else 1
    missed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutant, code, what, took in pool.map(lambda each: _in_a_process(each, arguments.seeds), chosen):
            missed += code != 0
            print(
                f"{'MISSED' if code else 'found '} {mutant.name:<40} {took:5.1f} s  {what.splitlines()[-1][:150]}",
                flush=True,
            )
    print(f"{len(chosen) - missed} of {len(chosen)} broken cores were found")
    return missed


if __name__ == "__main__":
    sys.exit(main())
