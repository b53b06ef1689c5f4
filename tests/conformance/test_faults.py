"""The stream manager with a fault fails the row of the conformance check that is about it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest
from smproxy.conformance.check import Outcome
from smproxy.conformance.http import Http
from smproxy.conformance.runner import checks_of, run
from smproxy.conformance.server import ServerUnderCheck
from smproxy.simulator import Simulator

from tests.helpers import scaled

#: What is simulated, and the row that fails.
ROWS = [
    ("http-error:status=500", "W1.1"),
    ("http-broken-answer:how=cut", "W1.1"),
    ("http-content-type", "W1.2"),
    ("http-broken-answer:how=half", "W1.2"),
    ("http-location", "W1.3"),
    ("http-error:on=patch:status=500", "W7"),
    ("http-error:on=patch:status=412", "W7"),
    ("http-etag:how=changed", "W7"),
    ("http-etag:how=any", "W9.1"),
    ("http-etag:how=weak", "W9.1"),
    ("http-error:on=delete:status=501", "W15.1"),
    ("http-unanswered", "W15.1"),
    ("http-redirect:status=301", "W21"),
    ("http-redirect:status=302", "W21"),
]


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """A stream manager of its own for each row."""
    async with Simulator() as simulator:
        yield simulator


@pytest.mark.parametrize(("fault", "row"), ROWS, ids=[f"{row} {fault}" for fault, row in ROWS])
async def test_a_fault_fails_its_row(simulator: Simulator, fault: str, row: str) -> None:
    """Without the fault the row passes, with it the row fails."""
    async with Http(token=None, timeout=scaled(3), tls=None) as http:
        outcomes = []
        for name, asked in (("right", ""), ("wrong", f"&simulate={fault}")):
            url = f"{simulator.rest_url}/live/whip/endpoint/{name}?customerScope=acme{asked}"
            server = ServerUnderCheck("whip", url, http, rng=random.Random(1), timeout=scaled(3), consent=scaled(5))
            (result,) = await run(server, checks_of("whip", only=(row,)), lambda _: None)
            outcomes.append(result.outcome)
    assert outcomes[1] is Outcome.FAILED, result.detail
    assert outcomes[0] in {Outcome.PASSED, Outcome.NOT_JUDGED}
    assert simulator.faults.log()
