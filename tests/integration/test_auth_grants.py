"""What an allowing answer may add (``--auth-format extended``), over each transport, and its ``url`` in both formats."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from smproxy.settings.option_values import Address
from smproxy.simulator import Simulator
from smproxy.testing import Publisher, SubscribeRejected, WebhookReceiver
from smproxy.testing.auth_back_end import AuthBackEnd
from smproxy.testing.subscriber import Subscriber
from websockets.asyncio.client import connect
from yarl import URL

from tests.helpers import eventually, scaled
from tests.integration.conftest import LoneOrigin, StartSimulator
from tests.integration.lives import last
from tests.integration.test_auth import CREDENTIALS, get, offer, refusal
from tests.integration.whip_origin import whip_origin

ANN = {"customerScope": "acme", "username": "ann", "password": "hunter2-7310002"}
SIGNED = "https://bucket.example.org/cam?X-Amz-Date=20261128&X-Amz-Signature=7310003"


@pytest.fixture
async def back_end() -> AsyncIterator[AuthBackEnd]:
    """An authentication back end."""
    async with AuthBackEnd() as back_end:
        yield back_end


@pytest.fixture
async def simulator(receiver: WebhookReceiver, start_simulator: StartSimulator, back_end: AuthBackEnd) -> Simulator:
    """A simulator that asks it in the extended format."""
    return await start_simulator(receiver, auth_uri=back_end.url, auth_format="extended")


def by_socket(simulator: Simulator, **options: Any) -> Publisher:
    """Publish over the vendor's WebSocket."""
    return Publisher(simulator.url, stream="cam", params=ANN | options)


def by_standalone_socket(simulator: Simulator, **options: Any) -> Publisher:
    """Publish over the WebSocket of a standalone server."""
    return Publisher(simulator.url.replace("/streammanager", "/live"), stream="cam", params=ANN | options)


def by_group(simulator: Simulator, **options: Any) -> Publisher:
    """Publish over the WebSocket of Stream Manager 2.0."""
    url = simulator.url.replace("/streammanager", "/as/v1/proxy/ws/publish/live/cam")
    return Publisher(url, stream="cam", params=ANN | options)


def by_whip(simulator: Simulator, **options: Any) -> Publisher:
    """Publish over WHIP."""
    url = f"{simulator.rest_url}/live/whip/endpoint/cam"
    return Publisher(url, stream="cam", params=ANN | options, transport="whip")


def by_group_whip(simulator: Simulator, **options: Any) -> Publisher:
    """Publish over WHIP of Stream Manager 2.0."""
    url = f"{simulator.rest_url}/as/v1/proxy/whip/live/cam"
    return Publisher(url, stream="cam", params=ANN | options, transport="whip")


Ways = Callable[..., Publisher]
WAYS: list[Ways] = [by_socket, by_standalone_socket, by_group, by_whip, by_group_whip]


def watching(simulator: Simulator, transport: str, stream: str = "cam") -> Subscriber:
    """Return a subscriber."""
    if transport == "whep":
        url = f"{simulator.rest_url}/live/whep/endpoint/{stream}"
        return Subscriber(url, stream=stream, params=ANN, transport="whep")
    return Subscriber(simulator.url, stream=stream, params=ANN)


def told(receiver: WebhookReceiver) -> list[str]:
    """Return the states and events of the hooks so far."""
    return [each["payload"].get("state") or each["payload"]["event"] for each in receiver.events]


async def session(simulator: Simulator, number: int) -> dict[str, Any]:
    """Return what the control API shows of a session."""
    shown: dict[str, Any] = json.loads(await get(simulator, f"/api/v1/sessions/{number}"))
    return shown


async def verdict(simulator: Simulator, number: int) -> str:
    """Return the detail of the verdict in a session's timeline."""
    timeline = json.loads(await get(simulator, f"/api/v1/sessions/{number}/timeline"))
    found: list[str] = [entry["detail"] for entry in timeline["entries"] if entry["title"] == "round-trip: allowed"]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("way", WAYS)
