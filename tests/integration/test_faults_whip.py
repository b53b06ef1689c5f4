"""Faults over WHIP and WHEP, through real HTTP: as a client, the hooks and the log of faults see them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiortc import RTCSessionDescription
from smproxy.settings.option_values import Address
from smproxy.simulator import Simulator
from smproxy.testing import Publisher, WebhookReceiver

from tests.helpers import eventually, scaled
from tests.integration.conftest import StartSimulator
from tests.integration.lives import last, spell
from tests.integration.origin_whip import WebRtc
from tests.integration.whip_origin import ANSWER, WhipOrigin, whip_origin

PATH = "/live/whip/endpoint/cam?customerScope=acme"
WATCH = "/live/whep/endpoint/cam?customerScope=acme"
OFFER = "v=0\r\nan offer\r\n"
SDP = {"Content-Type": "application/sdp"}


@pytest.fixture
async def origin() -> AsyncIterator[WhipOrigin]:
    """An external origin."""
    async with whip_origin() as origin:
        yield origin


@pytest.fixture
async def simulator(receiver: WebhookReceiver, start_simulator: StartSimulator, origin: WhipOrigin) -> Simulator:
    """A manager whose only origin it is."""
    return await start_simulator(receiver, local_origin=False, origin=(Address("127.0.0.1", origin.port),))


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that has the manager's address as its base."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{simulator.port}") as client:
        yield client


async def offer(
    client: aiohttp.ClientSession, fault: str = "", path: str = PATH, **options: Any
) -> aiohttp.ClientResponse:
    """Send an offer, and read the whole answer."""
    asked = f"&simulate={fault}" if fault else ""
    async with client.post(path + asked, data=OFFER, headers=SDP, allow_redirects=False, **options) as response:
        await response.read()
        return response


def told(receiver: WebhookReceiver) -> list[str]:
    """Return what the hooks tell so far."""
    return [spell(event) for event in receiver.events]


REFUSALS = [
    ("http-error:status=401", 401, ["connecting", "connect_error"], 3),
    ("http-error:status=422", 422, ["connecting", "connect_error"], 0),
    ("http-error:status=503", 503, ["connecting", "connect_error"], 5),
    ("connect-rejected", 403, ["connect_error"], 3),
    ("origin-full", 503, ["connect_error"], 3),
    ("connect-failed", 502, ["connecting", "connect_error"], 2),
    ("origin-unreachable", 502, ["connecting", "connect_error"], 2),
    ("name-in-use", 409, ["connecting", "connect_error"], 4),
    ("offer-error", 422, ["connecting", "connect_error"], 0),
    ("publish-denied", 403, ["connecting", "connect_error"], 3),
]


@pytest.mark.parametrize(("fault", "status", "hooks", "error"), REFUSALS, ids=[row[0] for row in REFUSALS])
async def test_refusals(
    simulator: Simulator,
    client: aiohttp.ClientSession,
    origin: WhipOrigin,
    receiver: WebhookReceiver,
    fault: str,
    status: int,
    hooks: list[str],
    error: int,
) -> None:
    """An offer is refused with the status and one sentence, never reaches the origin, and the hooks say why."""
    response = await offer(client, fault)
    assert (response.status, response.content_type) == (status, "application/problem+json")
    assert (await response.json())["detail"].endswith(".")
    assert ("Retry-After" in response.headers) is (status == 503)
    await eventually(lambda: told(receiver) == hooks)
    assert last(receiver)["error"] == error
    assert origin.requests == []
    (entry,) = simulator.faults.log()
    assert (entry.fault, entry.connection_id) == (fault.partition(":")[0], "cam")
    assert simulator.faults.names_for(entry.session or 0) == [entry.fault]


async def test_refused_before_there_is_a_session(
    simulator: Simulator, client: aiohttp.ClientSession, receiver: WebhookReceiver
) -> None:
    """As a balancer in front: an error without hooks; and the vendor's first question can be refused by itself."""
    response = await offer(client, "upgrade-refused:status=418")
    assert response.status == 418
    simulator.faults.add("http-error", on="options", status=500, count=1)
    assert (await offer(client)).status == 201
    async with client.options(PATH) as response:
        assert response.status == 500
    async with client.options(PATH) as response:
        assert (response.status, response.headers["Accept-Post"]) == (200, "application/sdp")
    await eventually(lambda: "peer_joined" in told(receiver))
    assert told(receiver).count("connecting") == 1


