"""What a cluster promises when a node cannot reach the registry, or only slowly, and when no clock is right."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from pathlib import Path

from smproxy.testing import WebhookReceiver

from tests.cluster.link import link_to
from tests.cluster.processes import TTL, NodeProcess, nodes
from tests.cluster.steps import all_over, live, node, passes, runs, settled
from tests.helpers import eventually
from tests.nats_server import NatsServer


@runs
async def test_node_is_cut_off(run: int, registry: NatsServer, tmp_path: Path) -> None:
    """A node that alone has lost the registry is fenced, whichever way is cut; its name goes to another."""
    async with WebhookReceiver() as receiver, AsyncExitStack() as stack:
        link = await stack.enter_async_context(link_to(registry.port))
        one = node("n1", link.url, tmp_path, receiver, "manager,origin")
        two = node("n2", registry.url, tmp_path, receiver, "manager,origin")
        await stack.enter_async_context(nodes(one, two))
        for life, (there, back) in enumerate(((True, True), (True, False), (False, True)), start=1):
            await one.has_origins("n1", "n2")
            stream = one.publisher(f"s{life}", host="n1")
            await live(stack, receiver, stream)
            link.cut(there=there, back=back)
            await eventually(lambda life=life: one.log.count("lost its place") == life, TTL * 3)
            await settled(receiver, TTL * 3)
            await two.has_origins("n2")
            again = two.publisher(f"s{life}", host="n2")
            stack.push_async_callback(again.close)
            await again.publish()
            link.mend()
            await eventually(lambda life=life: one.log.count("joined the cluster") == life + 1, TTL * 3 + 10)
            await again.unpublish()
            await all_over(receiver, registry, 10)


@runs
async def test_slow_registry_and_wrong_clocks(run: int, registry: NatsServer, tmp_path: Path) -> None:
    """Answers that take almost a quarter of the lease each way make nobody dead, nor do clocks that are hours apart."""
    async with WebhookReceiver() as receiver, AsyncExitStack() as stack:
        link = await stack.enter_async_context(link_to(registry.port))
        options = ("--roles", "manager,origin", "--hook-uri", receiver.url)
        one = NodeProcess("n1", link.url, tmp_path, *options, clock_error=5 * 3600)
        two = NodeProcess("n2", registry.url, tmp_path, *options, clock_error=-3 * 3600)
        await stack.enter_async_context(nodes(one, two))
        await one.has_origins("n1", "n2")
        await two.has_origins("n1", "n2")
        stream = one.publisher("s", host="n2")
        await live(stack, receiver, stream)
        link.delay = TTL * 2 / 9
        await passes(TTL * 3)
        assert "lost its place" not in one.log
        assert "is gone" not in two.log
        link.delay = 0.0
        await stream.unpublish()
        await settled(receiver, 10)
        assert receiver.events[0]["ts"] / 1000 - time.time() > 4 * 3600, "the first node's clock was right"
        # The death of a node whose clock is behind is found as any other.
        lost = two.publisher("lost", host="n2")
        await live(stack, receiver, lost)
        await two.end()
        await all_over(receiver, registry, TTL * 3 + 10, away={2})
