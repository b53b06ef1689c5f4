"""One node in a simulated world, with models that say what must hold: see docs/guarantees.md.

``make simulate SEEDS=100000`` runs more seeds than these; a seed that breaks a promise is shrunk and printed with a command.
"""

from __future__ import annotations

import os

import pytest

from tests.simulation.node.found import FOUND, Found
from tests.simulation.node.run import run
from tests.simulation.node.shrinking import report

_RUNS = int(os.environ.get("SMPROXY_SIMULATION_RUNS", "200"))
_PARTS = 8


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize("part", range(_PARTS))
def test_promises_hold_in_every_run(part: int) -> None:
    """Sessions, journal, delivery, names, reconnect windows and faults keep their promises, whatever comes in which order."""
    hooks = 0
    for seed in range(part, _RUNS, _PARTS):
        try:
            hooks += len(run(seed).delivery.events)
        except Exception:
            pytest.fail(report(seed))
    assert hooks > 0, "nothing happened"


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize("found", FOUND, ids=lambda found: found.what)
def test_what_was_found_stays_mended(found: Found) -> None:
    """A history that once broke a promise breaks none."""
    run(found.seed, found.steps, found.setup)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_a_seed_replays_exactly() -> None:
    """The same seed gives the same run, line by line."""
    assert run(7).log == run(7).log
