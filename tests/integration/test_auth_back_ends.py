"""Back ends that are slow, down or talk nonsense, over each transport; and requests about which none is asked again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
import smproxy.auth.back_end
from aiohttp import web
from smproxy.settings.option_values import Address
from smproxy.simulator import Simulator
from smproxy.testing import Publisher, WebhookReceiver
from smproxy.testing.auth_back_end import AuthBackEnd
from websockets.asyncio.client import connect

from tests.helpers import eventually, scaled
from tests.integration.conftest import StartSimulator
from tests.integration.test_auth import CREDENTIALS, offer, refusal, told
from tests.integration.whip_origin import whip_origin

ANN = {"customerScope": "acme", "username": "ann", "password": "hunter2-7310001"}


async def stall(request: web.Request) -> web.StreamResponse:
    """Answer never."""
    await asyncio.Event().wait()
    raise AssertionError


async def drip(request: web.Request) -> web.StreamResponse:
    """Send a byte now and then, and no end."""
    response = web.StreamResponse()
    await response.prepare(request)
    timer = asyncio.Event()
    while True:
        await response.write(b" ")
        try:
            await asyncio.wait_for(timer.wait(), 0.1)
        except TimeoutError:
            continue


async def garbage(request: web.Request) -> web.StreamResponse:
    """Send what is no HTTP."""
    assert request.transport is not None
    request.transport.write(b"\x00\xffwhat?\r\n\r\n")  # type: ignore[attr-defined]
    request.transport.close()
    return web.Response()


async def reset(request: web.Request) -> web.StreamResponse:
    """Hang up."""
    assert request.transport is not None
    request.transport.abort()  # type: ignore[attr-defined]
    return web.Response()


async def huge(request: web.Request) -> web.StreamResponse:
    """Send more than is read."""
    return web.Response(body=b"{" + b" " * 100_000 + b"}")


async def redirect(request: web.Request) -> web.StreamResponse:
    """Send it elsewhere, credentials and all."""
    raise web.HTTPTemporaryRedirect("/other")


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
KINDS: list[tuple[Handler, str, int]] = [
    (stall, "the back end gave no answer within 2 s", 403),
    (drip, "the back end gave no answer within 2 s", 403),
    (garbage, "the back end's answer is not HTTP", 403),
    (reset, "the back end cannot be reached", 403),
    (huge, "the back end's answer is too large", 403),
    (redirect, "the back end answered 307", 401),
]


@pytest.fixture
async def odd_back_end(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The URL of a back end that allows bob, and does something odd for everybody else."""

    async def validate(asked: web.Request) -> web.StreamResponse:
        if (await asked.json())["username"] == "bob":
            return web.json_response({"result": True})
        response: web.StreamResponse = await request.param(asked)
        return response

    app = web.Application()
    app.router.add_post("/validateCredentials", validate)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def test_the_limit() -> None:
    """A back end has 9 seconds, as the vendor's has for each step."""
    assert smproxy.auth.back_end.TIMEOUT == 9.0


