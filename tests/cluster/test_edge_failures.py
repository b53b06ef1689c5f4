"""What subscribers of an edge meet when a node is killed: real processes, a real NATS server."""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack
from pathlib import Path

from smproxy.testing import Subscriber, WebhookReceiver
from smproxy.testing.clients import make_subscriber

from tests.cluster.processes import TTL, NodeProcess, nodes
from tests.cluster.steps import all_over, has, node
from tests.helpers import eventually, eventually_reads
from tests.nats_server import NatsServer


async def watch(stack: AsyncExitStack, manager: NodeProcess, edge: str) -> Subscriber:
    """Watch at an edge until pictures come."""
    options = {"host": edge, "request_id": f"subscriber-{edge}", "decode": False}
    subscriber = make_subscriber(f"ws://127.0.0.1:{manager.port}/streammanager", "s", options)
    stack.push_async_callback(subscriber.close)
    await subscriber.subscribe()
    await subscriber.wait_for_frames(5)
    return subscriber


async def test_edges_and_their_origin_are_killed(registry: NatsServer, tmp_path: Path) -> None:
    """A killed edge ends its subscribers, whose sessions end once; those at another edge go on until the origin is killed.

    Then they are told that the stream has ended. A drained edge gets no new subscribers.
    """
    async with WebhookReceiver() as receiver, AsyncExitStack() as stack:
        manager = node("m1", registry.url, tmp_path, receiver, "manager")
        origin = node("o1", registry.url, tmp_path, receiver, "origin")
        edges = [node(name, registry.url, tmp_path, receiver, "edge") for name in ("e1", "e2")]
        await stack.enter_async_context(nodes(manager, origin, *edges))
        await manager.has_origins("o1", "e1", "e2")
        publisher = manager.publisher("s")
        stack.push_async_callback(publisher.close)
        await publisher.publish()
        await watch(stack, manager, "e1")
        stays = await watch(stack, manager, "e2")
        listed = await manager.get("/api/v1/nodes")
        assert {each["id"]: each["role"] for each in listed["nodes"]} == {"o1": "origin", "e1": "edge", "e2": "edge"}
        await eventually_reads(lambda: pulling(manager), lambda found: found == {"e1": 1, "e2": 1, "o1": 0}, TTL)
        await edges[0].end(signal.SIGKILL)
        await eventually(lambda: has(receiver, "disconnected", "subscriber-e1"), TTL * 2 + 5)
        seen = stays.statistics["video"].frames
        await eventually(lambda: stays.statistics["video"].frames > seen + 5, 10)
        assert not stays.unpublished.is_set()
        await origin.end(signal.SIGKILL)
        await eventually(lambda: stays.unpublished.is_set() or stays.closed.is_set(), TTL * 2 + 5)
        await stays.close()
        await all_over(receiver, registry, TTL * 2 + 5)


async def pulling(manager: NodeProcess) -> dict[str, int]:
    """Return how many streams each node has from others."""
    listed = await manager.get("/api/v1/nodes")
    return {each["id"]: each["pulls"] for each in listed["nodes"]}