async def test_the_reason_of_a_refusal_is_in_the_log_and_in_the_timeline(
    start_simulator: StartSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Why an offer is refused, which most libraries do not show, stands in the log and in the session's timeline."""
    simulator = await start_simulator()
    why = "The offer has no media section."
    async with aiohttp.ClientSession(simulator.rest_url) as client:
        response = await offer(client, path=f"{PATH}&token=hunter2")
        assert (response.status, (await response.json())["detail"]) == (400, why)
        async with client.get("/api/v1/sessions") as listed:
            (session,) = (await listed.json())["sessions"]
        async with client.get(f"/api/v1/sessions/{session['session']}/timeline") as timeline:
            entries = (await timeline.json())["entries"]
    assert [entry["detail"] for entry in entries if entry["title"] == "400"] == [f"http, {why}"]
    records = [record for record in caplog.records if "refused with 400" in record.getMessage()]
    assert [(record.levelname, record.getMessage()) for record in records] == [
        ("WARNING", f"session {session['session']}: refused with 400: {why}")
    ]


async def test_an_answer_to_the_delete_that_comes_after_the_media_has_ended(start_simulator: StartSimulator) -> None:
    """A client waits for the answer to its DELETE, also when the media connection is gone before it comes."""
    simulator = await start_simulator()
    publisher = Publisher(
        f"{simulator.rest_url}/live/whip/endpoint/cam",
        stream="cam",
        transport="whip",
        params={"simulate": "latency:ms=300"},
    )
    await publisher.publish()
    await publisher.unpublish()
    assert publisher.ended_by == "client"


async def test_redirect_is_followed(client: aiohttp.ClientSession, origin: WhipOrigin) -> None:
    """A client that follows the redirect publishes at its second request."""
    response = await offer(client, "http-redirect:status=308")
    assert response.status == 308
    again = await offer(client, path=response.headers["Location"])
    assert (again.status, len(origin.requests)) == (201, 1)


@pytest.mark.parametrize(
    ("fault", "header", "value"),
    [
        ("http-location", "Location", None),
        ("http-content-type:type=text/html", "Content-Type", "text/html"),
        ("http-etag:how=missing", "ETag", None),
        ("http-etag:how=any", "ETag", "*"),
    ],
)
async def test_headers(client: aiohttp.ClientSession, fault: str, header: str, value: str | None) -> None:
    """What begins a session has another header, or lacks it; the session begins all the same."""
    response = await offer(client, fault)
    assert (response.status, response.headers.get(header)) == (201, value)
    assert await response.text() == ANSWER


async def test_locations_lead_to_the_session(client: aiohttp.ClientSession, origin: WhipOrigin) -> None:
    """An absolute and a relative Location, each resolved as RFC 3986 says, lead to the session."""
    for form in ("absolute", "relative"):
        response = await offer(client, f"http-location:form={form}")
        url = response.url.join(type(response.url)(response.headers["Location"]))
        assert response.headers["Location"].startswith("http" if form == "absolute" else "..")
        async with client.delete(url) as deleted:
            assert deleted.status == 200
    assert [method for method, *_ in origin.requests] == ["POST", "DELETE"] * 2


async def test_broken_answers(client: aiohttp.ClientSession) -> None:
    """An answer is cut short, or its connection is."""
    response = await offer(client, "http-broken-answer")
    assert await response.text() == ANSWER[: len(ANSWER) // 2]
    with pytest.raises(aiohttp.ClientPayloadError):
        await offer(client, "http-broken-answer:how=cut")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await offer(client, "close:stage=answer")


async def test_later_requests(
    simulator: Simulator, client: aiohttp.ClientSession, origin: WhipOrigin, receiver: WebhookReceiver
) -> None:
    """A fault of PATCH or DELETE acts on the sessions that it was drawn for, and on no others."""
    simulator.faults.add("http-error", id="cam", on="patch", status=405)
    simulator.faults.add("http-error", id="cam", on="delete", status=501)
    beside = await offer(client, path=PATH.replace("/cam", "/beside"))
    session = (await offer(client)).headers["Location"]
    for method, status in (("PATCH", 405), ("DELETE", 501)):
        async with client.request(method, session, data="x") as response:
            assert response.status == status
    async with client.patch(beside.headers["Location"], data="x") as response:
        assert response.status == 204
    assert [method for method, *_ in origin.requests] == ["POST", "POST", "PATCH"]
    assert [entry.detail for entry in simulator.faults.log()] == ["PATCH 405", "DELETE 501"]


async def test_delete_is_not_answered(
    client: aiohttp.ClientSession, origin: WhipOrigin, receiver: WebhookReceiver
) -> None:
    """The session ends, its client waits in vain, and nothing is left of the request when it leaves."""
    session = (await offer(client, "unpublish-unanswered")).headers["Location"]
    with pytest.raises(TimeoutError):
        async with client.delete(session, timeout=aiohttp.ClientTimeout(total=scaled(0.3))):
            pass
    await eventually(lambda: receiver.events and last(receiver).get("state") == "disconnected")
    assert [method for method, *_ in origin.requests] == ["POST", "DELETE"]


async def test_offer_is_not_answered(
    client: aiohttp.ClientSession, origin: WhipOrigin, receiver: WebhookReceiver
) -> None:
    """An offer that is lost ends as an attempt that came to nothing."""
    with pytest.raises(TimeoutError):
        await offer(client, "http-unanswered:on=post:lost=true", timeout=aiohttp.ClientTimeout(total=scaled(0.3)))
    await eventually(lambda: told(receiver) == ["connecting", "connect_error"])
    assert (origin.requests, last(receiver)["error"]) == ([], 1)


async def test_session_is_lost(simulator: Simulator, client: aiohttp.ClientSession, receiver: WebhookReceiver) -> None:
    """The session's URL is unknown once it is lost, and the hooks tell its end."""
    session = (await offer(client, "http-session-gone:after=0.1")).headers["Location"]
    await eventually(lambda: receiver.events and last(receiver).get("state") == "disconnected")
    assert last(receiver)["reason"] == 4
    async with client.patch(session, data="x") as response:
        assert response.status == 404
    assert simulator.faults.log()[-1].fault == "http-session-gone"


async def test_faults_of_the_other_protocol(simulator: Simulator, client: aiohttp.ClientSession) -> None:
    """What acts on a WebSocket only is not used up by HTTP, nor the other way round."""
    on_socket = simulator.faults.add("no-starting", count=1)
    on_http = simulator.faults.add("http-location", count=1)
    assert "Location" not in (await offer(client, path=WATCH)).headers
    assert (on_socket.used, on_http.used) == (0, 1)


async def test_unknown_fault(client: aiohttp.ClientSession, receiver: WebhookReceiver) -> None:
    """A fault that does not exist is refused like any bad parameter."""
    response = await offer(client, "http-eror")
    assert response.status == 400
    assert "did you mean http-error?" in (await response.json())["detail"]


@pytest.mark.media
async def test_media_faults(start_simulator: StartSimulator, receiver: WebhookReceiver) -> None:
    """Faults of media and of whole origins act on a WHIP session as on any other."""
    simulator = await start_simulator(receiver)
    lost = simulator.faults.add("peer-dies", after=0.2)
    publisher = WebRtc(None)  # type: ignore[arg-type]
    try:
        async with aiohttp.ClientSession(simulator.rest_url) as client:
            sdp = await publisher.offer(sends=True, video=False)
            async with client.post(PATH, data=sdp, headers=SDP) as response:
                assert response.status == 201, await response.text()
                await publisher.pc.setRemoteDescription(RTCSessionDescription(await response.text(), "answer"))
            await eventually(lambda: receiver.events and last(receiver).get("state") == "disconnected", 15)
        assert (last(receiver)["reason"], lost.injected) == (4, 1)
    finally:
        await asyncio.wait_for(publisher.close(), 10)
