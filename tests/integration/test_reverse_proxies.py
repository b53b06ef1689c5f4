"""nginx and HAProxy in front, as the examples configure them: the client keeps its address, over every way in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import pytest
from smproxy.simulator import Simulator
from smproxy.testing import Publisher, Subscriber, WebhookReceiver
from smproxy.testing.auth_back_end import AuthBackEnd

from tests.helpers import eventually, scaled
from tests.integration.conftest import StartSimulator
from tests.integration.reverse_proxy import PROXY_ADDRESS, ReverseProxy, reverse_proxy

CLIENTS = "/streammanager/api/4.0/admin/proxy/clients"
PROXIES = (ip_network(PROXY_ADDRESS),)


@pytest.fixture
async def back_end() -> AsyncIterator[AuthBackEnd]:
    """An authentication back end that lets everybody in."""
    async with AuthBackEnd() as back_end:
        yield back_end


@pytest.fixture
async def simulator(receiver: WebhookReceiver, back_end: AuthBackEnd, start_simulator: StartSimulator) -> Simulator:
    """A stream manager that trusts the proxy in front."""
    return await start_simulator(receiver, trust_proxy=PROXIES, auth_uri=back_end.url, auth_format="extended")


@pytest.fixture(params=["nginx", "haproxy"])
async def proxy(request: pytest.FixtureRequest, simulator: Simulator, tmp_path: Path) -> AsyncIterator[ReverseProxy]:
    """A proxy in front of it."""
    async with reverse_proxy(request.param, simulator.port, tmp_path) as proxy:
        yield proxy


def addresses(receiver: WebhookReceiver) -> set[str]:
    """Return the addresses that the hooks of all sessions name."""
    payloads = [event["payload"] for event in receiver.events]
    return {payload["remote_ip"] for payload in payloads if payload.get("remote_ip")}


async def test_media_with_signaling_through_a_proxy(
    simulator: Simulator, proxy: ReverseProxy, receiver: WebhookReceiver, back_end: AuthBackEnd
) -> None:
    """Publishers over WebSocket and WHIP, and viewers of them, come through; hooks, lists and the back end have the client."""
    base, tls = f"localhost:{proxy.port}", proxy.trust
    who = {"username": "ann", "password": "p"}
    async with (
        Publisher(f"wss://{base}/streammanager", stream="ws", ssl=tls, params=who, switch_delay=0) as publisher,
        Publisher(f"https://{base}/live/whip/endpoint/whip", stream="whip", transport="whip", ssl=tls, params=who),
        Subscriber(f"wss://{base}/streammanager", stream="whip", ssl=tls, params=who) as viewer,
        Subscriber(
            f"https://{base}/live/whep/endpoint/ws", stream="ws", transport="whep", ssl=tls, params=who
        ) as other,
        aiohttp.ClientSession(f"https://{base}", connector=aiohttp.TCPConnector(ssl=tls)) as http,
    ):
        # An unpublish that crosses the switch is lost on the socket that is being closed.
        await eventually(lambda: publisher.switched, 10)
        await viewer.wait_for_frames(3)
        await other.wait_for_frames(3)
        async with http.get(CLIENTS) as response:
            clients = await response.json()
        assert {(each["clientAddress"], each["secureClient"]) for each in clients} == {("127.0.0.1", True)}
        async with http.get("/api/v1/sessions") as response:
            sessions = (await response.json())["sessions"]
        assert {each["remoteIp"] for each in sessions} == {"127.0.0.1"}
        assert {call.body["address"] for call in back_end.calls if call.kind == "validate"} == {"127.0.0.1"}
    await eventually(lambda: sum(each["payload"].get("state") == "disconnected" for each in receiver.events) == 4, 10)
    assert addresses(receiver) == {"127.0.0.1"}


async def test_a_client_cannot_make_up_its_address(
    simulator: Simulator, proxy: ReverseProxy, receiver: WebhookReceiver
) -> None:
    """What a client itself sends as ``X-Forwarded-For`` changes nothing; an upgrade after a request is seen right, too."""
    made_up = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}
    connector = aiohttp.TCPConnector(ssl=proxy.trust, limit=1)
    base = f"https://localhost:{proxy.port}"
    async with aiohttp.ClientSession(connector=connector, headers=made_up) as http:
        async with http.get(f"{base}/api/v1/streams") as response:
            assert response.status == 200, "the access rule goes by the name that the client used"
        async with http.ws_connect(f"{base}/live?id=cam&username=ann&password=p") as socket:
            await socket.receive_str(timeout=scaled(10))
        async with http.post(f"{base}/live/whip/endpoint/cam?username=ann&password=p", data=b"no offer") as response:
            assert response.status >= 400
    await eventually(lambda: addresses(receiver), 10)
    assert addresses(receiver) == {"127.0.0.1"}


async def test_events_come_at_once(simulator: Simulator, proxy: ReverseProxy) -> None:
    """Server-sent events and the webhook socket are passed on as they happen, not when a buffer is full."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=proxy.trust)) as http:
        async with http.get(f"https://localhost:{proxy.port}/api/v1/feed") as feed:
            assert await asyncio.wait_for(feed.content.readuntil(b"event: hello\n"), scaled(10))
        hooks = f"wss://localhost:{proxy.port}/live/webhook?customerScope=acme"
        publisher = simulator.publisher("cam", customerScope="acme", username="ann", password="p")
        async with http.ws_connect(hooks) as socket, publisher:
            assert "connecting" in await socket.receive_str(timeout=scaled(10))


async def test_nobody_else_is_believed(receiver: WebhookReceiver, start_simulator: StartSimulator) -> None:
    """Without ``--trust-proxy``, or from another address, the headers are ignored over WebSocket, WHIP and REST."""
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    for settings in ({}, {"trust_proxy": PROXIES}):
        simulator = await start_simulator(receiver, **settings)
        async with aiohttp.ClientSession(simulator.rest_url, headers=headers) as http:
            async with http.ws_connect("/live?id=cam") as socket:
                await socket.receive_str(timeout=scaled(10))
                async with http.get(CLIENTS) as response:
                    (client,) = await response.json()
                assert (client["clientAddress"], client["secureClient"]) == ("127.0.0.1", False)
            async with http.post("/live/whip/endpoint/cam", data=b"no offer") as response:
                assert response.status >= 400
    await eventually(lambda: addresses(receiver), 10)
    assert addresses(receiver) == {"127.0.0.1"}