@pytest.mark.parametrize(
    ("odd_back_end", "reason", "status"), KINDS, ids=[row[0].__name__ for row in KINDS], indirect=["odd_back_end"]
)
async def test_odd_answers(
    start_simulator: StartSimulator,
    receiver: WebhookReceiver,
    odd_back_end: str,
    reason: str,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each is a refusal within the time-out over each transport, with no traceback; meanwhile bob is let in over each."""
    monkeypatch.setattr("smproxy.auth.back_end.TIMEOUT", 2.0)
    simulator = await start_simulator(receiver, auth_uri=odd_back_end)
    slow = asyncio.gather(
        refusal(simulator, CREDENTIALS), offer(simulator, CREDENTIALS), offer(simulator, CREDENTIALS, "whep")
    )
    bob = "username=bob&password=x"
    assert (await offer(simulator, bob))[0] == 400  # the origin's, of what is no offer
    assert (await offer(simulator, bob, "whep"))[0] in (400, 404, 409)
    async with connect(f"{simulator.url}?id=cam2&customerScope=acme&{bob}") as socket:
        assert "NetConnection.Connect.Success" in str(await asyncio.wait_for(socket.recv(), scaled(10)))
    by_socket, whip, whep = await slow
    assert by_socket[1:] == (1008, f"not allowed: {reason}")
    for code, _, body in (whip, whep):
        assert code == status
        assert json.loads(body)["detail"] == f"Not allowed: {reason}."
    assert [each for each in caplog.records if each.name.startswith("smproxy") and each.exc_info] == []


async def test_down(start_simulator: StartSimulator, receiver: WebhookReceiver, unused_tcp_port: int) -> None:
    """Where nobody listens everybody is denied, over each transport."""
    simulator = await start_simulator(receiver, auth_uri=f"http://127.0.0.1:{unused_tcp_port}")
    assert (await refusal(simulator, CREDENTIALS))[2] == "not allowed: the back end cannot be reached"
    for protocol in ("whip", "whep"):
        assert (await offer(simulator, CREDENTIALS, protocol))[0] == 403


@pytest.fixture
async def back_end() -> AsyncIterator[AuthBackEnd]:
    """An authentication back end."""
    async with AuthBackEnd() as back_end:
        yield back_end


@pytest.mark.parametrize("protocol", ["whip", "whep"])
async def test_sub_requests_do_not_ask(
    start_simulator: StartSimulator, receiver: WebhookReceiver, back_end: AuthBackEnd, protocol: str
) -> None:
    """OPTIONS, PATCH, GET and DELETE of a session ask nothing, with credentials or without: one POST, one question."""
    async with whip_origin() as origin:
        simulator = await start_simulator(
            receiver, auth_uri=back_end.url, local_origin=False, origin=(Address("127.0.0.1", origin.port),)
        )
        status, headers, _ = await offer(simulator, CREDENTIALS, protocol)
        assert status == 201
        session = f"{simulator.rest_url}{headers['Location']}"
        back_end.deny()  # who was asked again would be refused
        async with aiohttp.ClientSession() as http:
            for method, query, body in (
                ("PATCH", "", "a=end-of-candidates\r\n"),
                ("PATCH", "?username=eve&password=wrong", "a=ice-ufrag:x\r\n"),
                ("OPTIONS", "", None),
                ("GET", "", None),
                ("DELETE", "", None),
            ):
                kind = "application/trickle-ice-sdpfrag" if method == "PATCH" else None
                sent = {"Content-Type": kind} if kind else {}
                async with http.request(method, session + query, data=body, headers=sent) as response:
                    assert response.status < 400, (method, await response.text())
            async with http.options(f"{simulator.rest_url}/live/{protocol}/endpoint/cam?{CREDENTIALS}") as response:
                assert response.status < 300
        await eventually(lambda: len(simulator.manager.sessions) == 0)
        wanted = ["validate", "invalidate"] if protocol == "whip" else ["validate"]
        calls = await back_end.wait_for_count(len(wanted), scaled(5))
        assert [call.kind for call in calls] == wanted
        assert (await offer(simulator, CREDENTIALS, protocol))[0] == 401
        assert [call.kind for call in back_end.calls] == [*wanted, "validate"]


async def test_messages_do_not_ask(
    start_simulator: StartSimulator, receiver: WebhookReceiver, back_end: AuthBackEnd
) -> None:
    """On the WebSocket the upgrade asks, and no message after it: publish, mute, send, switch of the channel, unpublish."""
    simulator = await start_simulator(receiver, auth_uri=back_end.url)
    async with Publisher(simulator.url, stream="cam", params=ANN, switch_delay=0.05) as stream:
        back_end.deny()
        await eventually(lambda: "peer_joined" in told(receiver))
        stream.mute(audio=True)
        stream.send("hello", {"x": 1})
        await eventually(lambda: stream.switched)
    calls = await back_end.wait_for_count(2, scaled(10))
    assert [call.kind for call in calls] == ["validate", "invalidate"]


def lost_publisher(simulator: Simulator, transport: str) -> Publisher:
    """Return a publisher over a transport."""
    if transport == "whip":
        url = f"{simulator.rest_url}/live/whip/endpoint/cam"
        return Publisher(url, stream="cam", params=ANN, transport="whip")
    return Publisher(simulator.url, stream="cam", params=ANN, switch_delay=0.1)


@pytest.mark.parametrize("transport", ["websocket", "whip"])
async def test_the_reconnect_window(
    start_simulator: StartSimulator, receiver: WebhookReceiver, back_end: AuthBackEnd, transport: str
) -> None:
    """A lost publisher that returns is not asked about; with another password or over another stream it is."""
    simulator = await start_simulator(
        receiver, auth_uri=back_end.url, media_gap=0.3, media_timeout=0.6, reconnect_window=60.0
    )
    first = lost_publisher(simulator, transport)
    await first.publish()
    await eventually(lambda: "peer_joined" in told(receiver))
    first.vanish()
    await eventually(lambda: "reconnect" in told(receiver), 10)
    back_end.deny()
    for query in ("username=ann&password=wrong", f"{CREDENTIALS}&token=another"):
        assert (await refusal(simulator, query))[1] == 1008
        assert (await offer(simulator, query))[0] == 401
    assert (await offer(simulator, CREDENTIALS, "whep"))[0] == 401  # to watch is another matter
    asked = len(back_end.calls)
    assert asked == 6
    async with lost_publisher(simulator, transport):
        await eventually(lambda: "reconnected" in told(receiver), 10)
        assert len(back_end.calls) == asked
    calls = await back_end.wait_for_count(asked + 1, scaled(10))
    assert [call.kind for call in calls[asked:]] == ["invalidate"]
