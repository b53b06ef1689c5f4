"""Edges: what one origin has is watched at another node, which pulls it once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest
from smproxy.signaling.node_channel import Drain
from smproxy.simulator import Simulator
from smproxy.testing import PublishRejected, SubscribeError, Subscriber
from yarl import URL

from tests.cluster.conftest import StartNode
from tests.helpers import eventually, scaled

#: Of a restart of ICE (RFC 9725, 4.3.3), which is refused here because its entity tag is not the session's.
FRAGMENT = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n"


def at(simulator: Simulator, stream: str) -> set[str]:
    """Return the nodes at which a manager's subscribers watch a stream."""
    watching = simulator.manager.sessions.watching("live", stream)
    return {each.attempt.node.address for each in watching if each.attempt is not None}


def nodes_of(simulator: Simulator) -> dict[str, str]:
    """Return the role of each node with media that a manager has."""
    return {node.address: node.role for node in simulator.manager.registry.nodes}


def pulls(simulator: Simulator, node: str) -> int:
    """Return how many streams a node has from others, as a manager knows."""
    return next(each.load.pulls for each in simulator.manager.registry.nodes if each.address == node)


@asynccontextmanager
async def watching(simulator: Simulator, stream: str, **options: object) -> AsyncIterator[Subscriber]:
    """Watch until pictures come."""
    async with simulator.subscriber(stream, **options) as subscriber:
        await subscriber.wait_for_frames(5)
        yield subscriber


async def test_an_edge_pulls_once_and_serves_many(start_node: StartNode) -> None:
    """Subscribers are sent to the edge, by every transport; it has the stream once; the pull has no hooks.

    It ends some time after the last subscriber. A drained edge gets no new ones: they are sent to the origin.
    """
    manager = await start_node("m1", roles="manager")
    origin = await start_node("o1", roles="origin")
    await start_node("e1", roles="edge", pull_linger=1.0)
    await eventually(lambda: nodes_of(manager) == {"o1": "origin", "e1": "edge"}, 10)
    async with manager.publisher("s1") as publisher:
        await manager.hooks.expect("peer_joined", id="s1")
        async with watching(manager, "s1") as first, watching(manager, "s1", transport="whep"):
            assert at(manager, "s1") == {"e1"}
            await eventually(lambda: pulls(manager, "e1") == 1, 10)
            publisher.mute(video=True)
            await eventually(lambda: first.metadata.get("streamingMode") == "Audio", 10)
            seen = first.statistics["video"].frames
            publisher.mute(video=False)
            await eventually(lambda: first.statistics["video"].frames > seen + 5, 10)
            publisher.send("hello", {"a": 1})
            await eventually(lambda: [each.method for each in first.invokes] == ["hello"], 10)
        await eventually(lambda: pulls(manager, "e1") == 0, 10)
        assert {each.life.peer for each in manager.manager.sessions.publishing()} == {"s1"}
        assert len(origin.hook_log) == 0
        (edge,) = (node for node in manager.manager.registry.nodes if node.role == "edge")
        assert edge.command is not None
        edge.command(Drain(True))
        await eventually(lambda: edge.draining, 10)
        async with watching(manager, "s1"):
            assert at(manager, "s1") == {"o1"}


async def test_a_stream_that_moves_is_pulled_from_its_new_origin(start_node: StartNode) -> None:
    """A subscriber that stays at the edge sees the stream end, and its next publisher, at whatever origin."""
    manager = await start_node("m1", roles="manager")
    await start_node("o1", roles="origin")
    other = await start_node("o2", roles="origin")
    await start_node("e1", roles="manager,edge")
    await eventually(lambda: len(nodes_of(manager)) == 3, 10)
    async with AsyncExitStack() as stack:
        async with manager.publisher("s1", host="o1"):
            subscriber = await stack.enter_async_context(watching(manager, "s1", sdk=7, host="e1"))
        await eventually(subscriber.unpublished.is_set, 10)
        seen = subscriber.statistics["video"].frames
        await eventually(lambda: other.manager.registry.owner_of("live", "s1") is None, 10)
        async with manager.publisher("s1", host="o2"):
            await eventually(lambda: subscriber.statistics["video"].frames > seen + 5, 15)


async def test_any_node_with_media_serves_any_stream(start_node: StartNode) -> None:
    """A subscriber that comes to an origin which lacks the stream, with or without a host, gets it; the name stays in use."""
    one = await start_node("n1")
    two = await start_node("n2", pull_linger=1.0)
    await eventually(lambda: set(nodes_of(one)) == set(nodes_of(two)) == {"n1", "n2"}, 10)
    async with one.publisher("s1", host="n1"), watching(two, "s1", host="n2"), watching(two, "s1", request_id="anyone"):
        assert pulls(two, "n2") == 1
        with pytest.raises(PublishRejected):
            await two.publisher("s1", host="n2").publish()
    async with two.publisher("s1", host="n2"), watching(one, "s1"):
        assert pulls(two, "n2") == 0


