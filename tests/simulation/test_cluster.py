"""The core of the cluster in virtual time: partitions, a registry that is slow or gone, freezes, kills.

``make simulate`` runs 10,000 seeds. A failure names its seed: ``SMPROXY_SIMULATION_SEED=4711 pytest tests/simulation``.
"""

from __future__ import annotations

import os

import pytest

from tests.simulation import scenario

_SEED = os.environ.get("SMPROXY_SIMULATION_SEED")
_RUNS = int(os.environ.get("SMPROXY_SIMULATION_RUNS", "200"))
_PARTS = 4


@pytest.mark.parametrize("part", range(1 if _SEED else _PARTS))
def test_promises_hold_in_every_run(part: int) -> None:
    """No lower epoch acts after a higher one, each start gets ends of one uuid, and in the end every name is free."""
    seeds = [int(_SEED)] if _SEED else range(part, _RUNS, _PARTS)
    acts = sum(scenario.run(seed).oracle.acts for seed in seeds)
    assert acts > 0, "nothing happened"


def test_a_seed_replays_exactly() -> None:
    """The same seed gives the same run, event for event."""
    assert scenario.run(7).log == scenario.run(7).log
