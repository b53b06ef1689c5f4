"""The conformance check against a server that is right in everything but one flaw."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from aiohttp import web
from smproxy.conformance.check import Outcome, RequirementLevel
from smproxy.conformance.http import Http
from smproxy.conformance.machine_report import as_json, as_junit
from smproxy.conformance.runner import Report, checks_of, run
from smproxy.conformance.server import ServerUnderCheck
from smproxy.conformance.text_report import row_lines

from tests.conformance.model_server import ModelServer
from tests.helpers import scaled

TOKEN = "the-token"


@asynccontextmanager
async def serving(model: ModelServer) -> AsyncIterator[str]:
    """Serve the model on a free port; yield the endpoint's URL."""
    runner = web.AppRunner(model.app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}{model.url}"
    finally:
        await runner.cleanup()


async def checked(
    model: ModelServer,
    *,
    media: bool = False,
    before: bool = False,
    only: tuple[str, ...] = (),
    consent: float = 5,
    timeout: float = 5,
) -> Report:
    """Run the rows against a model."""
    protocol: Any = model.protocol
    async with serving(model) as url, Http(token=model.token, timeout=scaled(5), tls=None) as http:
        server = ServerUnderCheck(
            protocol, url, http, rng=random.Random(1), timeout=scaled(timeout), consent=scaled(consent)
        )
        checks = checks_of(protocol, only=only, before_publishing=before, media=media)
        results = await run(server, checks, lambda _: None)
        return Report(protocol, url, tuple(results))


def failed(report: Report) -> dict[str, str]:
    return {each.check.row: each.detail for each in report.results if each.outcome is Outcome.FAILED}


def open_rows(report: Report) -> dict[str, str]:
    return {each.check.row: each.detail for each in report.results if each.outcome is Outcome.NOT_JUDGED}


@pytest.fixture
def quick_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the model, which has aiortc's consent checks, notice a vanished client after about 1.5 s instead of 30 s."""
    monkeypatch.setattr("aioice.ice.CONSENT_INTERVAL", 0.2)
    monkeypatch.setattr("aioice.ice.CONSENT_FAILURES", 2)


@pytest.mark.usefixtures("quick_consent")
@pytest.mark.parametrize("protocol", ["whip", "whep"])
async def test_a_server_without_flaws_passes(protocol: str) -> None:
    """No row fails, those with media included; what is not judged is what the server does not have or nobody can see."""
    report = await checked(ModelServer(protocol), media=True)
    assert failed(report) == {}
    assert report.conforms
    assert set(open_rows(report)) <= {"W14", "W22", "W23.1", "W23.2", "W23.3", "W24.1", "W25", "W30", "E5"}


async def test_a_server_with_all_options_passes() -> None:
    """Tokens, ICE servers, simulcast and 307 are judged when they are there."""
    report = await checked(ModelServer("whip", ["stun", "simulcast-right", "redirect-307"], token=TOKEN))
    assert failed(report) == {}
    assert set(open_rows(report)) == {"W14", "W22", "W25", "W30"}


FLAWS = [
    ("post-200", {"W1.1"}),
    ("answer-type", {"W1.2"}),
    ("no-location", {"W1.3"}),
    ("any-content", {"W2.1"}),
    ("any-sdp", {"W2.2"}),
    ("get-405", {"W3.1"}),
    ("get-body", {"W3.2"}),
    ("no-cors", {"W4.1", "W4.3"}),
    ("no-cors-answer", {"W4.3"}),
    ("no-accept-post", {"W4.2"}),
    ("sendrecv", {"W5.1"}),
    ("any-direction", {"W5.2"}),
    ("no-candidates", {"W6"}),
    ("trickle-200", {"W7"}),
    ("trickle-etag", {"W7"}),
    ("patch-any-content", {"W8.1"}),
    ("patch-any-fragment", {"W8.2"}),
    ("picky", {"W8.3"}),
    ("weak-tag", {"W9.1"}),
    ("star-tag", {"W9.1", "W9.2"}),
    ("no-tag", {"W9.1"}),
    ("same-tag", {"W9.2"}),
    ("no-428", {"W10.1"}),
    ("no-412", {"W10.2"}),
    ("restart-same-credentials", {"W11.1"}),
    ("restart-type", {"W11.1"}),
    ("restart-same-tag", {"W11.2"}),
    ("restart-no-lite", {"W11.3"}),
    ("restart-no-candidates", {"W11.4"}),
    ("restart-400", {"W12"}),
    ("failed-restart-kills", {"W13"}),
    ("delete-204", {"W15.1"}),
    ("delete-stays", {"W15.2", "W15.5"}),
    ("delete-checks-tag", {"W15.3"}),
    ("late-patch-500", {"W15.5"}),
    ("second-track-dropped", {"W17.1"}),
    ("partial", {"W18"}),
    ("no-bundle", {"W19.1"}),
    ("no-mux-only", {"W19.2"}),
    ("setup-actpass", {"W20.1", "W20.2"}),
    ("active-active", {"W20.2"}),
    ("no-fingerprint", {"W20.3"}),
    ("redirect-302", {"W21"}),
    ("turn-bare", {"W24.1"}),
    ("preflight-ice", {"W24.2"}),
    ("extension-name", {"W25"}),
    ("counter-urls", {"W26"}),
    ("problem-status", {"W27"}),
    ("simulcast-wrong", {"W29"}),
]


