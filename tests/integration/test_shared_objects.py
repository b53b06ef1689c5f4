"""Shared objects over real sockets: through the proxy, standalone, on a data channel; hooks, transcript and REST."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
from smproxy.simulator import Simulator
from smproxy.testing import WebhookReceiver
from websockets.asyncio.client import ClientConnection, connect

from tests.helpers import eventually, scaled
from tests.integration.conftest import StartSimulator
from tests.integration.lives import spell
from tests.integration.origin_client import client, running
from tests.integration.origin_whip import WebRtc, http

STATUS = "SharedObject.Status."


async def joined(stack: AsyncExitStack, url: str, name: str = "room") -> tuple[ClientConnection, dict[str, Any]]:
    """Connect a socket and join an object; return the socket and the state."""
    socket = await stack.enter_async_context(connect(url, proxy=None))
    await heard(socket, lambda data: data.get("code") == "NetConnection.Connect.Success")
    await socket.send(json.dumps({"sharedObjectGetRemote": {"name": name}}))
    await heard(socket, lambda data: data.get("status") == STATUS + "GetRemote" and data["message"] == "Success")
    await socket.send(json.dumps({"sharedObjectConnect": {"name": name}}))
    await heard(socket, lambda data: data.get("status") == STATUS + "Connect" and data["message"] == "Success")
    return socket, (await heard(socket, lambda data: "value" in data))["value"]


async def heard(socket: ClientConnection, match: Any) -> dict[str, Any]:
    """Read until the ``data`` of a message matches."""
    async with asyncio.timeout(scaled(10)):
        async for frame in socket:
            data = json.loads(frame).get("data", {})
            if match(data):
                return data
    raise AssertionError("the socket was closed")


async def shared_objects(simulator: Simulator) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as http, http.get(f"{simulator.rest_url}/api/v1/shared-objects") as response:
        assert response.status == 200
        return (await response.json())["sharedObjects"]


async def test_through_both_doors(start_simulator: StartSimulator, receiver: WebhookReceiver) -> None:
    """A client of the proxy and one of the standalone server share an object; hooks, transcript and REST show it."""
    simulator = await start_simulator(receiver)
    base = f"ws://127.0.0.1:{simulator.port}"
    async with AsyncExitStack() as stack:
        one, state = await joined(stack, f"{base}/streammanager?id=one&app=live&customerScope=acme")
        assert state == {}
        await one.send(json.dumps({"sharedObjectSetProperty": {"name": "room", "key": "n", "value": {"x": [1]}}}))
        changed = await heard(one, lambda data: "events" in data)
        assert changed["events"] == [{"subtype": 4, "attribute": "n", "value": {"x": [1]}}]
        two, state = await joined(stack, f"{base}/live?id=two&customerScope=acme")
        assert state == {"n": {"x": [1]}}
        _, state = await joined(stack, f"{base}/live?id=three&customerScope=umbrella")
        assert state == {}, "another customer scope has objects of its own"
        await two.send(json.dumps({"sharedObjectSend": {"name": "room", "call": "m", "params": "hello"}}))
        assert (await heard(one, lambda data: "events" in data))["events"] == [
            {"subtype": 6, "method": "m", "value": "hello"}
        ]
        listed = await shared_objects(simulator)
        assert [(each["customerScope"], each["scope"], each["name"]) for each in listed] == [
            ("acme", "live", "room"),
            ("umbrella", "live", "room"),
        ]
        assert listed[0]["properties"] == {"n": {"x": [1]}}
        assert listed[0]["version"] == 1
        (session, _) = listed[0]["members"]
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{simulator.rest_url}/api/v1/sessions/{session}/frames") as response:
                assert "sharedObjectSetProperty" in await response.text()
            async with http.delete(f"{simulator.rest_url}/api/v1/sessions/{session}") as response:
                assert response.status == 200
        await one.wait_closed()
        await eventually(lambda: len(receiver.events) >= 7, 10)
        assert len((await shared_objects(simulator))[0]["members"]) == 1
    await eventually(lambda: sum(spell(event) == "disconnected" for event in receiver.events) == 3, 10)
    assert await shared_objects(simulator) == []
    told: dict[str, list[str]] = {}
    for event in receiver.events:
        told.setdefault(event["connection"]["id"], []).append(spell(event))
    whole = ["connecting", "connected", "disconnected"]
    assert told == {"one": whole, "two": whole, "three": whole}


async def test_on_the_data_channel() -> None:
    """A publisher that has moved to its data channel keeps its objects there, and joins others there."""
    async with (
        running() as (origin, reports),
        client(origin) as publisher,
        client(origin, attempt="b1", id="x") as other,
    ):
        await publisher.publish("s1", data=True)
        await publisher.say(sharedObjectConnect={"name": "first"})
        await publisher.hear(lambda each: "value" in each.get("data", {}))
        await publisher.switch()
        await eventually(lambda: publisher.channel.readyState == "open")
        publisher.channel.send(json.dumps({"sharedObjectConnect": {"name": "second"}}))
        await eventually(lambda: any("value" in each.get("data", {}) for each in publisher.heard_on_channel))
        for name in ("first", "second"):
            await other.say(sharedObjectConnect={"name": name})
            await other.say(sharedObjectSetProperty={"name": name, "key": "n", "value": 1})
        await eventually(
            lambda: (
                {each["data"]["name"] for each in publisher.heard_on_channel if "events" in each.get("data", {})}
                == {"first", "second"}
            )
        )
        await other.socket.close()
        await reports.until("PeerEnded", "b1")
        assert reports.kinds("b1") == ["TransportUp", "PeerEnded"]
        assert [state.members for state in origin.shared_objects()] == [["a1"], ["a1"]]


async def test_over_whip_and_whep() -> None:
    """Clients of WHIP and WHEP share an object on their data channels, and leave it with their sessions."""
    async with running() as (origin, reports), http(origin) as requests:
        publisher, viewer = WebRtc(requests), WebRtc(requests)
        await publisher.publish(data=True)
        await reports.until("StreamStarted")
        await viewer.watch(data=True)
        for each, name in ((publisher, "a1"), (viewer, "b1")):
            await eventually(lambda each=each: each.channel.readyState == "open")
            each.channel.send(json.dumps({"sharedObjectConnect": {"name": "room"}}))
            await eventually(lambda name=name: any(name in state.members for state in origin.shared_objects()))
        viewer.channel.send(json.dumps({"sharedObjectSend": {"name": "room", "method": "m", "message": 1}}))
        for each in (publisher, viewer):
            await eventually(lambda each=each: any("events" in heard.get("data", {}) for heard in each.heard))
            await each.pc.close()
        await eventually(lambda: origin.shared_objects() == [])


async def test_faults_act_on_it(start_simulator: StartSimulator) -> None:
    """A fault of signaling acts on the messages of shared objects as on all others."""
    simulator = await start_simulator()
    simulator.faults.add("silence", id="one")
    async with connect(f"ws://127.0.0.1:{simulator.port}/live?id=one", proxy=None) as one:
        await one.send(json.dumps({"sharedObjectConnect": {"name": "room"}}))
        async with asyncio.timeout(scaled(10)):
            while not (listed := await shared_objects(simulator)):
                pass
            (session,) = listed[0]["members"]
            async with aiohttp.ClientSession() as http_session:
                await http_session.delete(f"{simulator.rest_url}/api/v1/sessions/{session}")
            assert [frame async for frame in one] == [], "the origin's answers were withheld"
