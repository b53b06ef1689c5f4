"""The stream manager passes the conformance check, through the manager and with media."""

from __future__ import annotations

import random
from typing import Any

import pytest
from smproxy.conformance.check import Outcome, RequirementLevel
from smproxy.conformance.http import Http
from smproxy.conformance.runner import Report, checks_of, published, run
from smproxy.conformance.server import ServerUnderCheck
from smproxy.settings import Settings
from smproxy.simulator import Simulator

from tests.helpers import scaled


@pytest.mark.parametrize("protocol", ["whip", "whep"])
async def test_no_row_is_failed(protocol: Any, tmp_path: Any) -> None:
    """No MUST and no SHOULD is failed, of WHIP and of WHEP; every row that can be judged from outside is."""
    async with (
        Simulator(Settings(port=0, tls_port=0, data_dir=tmp_path)) as simulator,
        Http(token=None, timeout=scaled(5), tls=None) as http,
        Http(token=None, timeout=scaled(5), tls=None) as publishing,
    ):
        base = simulator.url.replace("ws:", "http:").removesuffix("/streammanager") + "/live"
        url = f"{base}/{protocol}/endpoint/s1?customerScope=acme"
        server = ServerUnderCheck(protocol, url, http, rng=random.Random(1), timeout=scaled(5), consent=scaled(10))
        results = await run(server, checks_of(protocol, before_publishing=True), lambda _: None)
        if protocol == "whep":
            async with published(f"{base}/whip/endpoint/s1?customerScope=acme", publishing, scaled(5)):
                results += await run(server, checks_of(protocol), lambda _: None)
        else:
            results += await run(server, checks_of(protocol), lambda _: None)
    report = Report(protocol, url, tuple(results))
    assert {each.check.row: each.detail for each in results if each.outcome is Outcome.FAILED} == {}
    assert report.count(RequirementLevel.MUST, Outcome.PASSED) >= 39
    not_judged = {each.check.row for each in results if each.outcome is Outcome.NOT_JUDGED}
    assert not_judged <= {"W14", "W22", "W23.1", "W23.2", "W23.3", "W24.1", "W25", "W30"}
