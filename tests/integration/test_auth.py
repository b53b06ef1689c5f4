"""Who is let in, over each transport, with a real back end: as the client, the hooks, the timeline and the metrics see it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from smproxy.simulator import Simulator
from smproxy.testing import Publisher, PublishRejected, Subscriber, WebhookReceiver
from smproxy.testing.auth_back_end import AuthBackEnd
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.helpers import eventually, scaled
from tests.integration import commands
from tests.integration.conftest import StartSimulator
from tests.integration.encoders import ffmpeg, run
from tests.integration.lives import last, spell

SECRET = "hunter2-7310001"
SDP = {"Content-Type": "application/sdp"}
JWT_SECRET = "a secret of thirty-two bytes, or more"
REJECTED = {"data": {"type": "status", "code": "NetConnection.Connect.Rejected"}}


@pytest.fixture
async def back_end() -> AsyncIterator[AuthBackEnd]:
    """An authentication back end."""
    async with AuthBackEnd() as back_end:
        yield back_end


@pytest.fixture
async def simulator(receiver: WebhookReceiver, start_simulator: StartSimulator, back_end: AuthBackEnd) -> Simulator:
    """A simulator that asks it."""
    return await start_simulator(receiver, auth_uri=back_end.url)


def told(receiver: WebhookReceiver) -> list[str]:
    """Return what the hooks tell so far."""
    return [spell(event) for event in receiver.events]


def ann(simulator: Simulator, stream: str = "cam", **options: Any) -> Publisher:
    """Return a publisher with credentials."""
    return simulator.publisher(stream, customerScope="acme", username="ann", password=SECRET, **options)


async def refusal(simulator: Simulator, query: str = "") -> tuple[object, int, str]:
    """Connect as a page does; return the first message, the close code and the reason."""
    async with connect(f"{simulator.url}?id=cam&customerScope=acme&{query}", open_timeout=scaled(15)) as socket:
        first = json.loads(await asyncio.wait_for(socket.recv(), scaled(15)))
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), scaled(5))
        return first, socket.close_code or 0, socket.close_reason or ""


CREDENTIALS = f"username=ann&password={SECRET}"


async def offer(
    simulator: Simulator, query: str = CREDENTIALS, protocol: str = "whip", **headers: str
) -> tuple[int, Any, str]:
    """Send something as an offer; return status, headers and body of the answer."""
    url = f"{simulator.rest_url}/live/{protocol}/endpoint/cam?customerScope=acme&{query}"
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data="v=0\r\n", headers=SDP | headers) as response,
    ):
        return response.status, response.headers, await response.text()


async def get(simulator: Simulator, path: str) -> str:
    """Return what the control API answers."""
    async with aiohttp.ClientSession() as http, http.get(simulator.rest_url + path) as response:
        return await response.text()


async def test_a_whole_session_over_websocket(
    simulator: Simulator, back_end: AuthBackEnd, receiver: WebhookReceiver
) -> None:
    """A publisher and a subscriber are asked about once each; the publisher's end is told, the subscriber's is not."""
    async with ann(simulator) as stream:
        watching = simulator.subscriber("cam", customerScope="acme", username="bob", password="x", token="t")
        async with watching:
            await eventually(lambda: "peer_joined" in told(receiver))
        await eventually(lambda: len(simulator.manager.sessions) == 1, 10)
        assert stream.stream == "cam"
    calls = await back_end.wait_for_count(3, scaled(10))
    assert [(call.kind, call.username) for call in calls] == [
        ("validate", "ann"),
        ("validate", "bob"),
        ("invalidate", "ann"),
    ]
    assert list(calls[0].body.items()) == [
        ("type", "publisher"), ("username", "ann"), ("password", SECRET), ("streamID", "cam"), ("token", ""),
    ]  # fmt: skip
    assert (calls[1].body["type"], calls[1].body["token"]) == ("subscriber", "t")
    assert calls[2].body == {"username": "ann", "password": SECRET, "streamID": "cam"}


async def test_a_whole_session_over_whip_with_a_bearer(
    simulator: Simulator, back_end: AuthBackEnd, receiver: WebhookReceiver
) -> None:
    """FFmpeg's bearer token is the ``token`` of one question; its DELETE asks nothing, and its end is told."""
    url = f"{simulator.rest_url}/live/whip/endpoint/cam?customerScope=acme"
    code, output = await run(ffmpeg(url, 1, "-authorization", SECRET))
    assert code == 0, output
    calls = await back_end.wait_for_count(2, scaled(10))
    assert [(call.kind, call.body["token"], call.stream) for call in calls] == [
        ("validate", SECRET, "cam"),
        ("invalidate", SECRET, "cam"),
    ]