@pytest.mark.parametrize(("flaw", "rows"), FLAWS, ids=[flaw for flaw, _ in FLAWS])
async def test_a_flaw_fails_its_row(flaw: str, rows: set[str]) -> None:
    """A server with one flaw fails the rows that this flaw violates, and no other."""
    report = await checked(ModelServer("whip", [flaw]))
    assert set(failed(report)) == rows, failed(report)
    assert report.conforms == all(
        each.check.level is not RequirementLevel.MUST for each in report.results if each.outcome is Outcome.FAILED
    )


@pytest.mark.parametrize(("flaw", "rows"), [("restart-422", set()), ("no-patch", set())])
async def test_what_is_optional_is_no_flaw(flaw: str, rows: set[str]) -> None:
    """A server that only trickles and says 422, or takes no PATCH at all, fails nothing."""
    report = await checked(ModelServer("whip", [flaw]))
    assert set(failed(report)) == rows, failed(report)
    assert {"W11.1", "W11.2"} <= set(open_rows(report))


@pytest.mark.parametrize(
    ("flaw", "rows"),
    [
        ("401-bare", {"W23.1"}),
        ("token-403", {"W23.1"}),
        ("preflight-401", {"W4.1", "W23.4"}),
        ("bearer-unread", {"W1.1", "W3.1", "W4.2", "W23.2"}),
    ],
)
async def test_flaws_about_tokens(flaw: str, rows: set[str]) -> None:
    """With a token the rows about it are judged."""
    report = await checked(ModelServer("whip", [flaw], token=TOKEN))
    assert rows <= set(failed(report)), failed(report)
    if flaw != "bearer-unread":
        assert set(failed(report)) == rows