async def test_a_publisher(simulator: Simulator, back_end: AuthBackEnd, receiver: WebhookReceiver, way: Ways) -> None:
    """The stream has the name of the answer, hooks and API have its recording and meta; the URL is shown without its secret."""
    back_end.allow(name="cam-x", lifetime=600, recording=True, meta={"room": "A"}, url=SIGNED)
    async with way(simulator, meta='{"room": "B"}', recording="false"):
        await eventually(lambda: "peer_joined" in told(receiver))
    await eventually(lambda: "recording_saved" in told(receiver), 10)
    (joined,) = [each for each in receiver.events if each["payload"].get("event") == "peer_joined"]
    assert (joined["payload"]["peer"], joined["payload"]["room"]) == ("cam-x", "live")
    connection = joined["connection"]
    assert (connection["id"], connection["recording"], connection["meta"]) == ("cam-x", True, {"room": "A"})
    shown = await session(simulator, joined["payload"]["session"])
    assert shown["stream"] == "cam-x"
    authentication = shown["authentication"]
    assert (authentication["scheme"], authentication["result"]) == ("round-trip", "allowed")
    assert (authentication["name"], authentication["lifetime"]) == ("cam-x", 600)
    assert authentication["url"].startswith("https://bucket.example.org/cam?X-Amz-Date=20261128&X-Amz-Signature=")
    detail = await verdict(simulator, joined["payload"]["session"])
    assert detail.startswith("name cam-x, lifetime 600")
    assert authentication["url"] in detail
    assert "7310003" not in authentication["url"] + detail
    calls = await back_end.wait_for_count(2, scaled(10))
    assert [(call.kind, call.stream) for call in calls] == [("validate", "cam"), ("invalidate", "cam")]
    frames = await get(simulator, f"/api/v1/sessions/{joined['payload']['session']}/frames")
    assert '"invalidated"' in frames
    assert "7310003" not in frames


@pytest.mark.parametrize("way", [by_socket, by_whip])
async def test_a_lifetime(simulator: Simulator, back_end: AuthBackEnd, receiver: WebhookReceiver, way: Ways) -> None:
    """After its lifetime a session ends with reason 7, and its client notices."""
    back_end.allow(lifetime=scaled(1))
    async with way(simulator) as stream:
        await asyncio.wait_for(stream.closed.wait(), scaled(15))
    await eventually(lambda: "disconnected" in told(receiver), 10)
    assert (last(receiver)["reason"], last(receiver)["message"]) == (7, f"its lifetime of {scaled(1):g} s is over")
    shown = await session(simulator, last(receiver)["session"])
    assert (shown["state"], shown["reason"]) == ("disconnected", "expired")


@pytest.mark.parametrize("transport", ["websocket", "whep"])
async def test_a_subscriber(
    simulator: Simulator, back_end: AuthBackEnd, receiver: WebhookReceiver, transport: str
) -> None:
    """Who asks for one stream is shown that of the answer, for as long as the answer says."""
    async with Publisher(simulator.url, stream="other", params=ANN):
        await eventually(lambda: "peer_joined" in told(receiver))
        back_end.allow(name="other", lifetime=scaled(1))
        async with watching(simulator, transport):
            await eventually(lambda: simulator.manager.sessions.watching("live", "other") != [])
            await eventually(lambda: "disconnected" in told(receiver), 20)
    assert 7 in [each["payload"].get("reason") for each in receiver.events]


async def test_a_stream_that_is_not_there(simulator: Simulator, back_end: AuthBackEnd) -> None:
    """The name of the answer counts, also when nobody publishes it."""
    async with by_socket(simulator):
        back_end.allow(name="other")
        with pytest.raises(SubscribeRejected):
            await watching(simulator, "whep").subscribe()


async def test_an_origin_of_others(
    start_simulator: StartSimulator, receiver: WebhookReceiver, back_end: AuthBackEnd, lone_origin: LoneOrigin
) -> None:
    """An origin that knows nothing of us takes the renamed stream from the messages; with a fault in between, too."""
    simulator = await start_simulator(
        receiver, auth_uri=back_end.url, auth_format="extended", local_origin=False, origin=(lone_origin.address,)
    )
    for simulate in ({}, {"simulate": "latency:ms=1"}):
        back_end.allow(name="cam-x")
        async with by_socket(simulator, **simulate):
            assert lone_origin.origin.services.streams.is_live("live", "cam-x")
            assert not lone_origin.origin.services.streams.is_live("live", "cam")


async def test_passed_on(start_simulator: StartSimulator, receiver: WebhookReceiver, back_end: AuthBackEnd) -> None:
    """An origin of others gets the answer's name in the path, its meta, and its URL as ``signedURL``, as it came."""
    async with whip_origin() as origin:
        simulator = await start_simulator(
            receiver,
            auth_uri=back_end.url,
            auth_format="extended",
            local_origin=False,
            origin=(Address("127.0.0.1", origin.port),),
        )
        back_end.allow(name="cam-x", url=SIGNED, meta={"a": 1})
        assert (await offer(simulator, f"{CREDENTIALS}&meta=%7B%7D&signedURL=mine"))[0] == 201
    target = URL(origin.requests[0][1])
    assert target.path == "/live/whip/endpoint/cam-x"
    assert target.query.getall("signedURL") == [SIGNED]
    assert target.query.getall("meta") == ['{"a": 1}']


async def test_the_vendors_format(
    start_simulator: StartSimulator, receiver: WebhookReceiver, back_end: AuthBackEnd
) -> None:
    """Without the extended format only ``url`` counts: the vendor's server knows no other key."""
    simulator = await start_simulator(receiver, auth_uri=back_end.url)
    back_end.allow(name="cam-x", lifetime=0.01, recording=True, meta={"a": 1}, url=SIGNED)
    async with by_socket(simulator):
        await eventually(lambda: "peer_joined" in told(receiver))
        (joined,) = [each for each in receiver.events if each["payload"].get("event") == "peer_joined"]
        connection = joined["connection"]
        assert (connection["id"], connection["recording"], connection["meta"]) == ("cam", False, None)
        authentication = (await session(simulator, joined["payload"]["session"]))["authentication"]
        assert (authentication["name"], authentication["lifetime"]) == (None, None)
        assert authentication["url"].startswith("https://bucket.example.org/cam?")