async def test_ffmpeg_is_refused(simulator: Simulator, back_end: AuthBackEnd, receiver: WebhookReceiver) -> None:
    """FFmpeg fails on the 401 of a bearer token that is denied."""
    back_end.deny()
    url = f"{simulator.rest_url}/live/whip/endpoint/cam?customerScope=acme"
    code, output = await run(ffmpeg(url, 1, "-authorization", SECRET))
    assert code != 0
    assert "401" in output
    await eventually(lambda: told(receiver) == ["connect_error"])


VERDICTS = [
    ({"deny": ()}, "the back end refused the credentials", 401),
    ({"answer": {"status": 403}}, "the back end answered 403", 401),
    ({"answer": {"status": 500}}, "the back end answered 500", 403),
    ({"answer": {"body": "<html>"}}, "the back end's answer is not JSON", 403),
    ({"answer": {"body": "{}"}}, "the back end's answer has no result", 403),
]


@pytest.mark.parametrize(("how", "reason", "status"), VERDICTS, ids=[row[1] for row in VERDICTS])
async def test_refusals(
    simulator: Simulator,
    back_end: AuthBackEnd,
    receiver: WebhookReceiver,
    how: dict[str, Any],
    reason: str,
    status: int,
) -> None:
    """Each verdict refuses in the words of each transport; hook, timeline and metrics say why."""
    if "deny" in how:
        back_end.deny()
    else:
        back_end.answer(**how["answer"])
    assert await refusal(simulator, CREDENTIALS) == (REJECTED, 1008, f"not allowed: {reason}")
    await eventually(lambda: told(receiver) == ["connect_error"])
    assert (last(receiver)["error"], last(receiver)["message"]) == (3, reason)
    timeline = json.loads(await get(simulator, f"/api/v1/sessions/{last(receiver)['session']}/timeline"))
    (entry,) = [entry for entry in timeline["entries"] if entry["to"] == "authentication"]
    assert entry["title"] in ("round-trip: denied", "round-trip: failed")
    assert entry["detail"].startswith(reason)
    for protocol in ("whip", "whep"):
        code, headers, body = await offer(simulator, protocol=protocol)
        assert (code, headers.get("WWW-Authenticate")) == (status, "Bearer" if status == 401 else None)
        assert json.loads(body)["detail"] == f"Not allowed: {reason}."
    metrics = await get(simulator, "/metrics")
    result = entry["title"].split()[1]
    assert f'smproxy_auth_verdicts_total{{result="{result}"}} 3.0' in metrics


async def test_missing_credentials(simulator: Simulator, back_end: AuthBackEnd) -> None:
    """Who sends no user name and password, or ``undefined``, is refused without a question."""
    assert await refusal(simulator) == (REJECTED, 1008, "not allowed: username and password missing")
    reason = (await refusal(simulator, "username=ann&password=undefined"))[2]
    assert reason == "not allowed: password missing"
    assert (await offer(simulator, ""))[0] == 401
    assert back_end.calls == []


async def test_the_publisher_is_told(simulator: Simulator, back_end: AuthBackEnd) -> None:
    """``publish()`` rejects for the one who is denied, and for nobody else."""
    back_end.deny("ann")
    with pytest.raises(PublishRejected):
        await ann(simulator).publish()
    async with simulator.publisher("cam2", customerScope="acme", username="bob", password="x"):
        assert [call.username for call in back_end.calls] == ["ann", "bob"]


async def test_lazy(back_end: AuthBackEnd, receiver: WebhookReceiver, start_simulator: StartSimulator) -> None:
    """In lazy mode the client is connected before the verdict, which then ends its session; its end is not told."""
    simulator = await start_simulator(receiver, auth_uri=back_end.url, auth_lazy=True)
    back_end.deny()
    back_end.delay(3)
    async with connect(f"{simulator.url}?id=cam&customerScope=acme&{CREDENTIALS}") as socket:
        assert "Connect.Success" in str(await asyncio.wait_for(socket.recv(), scaled(2)))
        await asyncio.wait_for(socket.wait_closed(), scaled(10))
        assert socket.close_code == 1008
    await eventually(lambda: told(receiver) == ["connecting", "connect_error"])
    assert (last(receiver)["error"], last(receiver)["message"]) == (3, "the back end refused the credentials")
    assert [call.kind for call in back_end.calls] == ["validate"]


@pytest.mark.parametrize("transport", ["websocket", "whip"])
async def test_lazy_after_the_stream_began(
    back_end: AuthBackEnd, receiver: WebhookReceiver, start_simulator: StartSimulator, transport: str
) -> None:
    """A stream that runs when the verdict comes ends with reason 6 and all its hooks, and its client notices."""
    simulator = await start_simulator(receiver, auth_uri=back_end.url, auth_lazy=True)
    back_end.deny()
    back_end.delay(600)
    async with ann(simulator, transport=transport) as stream:
        await eventually(lambda: "peer_joined" in told(receiver))
        back_end._released.set()
        await asyncio.wait_for(stream.closed.wait(), scaled(10))
        await eventually(lambda: "disconnected" in told(receiver), 10)
    assert (last(receiver)["reason"], last(receiver)["message"]) == (6, "the back end refused the credentials")
    assert "peer_leaved" in told(receiver)
    assert [call.kind for call in back_end.calls] == ["validate"]