@pytest.mark.usefixtures("quick_consent")
@pytest.mark.parametrize(
    ("flaw", "row"), [("wrong-fingerprint", "W1.4"), ("delete-keeps-media", "W15.4"), ("deaf-to-close", "W16.1")]
)
async def test_a_flaw_of_the_media_connection_fails_its_row(
    flaw: str, row: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows with a real peer connection see that it does not come up, or is not closed."""
    monkeypatch.setattr("smproxy.conformance.session_end._CLOSED", 1.0)
    report = await checked(ModelServer("whip", [flaw]), media=True, only=("W1.4", "W15.4", "W16"))
    assert set(failed(report)) == {row}, failed(report)


async def test_a_server_that_notices_no_vanished_client_fails_its_row() -> None:
    """W16.2 is failed when the session is there after the time that was given."""
    report = await checked(ModelServer("whip"), media=True, only=("W16",), consent=1)
    assert set(failed(report)) == {"W16.2"}


@pytest.mark.parametrize(
    ("flaw", "row"),
    [
        ("head-405", "E2"),
        ("counter-anything", "E3"),
        ("no-media", "E4"),
        ("events-404", "E5"),
        ("two-streams", "W17.2"),
    ],
)
async def test_a_flaw_of_whep_fails_its_row(flaw: str, row: str) -> None:
    """What WHEP has beyond WHIP is judged by rows of its own."""
    rows = ("E2", "E3", "E4", "E5", "W17")
    # Media that does not come is waited for to the end.
    report = await checked(ModelServer("whep", [flaw]), media=True, only=rows, timeout=1 if flaw == "no-media" else 5)
    assert set(failed(report)) == {row}, failed(report)


async def test_events_that_are_there_pass() -> None:
    """A server that announces events and lets them be subscribed to passes E5."""
    report = await checked(ModelServer("whep", ["events"]), only=("E5", "W25"))
    assert not failed(report)
    assert not open_rows(report)


@pytest.mark.parametrize(
    ("flaws", "rows"), [([], set()), (["offline-404"], {"E1"}), (["offline-bare"], {"E1"})], ids=["409", "404", "bare"]
)
async def test_nobody_live(flaws: list[str], rows: set[str]) -> None:
    """Before anybody publishes, 409 with Retry-After passes and everything else fails."""
    report = await checked(ModelServer("whep", flaws, live=False), before=True)
    assert set(failed(report)) == rows


# reports ---------------------------------------------------------------------------------------------------------------


async def test_a_failed_row_says_what_was_sent_what_came_and_what_demands_otherwise() -> None:
    """The text of a failed row has the request, the answer, the finding and the section."""
    report = await checked(ModelServer("whip", ["post-200"]), only=("W1",))
    (row,) = [each for each in report.results if each.outcome is Outcome.FAILED]
    text = "\n".join(row_lines(row, "whip", verbose=False))
    for words in ("W1.1", "MUST", "FAIL", "the answer is 200 OK", "RFC 9725, 4.2", "sent     POST", "came     200 OK"):
        assert words in text


async def test_the_machine_readable_reports_have_every_row() -> None:
    """JSON has all exchanges and no token; JUnit has a failure for each failed MUST, and skips the rest."""
    report = await checked(ModelServer("whip", ["post-200", "no-accept-post"], token=TOKEN))
    document = json.loads(as_json(report))
    assert [each["row"] for each in document["rows"]] == [each.check.row for each in report.results]
    assert document["conforms"] is False
    assert document["counts"]["MUST"]["failed"] == 1
    assert document["rows"][0]["exchanges"][0]["method"] == "POST"
    assert TOKEN not in as_json(report)
    suite = Xml.fromstring(as_junit(report))
    assert int(suite.get("tests", "0")) == len(report.results)
    assert suite.get("failures") == "1"
    (failure,) = suite.findall("testcase/failure")
    assert "200 OK" in failure.get("message", "")
    skipped = [each.get("message", "") for each in suite.findall("testcase/skipped")]
    assert any(each.startswith("SHOULD failed") for each in skipped)


async def test_control_characters_of_a_server_reach_no_terminal() -> None:
    """What a server sends is written out, escape sequences too."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=500, text="\x1b[31mred\x00", content_type="text/plain")

    app = web.Application()
    app.router.add_route("*", "/endpoint", answer)
    model = ModelServer("whip")
    model.app = app
    report = await checked(model, only=("W1.1",))
    text = "\n".join(row_lines(report.results[0], "whip", verbose=True))
    assert "\x1b" not in text
    assert "\\u001b[31mred" in text


_MADE = b"HTTP/1.1 201 Created\r\nContent-Type: application/sdp\r\nContent-Length: 14\r\n"
BROKEN = {
    "garbage": b"\x00\xff garbage\r\n\r\n",
    "closes": b"",
    "half": b"HTTP/1.1 201 Created\r\nContent-Length: 1000\r\n\r\nv=0",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "bad header": b"HTTP/1.1 200 OK\r\nLocation\xff\x00\r\n\r\n",
    "wild location": _MADE + b"Location: http://[::1/\r\n\r\nv=0\r\nm=audio x",
    "wild port": _MADE + b"Location: http://h:99999999/\r\nETag: \xe9\r\n\r\nv=0\r\nm=audio x",
    "redirects to itself": b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /endpoint\r\nContent-Length: 0\r\n\r\n",
    "no description": b"HTTP/1.1 201 Created\r\nLocation: /s\r\nContent-Type: application/sdp\r\nContent-Length: 3\r\n\r\nm=\n",
}


@pytest.mark.parametrize("protocol", ["whip", "whep"])
@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_server_breaks_no_check(reply: bytes, protocol: Any) -> None:
    """Whatever comes over the socket, each row gets an outcome, and no check fails itself."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(reply)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/endpoint"
    async with listener, Http(token=None, timeout=scaled(2), tls=None) as http:
        server = ServerUnderCheck(protocol, url, http, rng=random.Random(1), timeout=scaled(2), consent=1)
        results = await run(server, checks_of(protocol), lambda _: None)
    report = Report(protocol, url, tuple(results))
    assert not report.conforms
    assert not [each.detail for each in results if "the check failed" in each.detail]
