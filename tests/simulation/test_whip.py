"""WHIP sessions at an origin, beside a model of what RFC 9725 promises."""

from __future__ import annotations

import asyncio
import os

from tests.simulation import whip_model

_RUNS = int(os.environ.get("SMPROXY_SIMULATION_RUNS", "200"))


def test_sessions_are_as_the_model_says() -> None:
    """Tags are new after each restart, outdated ones refused, what fails changes nothing, DELETE ends (W9 to W15)."""

    async def run() -> None:
        for seed in range(_RUNS):
            await whip_model.run(seed)

    asyncio.run(run())
