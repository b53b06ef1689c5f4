"""Simulated nodes: real clients on several origins that come, are drained, lost and taken out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from smproxy.nodes.node_spec import read_nodes
from smproxy.settings import SettingsError
from smproxy.simulator import Simulator
from smproxy.testing import PublishError, Subscriber, WebhookReceiver

from tests.helpers import eventually, scaled
from tests.integration.commands import run
from tests.integration.conftest import MakePublisher, StartSimulator, published

LOG_IN = {"Authorization": aiohttp.encode_basic_auth("admin", "xyz123")}


def state(simulator: Simulator, id: str) -> str:
    """Return the state of a node."""
    return simulator.nodes.get(id).state


def node_of(simulator: Simulator, stream: str) -> str:
    """Return the id of the node that a live stream is published to."""
    (session,) = [each for each in simulator.manager.sessions.publishing() if each.life.peer == stream]
    assert session.attempt is not None
    return session.attempt.node.id


async def call(simulator: Simulator, method: str, path: str, status: int = 200, **options: Any) -> Any:
    """Return the JSON of an answer with this status."""
    async with aiohttp.ClientSession() as http, http.request(method, simulator.rest_url + path, **options) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def manager_2(simulator: Simulator, query: str = "") -> list[dict[str, Any]]:
    """Return the node group status of Stream Manager 2.0."""
    token = (await call(simulator, "PUT", "/as/v1/auth/login", headers=LOG_IN))["token"]
    path, headers = f"/as/v1/admin/nodegroup/status/default?{query}", {"Authorization": f"Bearer {token}"}
    answer: list[dict[str, Any]] = await call(simulator, "GET", path, headers=headers)
    return answer


async def ended(receiver: WebhookReceiver, id: str) -> Any:
    """Return the hook of a session's end."""
    return await receiver.expect("session", state="disconnected", id=id, timeout=scaled(10))


