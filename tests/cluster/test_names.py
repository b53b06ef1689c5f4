"""Names, choices and lists over the nodes of a cluster."""

from __future__ import annotations

import json

import aiohttp
import pytest
from smproxy.simulator import Simulator
from smproxy.testing import PublishRejected

from tests.cluster.conftest import StartNode
from tests.helpers import eventually


def origins(simulator: Simulator) -> set[str]:
    """Return the origins that a manager has."""
    return {node.address for node in simulator.manager.registry.nodes}


async def get(simulator: Simulator, path: str, method: str = "GET", status: int = 200) -> dict[str, object]:
    """Ask one node."""
    async with aiohttp.ClientSession() as http, http.request(method, f"{simulator.rest_url}{path}") as response:
        assert response.status == status, await response.text()
        return dict(await response.json())


async def test_any_manager_takes_publishers_for_every_origin(start_node: StartNode) -> None:
    """A manager without an origin of its own relays to those of other nodes, with media and all hooks."""
    manager = await start_node("m1", roles="manager")
    origin = await start_node("o1", roles="origin")
    await eventually(lambda: origins(manager) == {"o1"}, 10)
    async with manager.publisher("s1"):
        connected = await manager.hooks.expect("peer_joined", id="s1")
        assert json.loads(connected.body)["epoch"] > 0
        sessions = await get(origin, "/api/v1/sessions")
        assert [each["id"] for each in sessions["sessions"]] == ["s1"]  # type: ignore[attr-defined]
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


async def test_lists_and_kick_reach_every_node(start_node: StartNode) -> None:
    """Any manager lists and ends the sessions of all."""
    one = await start_node("n1")
    two = await start_node("n2")
    await eventually(lambda: origins(one) == origins(two) == {"n1", "n2"}, 10)
    stream = one.publisher("s1")
    await stream.publish()
    event = await one.hooks.expect("peer_joined", id="s1")
    listed = await get(two, "/api/v1/sessions")
    assert listed["total"] == 1
    assert listed["partial"] == []
    number = json.loads(event.body)["payload"]["session"]
    assert (await get(two, f"/api/v1/sessions/{number}"))["id"] == "s1"
    await get(two, f"/api/v1/sessions/{number}", "DELETE")
    ended = await one.hooks.expect("disconnected", id="s1")
    assert json.loads(ended.body)["payload"]["reason"] == 3
