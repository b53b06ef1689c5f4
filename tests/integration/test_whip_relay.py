"""The manager relays WHIP and WHEP exchanges to an origin that is not ours, and keeps its books by them."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import aiohttp
import pytest
from smproxy.settings.option_values import Address
from smproxy.simulator import Simulator
from smproxy.testing import WebhookReceiver

from tests.helpers import eventually
from tests.integration.conftest import StartSimulator
from tests.integration.lives import last, spell
from tests.integration.whip_origin import ANSWER, WhipOrigin, whip_origin
from tests.nats_server import free_port

OFFER = "v=0\r\nan offer\r\n"
SDP = {"Content-Type": "application/sdp"}


@pytest.fixture
async def origin() -> AsyncIterator[WhipOrigin]:
    """An external origin."""
    async with whip_origin() as origin:
        yield origin


@pytest.fixture
async def simulator(start_simulator: StartSimulator, origin: WhipOrigin, receiver: WebhookReceiver) -> Simulator:
    """A manager whose only origin it is."""
    return await start_simulator(receiver, local_origin=False, origin=(Address("127.0.0.1", origin.port),))


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that has the manager's address as its base."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{simulator.port}") as client:
        yield client


def told(receiver: WebhookReceiver) -> list[str]:
    """Return what the hooks tell so far."""
    return [spell(event) for event in receiver.events]


@pytest.mark.parametrize(
    "path",
    [
        "/live/whip/endpoint/cam?customerScope=acme",
        "/streammanager/whip/endpoint/cam?customerScope=acme&app=live",
        "/as/v1/proxy/whip/live/cam?customerScope=acme",
        "/live/cam/whip?customerScope=acme",
        "/rtc/v1/whip/?app=live&stream=cam&customerScope=acme",
        "/api/whip?customerScope=acme",
    ],
)
async def test_publishes(
    client: aiohttp.ClientSession, origin: WhipOrigin, receiver: WebhookReceiver, path: str
) -> None:
    """In every URL shape an offer reaches the origin at one path, and the session's life makes the same hooks."""
    headers = SDP | ({"Authorization": "Bearer cam"} if path.startswith("/api/") else {})
    async with client.post(path, data=OFFER, headers=headers) as response:
        assert (response.status, await response.text(), response.headers["ETag"]) == (201, ANSWER, '"ice-1"')
        session = response.headers["Location"]
    method, target, sent, body = origin.requests[0]
    assert (method, body, sent["Content-Type"]) == ("POST", OFFER, "application/sdp")
    assert target.startswith("/live/whip/endpoint/cam?")
    assert "X-Stream-Manager-Attempt" not in sent
    async with client.patch(session, data="fragment", headers={"If-Match": '"ice-1"'}) as response:
        assert response.status == 204
    assert origin.requests[1][:2] == ("PATCH", "/sessions/a?x=1")
    assert origin.requests[1][2]["If-Match"] == '"ice-1"'
    async with client.delete(session) as response:
        assert (response.status, await response.text()) == (200, "{}")
    async with client.patch(session, data="late") as response:
        assert (response.status, response.content_type) == (404, "application/problem+json")
    await eventually(lambda: len(receiver.events) == 5)
    assert told(receiver) == ["connecting", "connected", "peer_joined", "peer_leaved", "disconnected"]
    connection = receiver.events[0]["connection"]
    assert (connection["id"], connection["role"], connection["transport"]) == ("cam", "publisher", "whip")


async def test_watches(client: aiohttp.ClientSession, origin: WhipOrigin, receiver: WebhookReceiver) -> None:
    """A WHEP client is a subscriber with an id of its own, its requestId where it sends one."""
    path = "/live/whep/endpoint/cam?customerScope=acme&requestId=subscriber-7"
    async with client.post(path, data=OFFER, headers=SDP) as response:
        assert response.status == 201
    assert "requestId=subscriber-7" in origin.requests[0][1]
    await eventually(lambda: len(receiver.events) >= 3)
    connection = receiver.events[0]["connection"]
    assert (connection["id"], connection["role"], connection["transport"]) == ("subscriber-7", "subscriber", "whep")


@pytest.mark.parametrize(("status", "error"), [(400, 0), (403, 3), (409, 4), (422, 0), (500, 5)])
async def test_refused_by_the_origin(
    client: aiohttp.ClientSession, origin: WhipOrigin, receiver: WebhookReceiver, status: int, error: int
) -> None:
    """A refusal reaches the client as it is, with its headers, and the hook tells what kind it was."""
    origin.status, origin.headers, origin.body = status, {"Retry-After": "7"}, "no"
    async with client.post("/live/whip/endpoint/cam?customerScope=acme", data=OFFER, headers=SDP) as response:
        assert (response.status, response.headers["Retry-After"], await response.text()) == (status, "7", "no")
    await eventually(lambda: len(receiver.events) == 2)
    assert told(receiver) == ["connecting", "connect_error"]
    assert last(receiver)["error"] == error


async def test_refused_by_the_manager(client: aiohttp.ClientSession, receiver: WebhookReceiver) -> None:
    """A parameter that cannot be is named in one sentence, and the hook tells of the refusal."""
    async with client.post("/live/whip/endpoint/cam?customerScope=acme&recording=perhaps", data=OFFER) as response:
        assert (response.status, response.content_type) == (400, "application/problem+json")
        assert "recording is neither true nor false" in (await response.json())["detail"]
    await eventually(lambda: told(receiver) == ["connect_error"])