async def test_what_nobody_watches_is_kept_for_who_has_asked(start_node: StartNode) -> None:
    """A client that has asked for a stream has the time to connect, and one that leaves again leaves no pull behind."""
    one = await start_node("n1")
    two = await start_node("n2", pull_linger=0.0)
    await eventually(lambda: len(nodes_of(one)) == len(nodes_of(two)) == 2, 10)
    async with one.publisher("s1", host="n1"):
        url = f"{two.url}?id=subscriber-1&host=n2&app=live"
        async with aiohttp.ClientSession() as http, http.ws_connect(url) as socket:
            await socket.send_json({"isAvailable": "s1"})
            await eventually(lambda: pulls(two, "n2") == 1, 10)
        await eventually(lambda: pulls(two, "n2") == 0, 10)


async def test_hls_and_rest_know_the_streams_of_other_managers(start_node: StartNode) -> None:
    """A manager at which a stream did not come in names an edge for it, in both REST interfaces, and packages it as HLS."""
    one = await start_node("m1", roles="manager,origin")
    two = await start_node("m2", roles="manager,edge")
    await eventually(lambda: len(nodes_of(one)) == len(nodes_of(two)) == 2, 10)
    async with one.publisher("s1"), aiohttp.ClientSession(two.rest_url) as http:
        await one.hooks.expect("remote_track_started", id="s1")
        await eventually(lambda: two.manager.registry.owner("live", "s1") is not None, 10)
        async with http.get("/streammanager/api/4.0/event/live/s1?action=subscribe") as response:
            assert (await response.json())["serverAddress"] == "m2"
        async with http.get("/as/v1/streams/stream/default/subscribe/live/s1") as response:
            (place,) = await response.json()
            assert (place["serverAddress"], place["nodeRole"]) == ("m2", "edge")
        async with http.get("/as/v1/streams/stream/default/subscribe/live/s2") as response:
            assert response.status == 404
        async with http.get("/live/s1.m3u8") as response:
            assert response.status == 200, await response.text()
            assert (await response.text()).startswith("#EXTM3U")
        async with http.get("/metrics") as response:
            assert 'smproxy_pulled_streams{node="m2"} 1.0' in await response.text()


async def test_an_edge_takes_no_publishers(start_node: StartNode) -> None:
    """Who names an edge to publish at is refused, by WebSocket and WHIP; a name that nobody has is not to be watched there."""
    manager = await start_node("m1", roles="manager,edge")
    await start_node("o1", roles="origin")
    await eventually(lambda: len(nodes_of(manager)) == 2, 10)
    for transport in ("websocket", "whip"):
        with pytest.raises(PublishRejected, match="edge"):
            await manager.publisher("s1", host="m1", transport=transport).publish()
    for transport in ("websocket", "whep"):
        with pytest.raises(SubscribeError):
            await manager.subscriber("s1", transport=transport).subscribe()


async def test_any_manager_answers_for_whip_and_whep_sessions(start_node: StartNode) -> None:
    """A request about a WHIP or WHEP session may reach any manager; one that none knows is answered 404."""
    one = await start_node("m1", roles="manager,origin")
    two = await start_node("m2", roles="manager,edge")
    await eventually(lambda: len(nodes_of(one)) == len(nodes_of(two)) == 2, 10)
    publisher = one.publisher("s1", transport="whip")
    await publisher.publish()
    assert publisher._http is not None
    resource = publisher._http.resource.replace(f":{one.port}/", f":{two.port}/")
    async with aiohttp.ClientSession() as http:
        headers = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": '"stale"'}
        async with http.patch(resource, headers=headers, data=FRAGMENT) as patched:
            assert patched.status == 412, await patched.text()
        async with watching(one, "s1", transport="whep") as subscriber:
            assert subscriber._http is not None
            session = subscriber._http.resource.replace(f":{one.port}/", f":{two.port}/")
            async with http.post(f"{session}/events", json=["active", "viewercount"]) as made:
                assert made.status == 201, await made.text()
                events = URL(session).join(URL(made.headers["Location"]))
            async with http.get(events) as stream, asyncio.timeout(scaled(10)):
                assert (await stream.content.readline()).startswith(b"event: ")
        async with http.delete(resource) as deleted:
            assert deleted.status == 200
        await one.hooks.expect("disconnected", id="s1")
        async with http.delete(resource) as again:
            assert again.status == 404
        async with http.get(f"{two.rest_url}/api/cluster/pull?scope=live&name=s1") as refused:
            assert refused.status == 403
