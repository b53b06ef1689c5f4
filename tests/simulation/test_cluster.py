"""The core of the cluster in virtual time: partitions, a registry that is slow or gone, freezes, kills.

``make simulate`` runs 10,000 seeds. A failure prints the shortest history found and a command that replays just that; one of a
situation names its seed: ``SMPROXY_SIMULATION_SEED=4711 pytest tests/simulation``.
``make mutants-cluster`` shows what these tests find: each core that is broken on purpose fails them.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.simulation import scenario
from tests.simulation.situations import FOUND, SITUATIONS, Situation, run

_SEED = os.environ.get("SMPROXY_SIMULATION_SEED")
_RUNS = int(os.environ.get("SMPROXY_SIMULATION_RUNS", "200"))
_PARTS = 4


@pytest.mark.parametrize("part", range(1 if _SEED else _PARTS))
def test_promises_hold_in_every_run(part: int) -> None:
    """No lower epoch acts after a higher one, each start gets ends of one uuid, and in the end every name is free."""
    seeds = [int(_SEED)] if _SEED else range(part, _RUNS, _PARTS)
    acts = 0
    for seed in seeds:
        try:
            acts += scenario.run(seed).oracle.acts
        except Exception:
            pytest.fail(scenario.report(seed))
    assert acts > 0, "nothing happened"


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.__name__)
def test_one_failure_takes_no_longer_than_promised(situation: Callable[[Situation], None]) -> None:
    """After one failure of a healthy cluster its names are free, its sessions ended and its nodes back within the time."""
    found = FOUND.get(situation.__name__, ())
    seeds = [int(_SEED)] if _SEED else [*found, *range(max(10, _RUNS // 10))]
    assert all(run(situation, seed).oracle.acts for seed in seeds)


def test_a_seed_replays_exactly() -> None:
    """The same seed gives the same run, event for event."""
    assert scenario.run(7).log == scenario.run(7).log