async def test_no_origin(client: aiohttp.ClientSession, origin: WhipOrigin, receiver: WebhookReceiver) -> None:
    """A host that is not registered is refused; nothing is sent there."""
    path = "/live/whip/endpoint/cam?customerScope=acme&host=203.0.113.9"
    async with client.post(path, data=OFFER, headers=SDP) as response:
        assert response.status == 400
        assert "not a registered origin" in (await response.json())["detail"]
    assert origin.requests == []


async def test_origin_down(start_simulator: StartSimulator, receiver: WebhookReceiver) -> None:
    """An origin that does not answer is a 502 with one sentence, and error 2 in the hook."""
    simulator = await start_simulator(receiver, local_origin=False, origin=(Address("127.0.0.1", free_port()),))
    url = f"http://127.0.0.1:{simulator.port}/live/whip/endpoint/cam?customerScope=acme"
    async with aiohttp.ClientSession() as client, client.post(url, data=OFFER, headers=SDP) as response:
        assert response.status == 502
        assert "cannot be reached" in (await response.json())["detail"]
    await eventually(lambda: len(receiver.events) == 2)
    assert last(receiver)["error"] == 2


async def test_events_are_passed_on(client: aiohttp.ClientSession, origin: WhipOrigin) -> None:
    """Server-sent events come through one by one, under the session's own URL, and end with the session."""
    origin.headers["Link"] = '</sessions/a/events>; rel="urn:ietf:params:whep:ext:core:server-sent-events"'
    path = "/live/whep/endpoint/cam?customerScope=acme"
    async with client.post(path, data=OFFER, headers=SDP) as response:
        session = response.headers["Location"]
        assert response.headers["Link"].startswith(f"<{session}/events>;")
    async with client.post(f"{session}/events", json=["active"]) as response:
        assert (response.status, response.headers["Location"]) == (201, f"{session}/events/1")
    async with client.get(f"{session}/events/1") as events:
        for text in (b"event: active\n\n", b"event: inactive\n\n"):
            origin.events.put_nowait(text)
            assert await events.content.readexactly(len(text)) == text
        async with client.delete(session) as response:
            assert response.status == 200
        assert await events.content.read() == b""


@pytest.mark.parametrize("protocol", ["whip", "whep"])
async def test_what_an_endpoint_is(client: aiohttp.ClientSession, protocol: str) -> None:
    """GET says nothing, OPTIONS says what is taken and which node serves, other methods are refused with what is allowed."""
    path = f"/live/{protocol}/endpoint/cam"
    async with client.get(path) as response:
        assert (response.status, await response.read()) == (204, b"")
    async with client.options(path) as response:
        assert (response.status, response.headers["Accept-Post"]) == (200, "application/sdp")
        assert response.headers["Session-Host"].startswith("127.0.0.1")
    async with client.put(path) as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, POST")


async def test_kick(simulator: Simulator, client: aiohttp.ClientSession, receiver: WebhookReceiver) -> None:
    """A session that the administrator ends is over: its URL is gone."""
    async with client.post("/live/whip/endpoint/cam?customerScope=acme", data=OFFER, headers=SDP) as response:
        session = response.headers["Location"]
    await eventually(lambda: "peer_joined" in told(receiver))
    (publishing,) = simulator.manager.sessions.publishing()
    assert publishing.attempt is not None
    simulator.manager.sessions.kick(publishing.attempt)
    async with client.patch(session, data="x") as response:
        assert response.status == 404
    for status in (200, 404):  # a DELETE that comes after the end is none the worse for it, once
        async with client.delete(session) as response:
            assert response.status == status
    await eventually(lambda: told(receiver)[-1] == "disconnected")
    assert last(receiver)["reason"] == 3


@pytest.mark.parametrize("size", [300_000, 1_100_000])
async def test_too_large(client: aiohttp.ClientSession, receiver: WebhookReceiver, size: int) -> None:
    """A body that no session description can have is refused with a problem before anything else happens."""
    async with client.post(
        "/live/whip/endpoint/cam?customerScope=acme", data=io.BytesIO(bytes(size)), headers=SDP
    ) as response:
        assert (response.status, response.content_type) == (413, "application/problem+json")
        assert (await response.json(content_type=None))["status"] == 413
    assert receiver.events == []


async def test_is_shown_as_any_session(
    simulator: Simulator, client: aiohttp.ClientSession, receiver: WebhookReceiver
) -> None:
    """Lists, the timeline and the export have the session with its exchanges, without its secrets."""
    path = "/live/whip/endpoint/cam?customerScope=acme&password=hunter2-secret"
    async with client.post(path, data=OFFER, headers=SDP | {"Authorization": "Bearer hunter2-secret"}) as response:
        session = response.headers["Location"]
    async with client.patch(session + "?password=hunter2-secret", data="fragment") as response:
        assert response.status == 204
    async with client.get("/api/v1/sessions") as response:
        (view,) = (await response.json())["sessions"]
    assert (view["transport"], view["stream"], view["state"]) == ("whip", "cam", "connected")
    async with client.get("/api/v1/streams") as response:
        assert [stream["name"] for stream in (await response.json())["streams"]] == ["cam"]
    async with client.get(f"/api/v1/sessions/{view['session']}/timeline") as response:
        shown = await response.text()
    for title in ("POST /live/whip/endpoint/cam", '"201"', f"PATCH {session}", '"204"', "#2 connected"):
        assert title in shown
    async with client.get(f"/api/v1/sessions/{view['session']}/frames") as response:
        exported = await response.text()
    assert "an offer" in exported
    assert "hunter2" not in shown + exported
