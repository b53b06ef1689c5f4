"""Names, choices and lists over the nodes of a cluster."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from smproxy.signaling.node_channel import Drain
from smproxy.simulator import Simulator
from smproxy.testing import PublishRejected

from tests.cluster.conftest import StartNode
from tests.cluster.link import link_to
from tests.helpers import eventually, scaled
from tests.nats_server import NatsServer


def origins(simulator: Simulator) -> set[str]:
    """Return the origins that a manager has."""
    return {node.address for node in simulator.manager.registry.nodes}


async def get(simulator: Simulator, path: str, method: str = "GET", status: int = 200) -> dict[str, object]:
    """Ask one node."""
    async with aiohttp.ClientSession() as http, http.request(method, f"{simulator.rest_url}{path}") as response:
        assert response.status == status, await response.text()
        return dict(await response.json())


async def listed(simulator: Simulator, count: int) -> dict[str, Any]:
    """List the sessions of all nodes, once there are so many and every node has answered in time."""
    async with asyncio.timeout(scaled(20)):
        while True:
            found: dict[str, Any] = await get(simulator, "/api/v1/sessions")
            if found["total"] == count and found["partial"] == []:
                return found


async def test_any_manager_takes_publishers_for_every_origin(start_node: StartNode) -> None:
    """A manager without an origin of its own relays to those of other nodes, with media and all hooks."""
    manager = await start_node("m1", roles="manager")
    origin = await start_node("o1", roles="origin")
    await eventually(lambda: origins(manager) == {"o1"}, 10)
    async with manager.publisher("s1"):
        connected = await manager.hooks.expect("peer_joined", id="s1")
        assert json.loads(connected.body)["epoch"] > 0
        sessions = await listed(origin, 1)
        assert [each["id"] for each in sessions["sessions"]] == ["s1"]
    await manager.hooks.expect("disconnected", id="s1")


async def test_a_name_is_in_use_on_every_node(start_node: StartNode) -> None:
    """A name that one origin has cannot be published at another, and is free again at its end."""
    one = await start_node("n1")
    two = await start_node("n2")
    await eventually(lambda: origins(one) == origins(two) == {"n1", "n2"}, 10)
    async with one.publisher("s1", host="n1"):
        with pytest.raises(PublishRejected):
            await two.publisher("s1", host="n2").publish()
        async with one.publisher("s2", host="n1"):
            pass
    async with two.publisher("s1", host="n2"):
        await two.hooks.expect("peer_joined", id="s1")


@pytest.mark.parametrize("transport", ["websocket", "whip"])
async def test_an_ended_stream_can_be_published_elsewhere_at_once(
    registry: NatsServer, start_node: StartNode, transport: str
) -> None:
    """Whoever was told that a stream has ended may publish its name at any node, in the same moment."""
    async with link_to(registry.port) as link:
        nodes = [await start_node("n1", cluster=link.url), await start_node("n2")]
        await eventually(lambda: all(origins(each) == {"n1", "n2"} for each in nodes), 10)
        link.delay = 0.1  # what the first node gives back is late
        async with nodes[0].publisher("s1", host="n1", transport=transport):
            pass
        second = nodes[1].publisher("s1", host="n2", transport=transport)
        await second.publish()
        await eventually(lambda: nodes[0].manager.registry.owner_of("live", "s1") == "n2", 10)
        link.delay = 0.25  # what the first node hears of its end is late
        ending = asyncio.create_task(second.unpublish())
        await nodes[1].hooks.expect("disconnected", id="s1")
        async with nodes[0].publisher("s1", host="n1", transport=transport):
            link.delay = 0.0
        await ending


async def test_lists_and_kick_reach_every_node(start_node: StartNode) -> None:
    """Any manager lists and ends the sessions of all, and gives their packets."""
    one = await start_node("n1")
    two = await start_node("n2")
    await eventually(lambda: origins(one) == origins(two) == {"n1", "n2"}, 10)
    stream = one.publisher("s1", host="n1")
    await stream.publish()
    event = await one.hooks.expect("peer_joined", id="s1")
    await listed(two, 1)
    number = json.loads(event.body)["payload"]["session"]
    assert (await get(two, f"/api/v1/sessions/{number}"))["id"] == "s1"
    capture = f"{two.rest_url}/api/v1/sessions/{number}/capture.pcapng?seconds=0.5"
    async with aiohttp.ClientSession() as http, http.get(capture) as response:
        assert (response.status, response.content_type) == (200, "application/x-pcapng")
        assert (await response.read()).startswith(b"\x0a\x0d\x0d\x0a")
    await get(two, f"/api/v1/sessions/{number}", "DELETE")
    ended = await one.hooks.expect("disconnected", id="s1")
    assert json.loads(ended.body)["payload"]["reason"] == 3


async def test_a_drained_origin_gets_nothing_new(start_node: StartNode) -> None:
    """What any manager drains, no manager sends publishers to; what is live there goes on, until it is undrained."""
    one = await start_node("m1", roles="manager")
    two = await start_node("m2", roles="manager")
    await start_node("o1", roles="origin")
    await start_node("o2", roles="origin")
    await eventually(lambda: origins(one) == origins(two) == {"o1", "o2"}, 10)
    stays = one.publisher("stays", host="o1")
    await stays.publish()
    drained = next(node for node in one.manager.registry.nodes if node.address == "o1")
    assert drained.command is not None
    drained.command(Drain(True))
    await eventually(lambda: [node.draining for node in two.manager.registry.nodes].count(True) == 1, 10)
    for number in range(3):
        async with two.publisher(f"s{number}"):
            await two.hooks.expect("peer_joined", id=f"s{number}")
            (session,) = two.manager.sessions.publishing()
            assert session.attempt is not None
            assert session.attempt.node.address == "o2"
    assert len(one.manager.sessions.publishing()) == 1
    drained.command(Drain(False))
    await eventually(lambda: not any(node.draining for node in two.manager.registry.nodes), 10)
    await stays.unpublish()


async def test_waits_and_faults_hold_on_every_node(start_node: StartNode) -> None:
    """A wait at one node ends with a hook of another; a fault that is switched on at one acts at all."""
    one = await start_node("n1")
    two = await start_node("n2")
    await eventually(lambda: origins(one) == origins(two) == {"n1", "n2"}, 10)
    waiting = asyncio.create_task(get(two, "/api/v1/hooks/wait?state=connected&id=s1&timeout=20"))
    async with one.publisher("s1", host="n1"):
        event = await waiting
    assert event["event"] == "session"
    async with aiohttp.ClientSession() as http:
        body = {"fault": "connect-rejected", "match": {"id": "bad"}}
        async with http.post(f"{one.rest_url}/api/v1/faults", json=body) as response:
            assert response.status == 201, await response.text()
            assert (await response.json())["partial"] == []
    with pytest.raises(PublishRejected):
        await two.publisher("bad").publish()
    reset = await get(two, "/api/v1/reset", "POST")
    assert reset["partial"] == []
    async with one.publisher("bad"):
        pass
