"""The conference API: joining, the state at each change, hooks, and who is not let in."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from smproxy.simulator import Simulator
from smproxy.testing import WebhookReceiver
from smproxy.testing.auth_back_end import AuthBackEnd
from websockets.asyncio.client import ClientConnection, connect

from tests.helpers import eventually, scaled
from tests.integration.conftest import StartSimulator

TOKEN = "od3a-etmh-gc0n-osw2"


class Participant:
    """A client of the conference API; ``seen`` is who was in each state that it got."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seen: list[list[str]] = []
        self.answer: dict[str, Any] = {}

    @classmethod
    async def join(
        cls, stack: AsyncExitStack, simulator: Simulator, name: str, query: str = "", **more: Any
    ) -> Participant:
        url = f"ws://127.0.0.1:{simulator.port}/conference-api/1.0/ws/conference{query}"
        participant = cls(await stack.enter_async_context(connect(url, proxy=None)))
        asked = {
            "displayName": name,
            "joinToken": TOKEN,
            "streamGuid": f"live/{name}",
            "fingerprint": f"print-{name}",
            **more,
        }
        await participant.socket.send(json.dumps({"messageType": "JoinConferenceRequest", **asked}))
        participant.answer = await participant.read()
        return participant

    async def read(self) -> dict[str, Any]:
        async with asyncio.timeout(scaled(10)):
            return json.loads(await self.socket.recv())

    async def sees(self, *names: str) -> None:
        """Wait for a state with these participants, in this order."""
        while (event := await self.read())["messageType"] == "ConferenceStateEvent":
            if [each["displayName"] for each in event["state"]["participants"]] == list(names):
                return
        raise AssertionError(event)


async def conferences(simulator: Simulator) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as http, http.get(f"{simulator.rest_url}/api/v1/conferences") as response:
        text = await response.text()
        assert TOKEN not in text
        return json.loads(text)["conferences"]


def states(receiver: WebhookReceiver) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for event in receiver.events:
        told.setdefault(event["connection"]["id"], []).append(event["payload"]["state"])
    return told


async def test_join_and_leave(start_simulator: StartSimulator, receiver: WebhookReceiver) -> None:
    """Each change is told to all in the conference and to no other; who leaves, or whose socket breaks, is out of it."""
    simulator = await start_simulator(receiver)
    async with AsyncExitStack() as stack:
        one = await Participant.join(stack, simulator, "one")
        assert one.answer["messageType"] == "JoinConferenceResponse"
        assert one.answer["role"] == "ORGANIZER"
        await one.sees("one")
        other = await Participant.join(stack, simulator, "other", joinToken="another")
        await other.sees("other")
        two = await Participant.join(stack, simulator, "two")
        await one.sees("one", "two")
        await two.sees("one", "two")
        viewer = await Participant.join(stack, simulator, "viewer", isAnonymous=True, streamGuid="")
        assert viewer.answer["role"] == "ANONYMOUS"
        await one.sees("one", "two", "viewer")
        (first, second) = await conferences(simulator)
        assert [each["streamGuid"] for each in first["participants"]] == ["live/one", "live/two", ""]
        assert first["customerScope"] == "default"
        assert [each["displayName"] for each in second["participants"]] == ["other"]
        await viewer.socket.close()
        await one.sees("one", "two")
        two.socket.transport.abort()
        await one.sees("one")
    await eventually(
        lambda: [len(each) for each in states(receiver).values()] == [3, 3, 3, 3], 10, str(states(receiver))
    )
    assert set(map(tuple, states(receiver).values())) == {("connecting", "connected", "disconnected")}
    ended = {
        each["connection"]["id"]: each["payload"]
        for each in receiver.events
        if each["payload"]["state"] == "disconnected"
    }
    assert {key: each["reason"] for key, each in ended.items()} == {
        "print-one": 0, "print-two": 1, "print-viewer": 0, "print-other": 0,
    }  # fmt: skip
    meta = receiver.events[0]["connection"]["meta"]
    assert meta == {"displayName": "one", "streamGuid": "live/one"}
    assert await conferences(simulator) == []


