"""WHIP sessions at an origin, beside a model of what RFC 9725 promises."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.simulation import whip_model
from tests.simulation.whip_replay import report

_RUNS = int(os.environ.get("SMPROXY_SIMULATION_RUNS", "200"))


def test_sessions_are_as_the_model_says() -> None:
    """Tags are new after each restart, outdated ones refused, what fails changes nothing, DELETE ends (W9 to W15)."""
    for seed in range(_RUNS):
        try:
            asyncio.run(whip_model.run(seed))
        except Exception:
            pytest.fail(report(seed))
