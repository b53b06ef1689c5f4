"""The faults of WHIP that the stream manager can be told to have: the check finds each of them in the row that fits."""

from __future__ import annotations

import random
from pathlib import Path
from urllib.parse import quote

import pytest
from smproxy.conformance.check import Outcome
from smproxy.conformance.http import Http
from smproxy.conformance.runner import checks_of, run
from smproxy.conformance.server import ServerUnderCheck
from smproxy.settings import Settings
from smproxy.simulator import Simulator

from tests.helpers import scaled

#: Fault, and the rows that it fails. Some faults are none to the standard.
FAULTS = [
    ("http-error:status=401", {"W1.1"}),
    ("http-error:status=409", {"W1.1"}),
    ("http-error:status=422", {"W1.1"}),
    ("http-error:status=404:on=delete", {"W15.1"}),
    ("http-error:status=501:on=patch", set()),
    ("http-error:status=405:on=patch", set()),
    ("http-error:status=403:on=options", {"W4.2"}),
    ("http-broken-answer", {"W1.2"}),
    ("http-broken-answer:how=garbage", {"W1.2"}),
    ("http-broken-answer:how=empty", {"W1.2"}),
    ("http-broken-answer:how=cut", {"W1.1"}),
    ("http-content-type", {"W1.2"}),
    ("http-content-type:on=patch", {"W11.1"}),
    ("http-etag", {"W7"}),
    ("http-etag:how=missing", {"W9.1"}),
    ("http-etag:how=weak", {"W9.1"}),
    ("http-etag:how=any", {"W9.1", "W9.2"}),
    ("http-ice-servers", set()),
    ("http-location", {"W1.3"}),
    ("http-location:form=absolute", set()),
    ("http-location:form=relative", set()),
    ("http-redirect", set()),
    ("http-redirect:status=301", {"W21"}),
    ("http-redirect:status=302", {"W21"}),
    ("http-redirect:status=308", set()),
    ("http-redirect:status=307:on=delete", {"W15.1"}),
    ("http-session-gone:after=0", {"W3.2", "W7"}),
    ("http-unanswered", {"W15.1"}),
    ("http-unanswered:on=post", {"W1.1"}),
    ("http-delay:seconds=0.05", set()),
]


@pytest.mark.parametrize(("fault", "rows"), FAULTS, ids=[fault for fault, _ in FAULTS])
async def test_a_fault_fails_its_row(
    fault: str, rows: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fault of the layer http fails the rows that fit, and no other."""
    monkeypatch.setattr("smproxy.conformance.server._FREE_AGAIN", 0.5)
    # An answer that does not come is waited for to the end, several times.
    timeout = scaled(0.4 if fault.startswith("http-unanswered") else 3)
    async with (
        Simulator(Settings(port=0, tls_port=0, data_dir=tmp_path)) as simulator,
        Http(token=None, timeout=timeout, tls=None) as http,
    ):
        base = simulator.url.replace("ws:", "http:").removesuffix("/streammanager")
        url = f"{base}/live/whip/endpoint/s1?customerScope=acme&simulate={quote(fault)}"
        server = ServerUnderCheck("whip", url, http, rng=random.Random(1), timeout=timeout, consent=1)
        results = await run(server, checks_of("whip", media=False), lambda _: None)
    failed = {each.check.row: each.detail for each in results if each.outcome is Outcome.FAILED}
    assert set(failed) == rows, failed