async def test_customer_scopes_are_apart(start_simulator: StartSimulator) -> None:
    """The same token of another customer is another conference."""
    simulator = await start_simulator()
    async with AsyncExitStack() as stack:
        one = await Participant.join(stack, simulator, "one", "?customerScope=acme")
        two = await Participant.join(stack, simulator, "two", "?customerscope=umbrella")
        await one.sees("one")
        await two.sees("two")
        assert [each["customerScope"] for each in await conferences(simulator)] == ["acme", "umbrella"]


@pytest.mark.parametrize(
    "first",
    [
        "",
        "[]",
        '{"messageType": "Other"}',
        '{"messageType": "JoinConferenceRequest"}',
        json.dumps({"messageType": "JoinConferenceRequest", "joinToken": ""}),
        json.dumps({"messageType": "JoinConferenceRequest", "joinToken": "t", "displayName": "x" * 300}),
        json.dumps({"messageType": "JoinConferenceRequest", "joinToken": "t", "streamGuid": "one"}),
        b"binary",
    ],
)
async def test_what_is_no_request(
    start_simulator: StartSimulator, receiver: WebhookReceiver, first: str | bytes
) -> None:
    """Anything but a request to join is answered with a ConferenceError and a close."""
    simulator = await start_simulator(receiver)
    url = f"ws://127.0.0.1:{simulator.port}/conference-api/1.0/ws/conference"
    async with connect(url, proxy=None) as socket:
        await socket.send(first)
        answer = json.loads(await socket.recv())
        assert answer["messageType"] == "ConferenceError"
        assert answer["error"].endswith(".")
        await socket.wait_closed()
        assert socket.close_code == 1008
    await eventually(lambda: [event["payload"]["state"] for event in receiver.events] == ["connect_error"], 10)


async def test_the_token_is_checked(start_simulator: StartSimulator, receiver: WebhookReceiver) -> None:
    """Where clients are authenticated the join token is the token that is asked about, and no reason tells it."""
    async with AuthBackEnd() as back_end:
        simulator = await start_simulator(receiver, auth_uri=back_end.url)
        back_end.deny("ann")
        async with AsyncExitStack() as stack:
            denied = await Participant.join(stack, simulator, "ann", username="ann", password="secret-1")
            assert denied.answer["messageType"] == "ConferenceError"
            assert denied.answer["error"].startswith("Not allowed: ")
            assert TOKEN not in denied.answer["error"]
            allowed = await Participant.join(stack, simulator, "bob", joinToken="good", username="bob", password="x")
            assert allowed.answer["messageType"] == "JoinConferenceResponse"
        asked = back_end.calls[0].body
        assert (asked["type"], asked["username"], asked["token"], asked["streamID"]) == (
            "publisher",
            "ann",
            TOKEN,
            "ann",
        )
    await eventually(lambda: states(receiver).get("print-ann") == ["connecting", "connect_error"], 10)
    assert TOKEN not in json.dumps(list(receiver.events))


async def test_stop_and_reset_end_them(start_simulator: StartSimulator, receiver: WebhookReceiver) -> None:
    """A reset ends every conference, and so does an orderly stop; each participant's end has its reason."""
    simulator = await start_simulator(receiver)
    async with AsyncExitStack() as stack:
        one = await Participant.join(stack, simulator, "one")
        async with aiohttp.ClientSession() as http, http.post(f"{simulator.rest_url}/api/v1/reset") as response:
            assert (await response.json())["complete"]
        await one.socket.wait_closed()
        assert await conferences(simulator) == []
        two = await Participant.join(stack, simulator, "two")
        await simulator.stop()
        await two.socket.wait_closed()
        assert two.socket.close_code == 1001
    reasons = [event["payload"]["reason"] for event in receiver.events if event["payload"]["state"] == "disconnected"]
    assert reasons == [3, 2]


@pytest.mark.parametrize(
    "scope", ["", "?customerScope=undefined", "?customerScope=a%0Ab", "?customerScope=" + "x" * 1000]
)
async def test_a_customer_scope_where_one_is_required(start_simulator: StartSimulator, scope: str) -> None:
    """With ``--customer-scope required`` the URL must have one that can be used."""
    simulator = await start_simulator(customer_scope="required")
    async with AsyncExitStack() as stack:
        refused = await Participant.join(stack, simulator, "one", scope)
        assert "customerScope" in refused.answer["error"]
