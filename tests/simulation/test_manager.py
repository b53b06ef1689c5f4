"""The manager between simulated clients and a simulated origin, over both doors, with faults: see docs/guarantees.md."""

from __future__ import annotations

import os

import pytest

from tests.simulation.manager.__main__ import report
from tests.simulation.manager.run import run

#: A run costs as much as four of one node.
_RUNS = int(os.environ.get("SMPROXY_SIMULATION_RUNS", "200")) // 4
_PARTS = 4


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize("part", range(_PARTS))
def test_faults_touch_only_what_they_match(part: int) -> None:
    """What no fault is for passes the manager byte for byte and in time, over WebSocket and WHIP, with its media; WHIP
    sessions keep their promises through the manager, also when the origin is lost; and all hooks have their ends."""
    injected = 0
    for seed in range(part, _RUNS, _PARTS):
        try:
            injected += run(seed).injected
        except Exception:
            pytest.fail(report(seed))
    assert injected > 0, "no fault has acted"
