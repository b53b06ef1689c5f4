"""Whose events one sees: no customer those of another, by whatever spelling (A3, A4)."""

from __future__ import annotations

import json
import random

import pytest
from smproxy.manager.attempt import Attempt, Client
from smproxy.manager.origin_registry import OriginRegistry
from smproxy.manager.sessions import Sessions
from smproxy.signaling.clock import Clock
from smproxy.signaling.node_channel import Hello, PeerEnded, TransportUp
from smproxy.signaling.params import ConnectionParams
from smproxy.signaling.payloads import Reason
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from yarl import URL

from tests.hostile.raw import ask, refusal, request
from tests.integration.conftest import StartSimulator

#: Routes that take a ``customerScope``.
SCOPED = ("/api/v1/hooks", "/api/v1/hooks/dead", "/api/v1/hooks/wait", "/api/v1/sessions")


@pytest.mark.parametrize(
    "query", ["customerScope=", "scope=acme", "customer_scope=acme", "customerScope=acme&customerscope=b", "x"]
)
async def test_refused_everywhere(start_simulator: StartSimulator, query: str) -> None:
    """An empty scope, a name that does not exist, and two scopes are refused: by every route, and by the socket (T13)."""
    simulator = await start_simulator()
    for path in SCOPED:
        status, headers, body = await ask(simulator.port, request("GET", f"{path}?{query}"))
        assert (status, bool(refusal(headers, body))) == (400, True), path
    async with connect(f"ws://127.0.0.1:{simulator.port}/live/webhook?{query}") as socket:
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1008
        assert socket.close_reason


async def test_unknown_parameters_are_refused_on_every_route(start_simulator: StartSimulator) -> None:
    """Nobody is given more than asked for because a parameter was misspelt."""
    simulator = await start_simulator()
    for method, path in (
        ("GET", "/api/v1/streams"), ("GET", "/api/v1/streams/live/s"), ("GET", "/api/v1/origins"), ("GET", "/api/v1/faults"),
        ("GET", "/api/v1/faults/log"), ("DELETE", "/api/v1/faults"), ("GET", "/api/v1/recordings"), ("GET", "/api/v1/feed"),
        ("GET", "/api/v1/hooks/sinks"), ("POST", "/api/v1/hooks/trigger"), ("POST", "/api/v1/hooks/dead/resend"),
        ("POST", "/api/v1/reset"), ("GET", "/metrics"), ("GET", "/api/v1/openapi.json"), ("GET", "/api/v1/sessions/1/frames"),
    ):  # fmt: skip
        status, headers, body = await ask(simulator.port, request(method, f"{path}?customerScop=acme"))
        assert (status, "customerScop" in refusal(headers, body)["errorMessage"]) == (400, True), path


@pytest.mark.parametrize("key", ["customerScope", "customerscope", "CUSTOMERSCOPE"])
async def test_any_case(start_simulator: StartSimulator, key: str) -> None:
    """The name of the parameter may be in any case, as SDK pages write it; its value counts as it is."""
    simulator = await start_simulator()
    async with connect(f"ws://127.0.0.1:{simulator.port}/live/webhook?{key}=acme") as socket:
        for scope in ("other", "ACME", "acme"):
            body = json.dumps({"event": "connected", "params": {"customerScope": scope}}).encode()
            assert (await ask(simulator.port, request("POST", "/api/v1/hooks/trigger", body=body)))[0] == 200
        assert json.loads(await socket.recv())["connection"]["customerScope"] == "acme"
    _, _, answer = await ask(simulator.port, request("GET", f"/api/v1/hooks?{key}=acme"))
    assert [hook["connection"]["customerScope"] for hook in json.loads(answer)["hooks"]] == ["acme"]


@pytest.mark.parametrize(
    "other", ["customerScope=evil", "username=eve", "app=other", "context=room1", "id=cam-2", "id=subscriber-cam-1"]
)
async def test_a_silent_session_is_its_owners(other: str) -> None:
    """While a lost publisher may come back, a connection that differs in scope, customer, user or name is another session."""
    clock = Clock()
    sessions = Sessions(lambda *_: None, clock=clock, rng=random.Random(1), reconnect_window=60.0)
    node = OriginRegistry().attach(Hello(address="origin", host="127.0.0.1", port=5080), lambda command: None)
    mine = {"id": "cam-1", "customerScope": "acme", "username": "ann", "app": "live"}

    def open_with(query: str) -> Attempt:
        params = ConnectionParams.from_url(URL("ws://localhost/streammanager").with_query(mine).update_query(query))
        return sessions.open(params, node, Client(remote_ip="127.0.0.1"))

    owner = open_with("")
    sessions.report(node, TransportUp(owner.token))
    sessions.report(node, PeerEnded(owner.token, Reason.TIMEOUT, lost=True))
    assert open_with(other).session != owner.session
    assert open_with("").session == owner.session
    sessions.stop()