UNUSABLE = [
    ({"name": ""}, "name is not a text of 1 to 255 characters"),
    ({"name": 7}, "name is not a text of 1 to 255 characters"),
    ({"lifetime": -1}, "lifetime is not a number of seconds from 0 to a year"),
    ({"lifetime": True}, "lifetime is not a number of seconds from 0 to a year"),
    ({"recording": "yes"}, "recording is neither true nor false"),
    ({"meta": []}, "meta is not a JSON object of at most 4096 bytes"),
]


@pytest.mark.parametrize(("granted", "problem"), UNUSABLE, ids=[str(row[0]) for row in UNUSABLE])
async def test_unusable(
    simulator: Simulator, back_end: AuthBackEnd, receiver: WebhookReceiver, granted: dict[str, Any], problem: str
) -> None:
    """An answer with a value that cannot be used is nonsense: it denies, and the reason has no value in it."""
    back_end.allow(**granted)
    reason = f"the back end's answer cannot be used: {problem}"
    assert (await refusal(simulator, CREDENTIALS))[2] == f"not allowed: {reason}"
    assert (await offer(simulator))[0] == 403
    await eventually(lambda: len(receiver.events) == 2)
    assert last(receiver)["message"] == reason


async def test_lazy(start_simulator: StartSimulator, receiver: WebhookReceiver, back_end: AuthBackEnd) -> None:
    """In lazy mode the lifetime counts from the answer; a name comes too late."""
    simulator = await start_simulator(receiver, auth_uri=back_end.url, auth_format="extended", auth_lazy=True)
    back_end.allow(name="cam-x", lifetime=scaled(1))
    async with by_socket(simulator):
        await eventually(lambda: "disconnected" in told(receiver), 20)
    assert 7 in [each["payload"].get("reason") for each in receiver.events]
    assert "cam" in [each["payload"].get("peer") for each in receiver.events]


@pytest.mark.parametrize(("way", "lifetime"), [(by_socket, 3), (by_whip, None)])
async def test_a_publisher_that_comes_back(
    start_simulator: StartSimulator,
    receiver: WebhookReceiver,
    back_end: AuthBackEnd,
    way: Ways,
    lifetime: float | None,
) -> None:
    """Within the reconnect window the grant holds: the same stream, the same end, and no second question."""
    simulator = await start_simulator(
        receiver, auth_uri=back_end.url, auth_format="extended", media_gap=0.3, media_timeout=0.6, reconnect_window=30.0
    )
    back_end.allow(name="cam-x", lifetime=None if lifetime is None else scaled(lifetime))
    first = way(simulator)
    await first.publish()
    await eventually(lambda: "peer_joined" in told(receiver))
    first.vanish()
    await eventually(lambda: "reconnect" in told(receiver), 10)
    async with way(simulator):
        await eventually(lambda: "reconnected" in told(receiver), 10)
        if lifetime is not None:
            await eventually(lambda: "disconnected" in told(receiver), 20)
    await eventually(lambda: "disconnected" in told(receiver), 10)
    assert last(receiver)["reason"] == (0 if lifetime is None else 7)
    assert {each["connection"]["id"] for each in receiver.events} == {"cam-x"}
    calls = await back_end.wait_for_count(2, scaled(10))
    assert [call.kind for call in calls] == ["validate", "invalidate"]


async def test_the_origin_of_the_renamed_stream(
    start_simulator: StartSimulator, receiver: WebhookReceiver, back_end: AuthBackEnd
) -> None:
    """Where another origin has the stream of the answer's name, that is where the client is led, over each transport."""
    async with whip_origin() as first, whip_origin() as second:
        addresses = tuple(Address("127.0.0.1", origin.port) for origin in (first, second))
        simulator = await start_simulator(
            receiver, auth_uri=back_end.url, auth_format="extended", local_origin=False, origin=addresses
        )
        owners = {("live", "cam-x"): str(addresses[1])}
        simulator.manager.registry.owner_of = lambda scope, name: owners.get((scope, name))
        back_end.allow(name="cam-x")
        for protocol in ("whip", "whep"):
            assert (await offer(simulator, CREDENTIALS, protocol))[0] == 201
        async with connect(f"{simulator.url}?id=subscriber-1&customerScope=acme&{CREDENTIALS}") as socket:
            await asyncio.wait_for(socket.wait_closed(), scaled(10))  # it is no origin for sockets
        assert [request[0] for request in second.requests] == ["POST", "POST", "GET"]
        assert first.requests == []