async def test_lazy_subscriber(
    back_end: AuthBackEnd, receiver: WebhookReceiver, start_simulator: StartSimulator
) -> None:
    """A viewer over WHEP that was let in meanwhile is shown nothing more once the verdict is no."""
    simulator = await start_simulator(receiver, auth_uri=back_end.url, auth_lazy=True)
    async with ann(simulator):
        await eventually(lambda: "peer_joined" in told(receiver))
        await eventually(lambda: len(back_end.calls) == 1)
        back_end.deny()
        back_end.delay(600)
        params = {"customerScope": "acme", "username": "eve", "password": "x"}
        async with Subscriber(simulator.url, stream="cam", params=params, transport="whep"):
            await eventually(lambda: len(simulator.manager.sessions.subscribing()) == 1, 10)
            back_end._released.set()
            await eventually(lambda: simulator.manager.sessions.subscribing() == [], 10)
            ended = await receiver.wait_for(lambda hook: hook.state == "disconnected", scaled(10))
            assert ended.event["payload"]["reason"] == 6
            assert ended.event["connection"]["role"] == "subscriber"


async def test_properties(tmp_path: Path, back_end: AuthBackEnd, start_simulator: StartSimulator) -> None:
    """The vendor's five properties are asked as ``--auth-uri`` is; without a path for ends there is no call of it."""
    from smproxy.settings import load_settings

    port = back_end.url.rpartition(":")[2]
    file = tmp_path / "red5-web.properties"
    file.write_text(
        f"proxy.enabled=true\nserver.protocol=http://\nserver.host=127.0.0.1\nserver.port={port}\n"
        "server.validateCredentialsEndPoint=/validateCredentials\nserver.invalidateCredentialsEndPoint=/\n"
    )
    flags = {"config": str(file), "port": "0", "data_dir": str(tmp_path / "data")}
    async with Simulator(load_settings(flags, {})) as simulator:
        async with ann(simulator):
            pass
        await eventually(lambda: len(simulator.manager.sessions) == 0)
    assert [call.kind for call in back_end.calls] == ["validate"]


async def test_tokens(receiver: WebhookReceiver, start_simulator: StartSimulator) -> None:
    """A JSON Web Token lets in over both transports; an expired one is 401, one for another role 403."""
    simulator = await start_simulator(receiver, auth=f"jwt:{JWT_SECRET}")
    soon = int(time.time()) + 600
    good = jwt.encode({"exp": soon, "roles": "red5-publisher"}, JWT_SECRET, algorithm="HS256")
    expired = jwt.encode({"exp": 1}, JWT_SECRET, algorithm="HS256")
    async with simulator.publisher("cam", customerScope="acme", token=good):
        pass
    assert (await offer(simulator, "", Authorization=f"Bearer {good}"))[0] == 400  # the offer is none
    assert (await offer(simulator, "", Authorization=f"Bearer {expired}"))[0] == 401
    assert (await offer(simulator, "", protocol="whep", Authorization=f"Bearer {good}"))[0] == 403
    assert (await refusal(simulator, f"token={expired}"))[2] == "not allowed: the token has expired"


async def test_password_file(tmp_path: Path, receiver: WebhookReceiver, start_simulator: StartSimulator) -> None:
    """A file of users and passwords lets in who is in it."""
    (tmp_path / "users").write_text(f"# users\nann {SECRET}\nbob=x\n")
    simulator = await start_simulator(receiver, auth=f"file:{tmp_path / 'users'}")
    async with ann(simulator):
        pass
    assert (await refusal(simulator, "username=bob&password=y"))[2] == "not allowed: unknown user or wrong password"


async def test_a_token_on_the_websocket(start_simulator: StartSimulator) -> None:
    """publish and subscribe give their --token to the server's authentication, whichever transport they take."""
    simulator = await start_simulator(auth=f"jwt:{JWT_SECRET}")
    token = jwt.encode({"exp": time.time() + 3600, "roles": "red5-publisher"}, JWT_SECRET, algorithm="HS256")
    refused = await commands.run("publish", simulator.url, "--stream", "cam", "--duration", "0.2")
    assert refused.code == 1
    assert "--token" in refused.err
    taken = await commands.run("publish", simulator.url, "--stream", "cam", "--token", token, "--duration", "0.2")
    assert taken.code == 0, taken.err
