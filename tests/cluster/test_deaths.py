"""What a cluster promises when nodes are killed or freeze: real processes, a real NATS server."""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack
from pathlib import Path

from smproxy.testing import WebhookReceiver

from tests.cluster import model
from tests.cluster.processes import TTL, nodes
from tests.cluster.steps import (
    LOAD,
    WithholdingReceiver,
    all_end,
    all_over,
    deliveries,
    has,
    live,
    node,
    published_when_free,
    runs,
    settled,
)
from tests.helpers import eventually
from tests.nats_server import NatsServer


@runs
async def test_manager_is_killed(run: int, registry: NatsServer, tmp_path: Path) -> None:
    """Another node ends its sessions; when it comes back it gives each end the same uuid. Those of others go on.

    What the dead one had not delivered comes when it is back, after the ends that the other one wrote.
    """
    lost = [f"s{run}-{number}" for number in range(LOAD)]
    async with WithholdingReceiver(lost[-1], "peer_joined") as receiver, AsyncExitStack() as stack:
        one = node("m1", registry.url, tmp_path, receiver, "manager")
        two = node("m2", registry.url, tmp_path, receiver, "manager,origin")
        await stack.enter_async_context(nodes(one, two))
        await one.has_origins("m2")
        stays = two.publisher("stays")
        await live(stack, receiver, stays, *(one.publisher(name) for name in lost[:-1]))
        late = one.publisher(lost[-1])
        stack.push_async_callback(late.close)
        await late.publish()
        await eventually(lambda: has(receiver, "peer_joined", lost[-1]), 10)
        await one.end()
        await all_end(receiver, lost, TTL * 3 + 10)
        assert not has(receiver, "disconnected", "stays")
        await stays.unpublish()
        await settled(receiver, 10, away={1})
        before = len(model.sessions_of(deliveries(receiver)))
        again = two.publisher(lost[0])
        stack.push_async_callback(again.close)
        await again.publish()
        await again.unpublish()
        receiver.withheld = None
        await one.start()
        await all_over(receiver, registry, 20)
        sessions = model.sessions_of(deliveries(receiver)).values()
        assert len(sessions) == before + 1
        assert any(model.comes_late(session) for session in sessions), "the dead node had delivered everything"


@runs
async def test_origin_is_killed(run: int, registry: NatsServer, tmp_path: Path) -> None:
    """The manager ends the sessions that were there; the name is free within the lease and can be published elsewhere."""
    async with WebhookReceiver() as receiver, AsyncExitStack() as stack:
        manager = node("m1", registry.url, tmp_path, receiver, "manager")
        origins = [node(name, registry.url, tmp_path, receiver, "origin") for name in ("o1", "o2")]
        await stack.enter_async_context(nodes(manager, *origins))
        await manager.has_origins("o1", "o2")
        lost = [f"s{number}" for number in range(LOAD)]
        stays = manager.publisher("stays", host="o2")
        await live(stack, receiver, stays, *(manager.publisher(name, host="o1") for name in lost))
        await origins[0].end()
        await manager.has_origins("o2")
        await all_end(receiver, lost, 10)
        assert not has(receiver, "disconnected", "stays")
        again = await published_when_free(lambda: manager.publisher(lost[0], host="o2"))
        stack.push_async_callback(again.close)
        await again.unpublish()
        await stays.unpublish()
        await all_over(receiver, registry, 10)


@runs
async def test_node_freezes_and_wakes(run: int, registry: NatsServer, tmp_path: Path) -> None:
    """A node that wakes after its time finds itself fenced: its old sessions end once, and it joins again."""
    async with WebhookReceiver() as receiver, AsyncExitStack() as stack:
        one = node("n1", registry.url, tmp_path, receiver, "manager,origin")
        two = node("n2", registry.url, tmp_path, receiver, "manager,origin")
        await stack.enter_async_context(nodes(one, two))
        await one.has_origins("n1", "n2")
        await live(stack, receiver, *(one.publisher(f"s{number}", host="n1") for number in range(LOAD)))
        one.send(signal.SIGSTOP)
        await settled(receiver, TTL * 3 + 10, away={1})
        again = two.publisher("s0", host="n2")
        stack.push_async_callback(again.close)
        await again.publish()
        joined = lambda: {hook.uuid for hook in receiver.hooks if hook.state == "peer_joined"}  # noqa: E731
        await eventually(lambda: len(joined()) == LOAD + 1, 10)
        one.send(signal.SIGCONT)
        await eventually(lambda: "lost its place" in one.log, 10)
        await eventually(lambda: one.log.count("joined the cluster") == 2, TTL * 3 + 10)
        await again.unpublish()
        await all_over(receiver, registry, 10)