async def test_addresses_and_load(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """Publishers go to the node with the least load, by region, and their media to that node's own address."""
    simulator = await start_simulator(nodes=read_nodes("us:2,eu:1"))
    first, second = publisher(simulator, "a"), publisher(simulator, "b")
    third = publisher(simulator, "c", params={"region": "eu"})
    for stream in (first, second, third):
        await published(simulator, stream)
    assert [node_of(simulator, name) for name in "abc"] == ["node1", "node2", "node3"]
    for number, stream in enumerate((first, second, third), 1):
        said = await transcript(simulator, stream.stream)
        assert set(re.findall(r"udp \d+ (\S+) \d+ typ host", said.partition('"from":"origin"')[2])) >= {
            f"127.0.0.{number}"
        }
    # A subscriber that names no node gets the one with the least load, which has not the stream itself.
    await third.close()
    await eventually(lambda: simulator.nodes.get("node3").sessions == 0, 5)
    async with Subscriber(simulator.url, stream="b", params={"customerScope": "acme"}) as subscriber:
        await subscriber.wait_for_frames(5, scaled(10))
        (watching,) = simulator.manager.sessions.subscribing()
        assert watching.attempt is not None
        assert watching.attempt.node.id == "node3"


async def test_name_in_use(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """A name that is live at one node is taken at all of them."""
    simulator = await start_simulator(nodes=read_nodes("2"))
    await published(simulator, publisher(simulator, "cam"))
    with pytest.raises(PublishError, match="already has a broadcast session"):
        await publisher(simulator, "cam").publish()


async def test_sunset(start_simulator: StartSimulator, publisher: MakePublisher, receiver: WebhookReceiver) -> None:
    """A node that is taken out gets no publishers, ends the sessions that are left with reason 2, and is gone."""
    simulator = await start_simulator(receiver, nodes=read_nodes("2"))
    await published(simulator, publisher(simulator, "old"))
    assert node_of(simulator, "old") == "node1"
    answer = await call(simulator, "POST", "/api/v1/nodes/node1/sunset?seconds=1.5")
    assert answer["state"] == "SOFT_SUNSET"
    assert answer["publishers"] == 1
    for name in ("new", "newer"):
        where = await call(simulator, "GET", f"/streammanager/api/4.0/event/live/{name}?action=broadcast")
        assert where["serverAddress"] == "127.0.0.2"
        await published(simulator, publisher(simulator, name))
        assert node_of(simulator, name) == "node2"
    with pytest.raises(PublishError):  # the node itself refuses who comes all the same
        await publisher(simulator, "late", params={"host": "127.0.0.1"}).publish()
    states = {each["nodeEvent"]["nodeId"]: each["scalingEvent"]["state"] for each in await manager_2(simulator)}
    assert states["node1"] in ("SOFT_SUNSET", "HARD_SUNSET")
    assert states["node2"] == "INSERVICE"
    assert (await ended(receiver, "old")).payload["reason"] == 2
    await simulator.nodes.wait("node1", "TERMINATED", scaled(10))
    assert [each["nodeEvent"]["nodeId"] for each in await manager_2(simulator, "state=inservice")] == ["node2"]
    listed = (await call(simulator, "GET", "/api/v1/nodes"))["nodes"]
    assert [(each["id"], each["state"]) for each in listed] == [("node2", "INSERVICE"), ("node1", "TERMINATED")]


async def test_sunset_with_the_last_session(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """A node that is taken out goes as soon as its last publisher has left."""
    simulator = await start_simulator(nodes=read_nodes("2"), node_sunset=scaled(300))
    stream = publisher(simulator, "cam")
    await published(simulator, stream)
    simulator.nodes.sunset("node1")
    await simulator.nodes.wait("node1", "SOFT_SUNSET", scaled(1))
    await stream.close()
    await simulator.nodes.wait("node1", "TERMINATED", scaled(10))


async def test_fault(start_simulator: StartSimulator, publisher: MakePublisher, receiver: WebhookReceiver) -> None:
    """A lost node ends its sessions with reason 4, also those over WHIP, others go on, and it can be started again."""
    simulator = await start_simulator(receiver, nodes=read_nodes("2"))
    whip = publisher(simulator, "whip", transport="whip")
    for stream in (publisher(simulator, "a"), publisher(simulator, "b"), whip):
        await published(simulator, stream)
    assert [node_of(simulator, name) for name in ("a", "b", "whip")] == ["node1", "node2", "node1"]
    simulator.nodes.fault("node1")
    assert state(simulator, "node1") == "FAULT"
    assert {(await ended(receiver, name)).payload["reason"] for name in ("a", "whip")} == {4}
    await published(simulator, publisher(simulator, "c"))
    assert node_of(simulator, "b") == node_of(simulator, "c") == "node2"
    await eventually(lambda: simulator.nodes.get("node1").sessions == 0, 5)
    simulator.nodes.recover("node1")
    await simulator.nodes.wait("node1", "INSERVICE", scaled(10))
    await published(simulator, publisher(simulator, "d"))
    assert node_of(simulator, "d") == "node1"


async def test_fault_that_nobody_notices(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """Until the loss of a node is noticed clients are sent there and cannot connect, as with a real one."""
    simulator = await start_simulator(nodes=read_nodes("2"))
    simulator.nodes.fault("node1", scaled(600))
    node = simulator.manager.registry.find("node1")
    await eventually(lambda: node is not None and node.thumbnail is None, 5)
    with pytest.raises(PublishError, match="Failed"):
        await publisher(simulator, "cam").publish()
    assert state(simulator, "node1") == "INSERVICE"


@pytest.mark.parametrize(("fault", "reason", "wanted"), [("node-fault", 4, "FAULT"), ("node-sunset", 2, "SOFT_SUNSET")])
async def test_faults(
    fault: str, reason: int, wanted: str, start_simulator: StartSimulator, publisher: MakePublisher,
    receiver: WebhookReceiver,
) -> None:  # fmt: skip
    """The faults of nodes act on the node of the session that they are for, and are counted."""
    simulator = await start_simulator(receiver, nodes=read_nodes("2"))
    options = {"within": 0.5} if fault == "node-sunset" else {}
    await published(simulator, publisher(simulator, "cam"))
    switched = simulator.faults.add(fault, id="cam", after=0.2, **options)
    await simulator.nodes.wait("node1", wanted, scaled(10))
    assert (await ended(receiver, "cam")).payload["reason"] == reason
    assert switched.injected == 1
    assert state(simulator, "node2") == "INSERVICE"


async def test_edges(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """Subscribers are sent to edges, also by Stream Manager 2.0, and see what an origin is sent; publishers never are."""
    simulator = await start_simulator(nodes=read_nodes("us:1,us/edge:1"))
    for name in ("a", "b"):
        await published(simulator, publisher(simulator, name))
        assert node_of(simulator, name) == "node1"
    (place,) = await call(simulator, "GET", "/as/v1/streams/stream/default/subscribe/live/a")
    assert (place["serverAddress"], place["nodeRole"], place["nodeState"]) == ("127.0.0.2", "edge", "INSERVICE")
    assert [each["nodeEvent"]["publicIp"] for each in await manager_2(simulator, "role=edge")] == ["127.0.0.2"]
    async with Subscriber(simulator.url, stream="a", transport="whep", params={"customerScope": "acme"}) as subscriber:
        await subscriber.wait_for_frames(5, scaled(10))
        (watching,) = simulator.manager.sessions.subscribing()
        assert watching.attempt is not None
        assert watching.attempt.node.id == "node2"


async def test_scenario(start_simulator: StartSimulator, tmp_path: Path) -> None:
    """The steps of a scenario come at their times; one that cannot be done does not stop the others."""
    file = tmp_path / "scenario.toml"
    steps = (
        'at = 0.1\nadd = 1\nregion = "eu"\nseconds = 0.2',
        'at = 0.2\ndrain = "node9"',
        'at = 0.3\nsunset = "node1"',
    )
    file.write_text("".join(f"[[step]]\n{step}\n" for step in steps))
    simulator = await start_simulator(nodes=read_nodes("1"), node_scenario=file)
    await simulator.nodes.wait("node1", "TERMINATED", scaled(10))
    await simulator.nodes.wait("node2", "INSERVICE", scaled(10))
    assert simulator.nodes.get("node2").region == "eu"


async def test_scenario_that_cannot_be_used(start_simulator: StartSimulator, tmp_path: Path) -> None:
    """A scenario that cannot be read keeps the stream manager from starting, in one line."""
    with pytest.raises(SettingsError, match=r"--node-scenario .*no-such: no such file"):
        await start_simulator(nodes=read_nodes("1"), node_scenario=tmp_path / "no-such")


async def test_api(start_simulator: StartSimulator) -> None:
    """Nodes are added and changed over REST; what cannot be done says why."""
    simulator = await start_simulator(nodes=read_nodes("1"))
    added = await call(simulator, "POST", "/api/v1/nodes", 201, json={"region": "eu", "role": "edge", "start": 0})
    assert (added["id"], added["address"], added["role"]) == ("node2", "127.0.0.2", "edge")
    await simulator.nodes.wait("node2", "INSERVICE", scaled(10))
    assert (await call(simulator, "POST", "/api/v1/nodes/127.0.0.2/drain"))["state"] == "SOFT_SUNSET"
    assert (await call(simulator, "POST", "/api/v1/nodes/node2/undrain"))["state"] == "INSERVICE"
    assert (await call(simulator, "GET", "/api/v1/nodes/node2"))["region"] == "eu"
    await call(simulator, "DELETE", "/api/v1/nodes/node2")
    await simulator.nodes.wait("node2", "TERMINATED", scaled(10))
    for method, path, status, options, problem in (
        ("POST", "/node2/drain", 409, {}, "node node2 is not simulated here"),
        ("POST", "/node1/recover", 409, {}, "cannot recover in state INSERVICE"),
        ("POST", "/node1/sunset?seconds=x", 400, {}, "seconds"),
        ("GET", "/node7", 404, {}, "those are node1, node2"),
        ("POST", "", 400, {"json": {"role": "hub"}}, "neither origin nor edge"),
        ("POST", "", 400, {"json": {"start": -1}}, "start=-1"),
    ):
        answer = await call(simulator, method, f"/api/v1/nodes{path}", status, **options)
        assert problem in answer["errorMessage"]


async def test_without_nodes(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """Without ``--nodes`` the one origin is listed and can be drained, and no more."""
    simulator = await start_simulator()
    (node,) = (await call(simulator, "GET", "/api/v1/nodes"))["nodes"]
    assert (node["id"], node["state"]) == ("127.0.0.1", "INSERVICE")
    assert (await call(simulator, "POST", "/api/v1/nodes/127.0.0.1/drain"))["state"] == "SOFT_SUNSET"
    with pytest.raises(PublishError):
        await publisher(simulator, "cam").publish()
    assert (await call(simulator, "POST", "/api/v1/nodes/127.0.0.1/undrain"))["state"] == "INSERVICE"
    await published(simulator, publisher(simulator, "cam"))
    for path in ("", "/127.0.0.1/fault"):
        assert "--nodes N" in (await call(simulator, "POST", f"/api/v1/nodes{path}", 409))["errorMessage"]


async def test_command(start_simulator: StartSimulator) -> None:
    """``smproxy nodes`` adds, changes and lists nodes, and says in one line what cannot be done."""
    simulator = await start_simulator(nodes=read_nodes("1"))
    url = ("--url", simulator.rest_url)
    added = await run("nodes", "add", "--region", "eu", "--start", "0.01", "--json", *url)
    assert json.loads(added.out)["id"] == "node2"
    await simulator.nodes.wait("node2", "INSERVICE", scaled(10))
    assert "SOFT_SUNSET" in (await run("nodes", "drain", "node2", *url)).out
    lines = (await run("nodes", "list", *url)).lines
    assert [line.split()[:5] for line in lines] == [
        ["node1", "127.0.0.1", "local", "origin", "INSERVICE"],
        ["node2", "127.0.0.2", "eu", "origin", "SOFT_SUNSET"],
    ]
    refused = await run("nodes", "recover", "node1", *url)
    assert refused.code == 1
    assert refused.err.splitlines() == [
        "smproxy nodes: Not changed: node node1 cannot recover in state INSERVICE: that takes FAULT."
    ]


async def transcript(simulator: Simulator, stream: str) -> str:
    """Return what was said in the session of a stream."""
    (session,) = [each for each in simulator.manager.sessions.publishing() if each.life.peer == stream]
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{simulator.rest_url}/api/v1/sessions/{session.number}/frames") as answer,
    ):
        return await answer.text()
