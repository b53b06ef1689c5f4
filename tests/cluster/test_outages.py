"""What a cluster promises when the registry is down, and when every node is restarted in turn."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from smproxy.testing import Publisher, PublishError, PublishRejected, WebhookReceiver

from tests.cluster.processes import nodes
from tests.cluster.steps import OUTAGE, all_over, has, live, node, passes, runs
from tests.helpers import eventually
from tests.nats_server import NatsServer


@runs
async def test_registry_is_down(run: int, registry: NatsServer, tmp_path: Path) -> None:
    """Sessions and their hooks go on for longer than a lease; new streams are refused; afterwards all is as before."""
    async with WebhookReceiver() as receiver, AsyncExitStack() as stack:
        one = node("n1", registry.url, tmp_path, receiver, "manager,origin")
        two = node("n2", registry.url, tmp_path, receiver, "manager,origin")
        await stack.enter_async_context(nodes(one, two))
        await one.has_origins("n1", "n2")
        await two.has_origins("n1", "n2")
        stream = one.publisher("s", host="n2")
        await live(stack, receiver, stream)
        await registry.kill()
        with pytest.raises(PublishRejected):
            await one.publisher("new", host="n1").publish()
        await passes(OUTAGE)
        assert not has(receiver, "disconnected", "s")
        await registry.start()

        async def publish_later() -> Publisher:
            while True:
                later = one.publisher("later", host="n1")
                stack.push_async_callback(later.close)
                with contextlib.suppress(PublishError):
                    await later.publish()
                    return later

        later = await publish_later()
        await later.unpublish()
        assert "lost its place" not in one.log + two.log
        await stream.unpublish()
        await all_over(receiver, registry, 10)


@runs
async def test_rolling_restart(run: int, registry: NatsServer, tmp_path: Path) -> None:
    """One node after the other restarts: every session that it had ends with reason 2, no hook is lost, the rest goes on."""
    async with WebhookReceiver() as receiver, AsyncExitStack() as stack:
        made = [node(f"n{i}", registry.url, tmp_path, receiver, "manager,origin") for i in (1, 2)]
        await stack.enter_async_context(nodes(*made))
        for each in made:
            await each.has_origins("n1", "n2")
        for each, other in ((made[0], made[1]), (made[1], made[0])):
            here, there = each.publisher(f"on-{each.name}", host=each.name), other.publisher("stays", host=other.name)
            stack.push_async_callback(here.close)
            stack.push_async_callback(there.close)
            await asyncio.gather(here.publish(), there.publish())
            await each.end(signal.SIGTERM)
            await eventually(lambda name=each.name: has(receiver, "disconnected", f"on-{name}"), 10)
            await other.has_origins(other.name)
            assert not there.closed.is_set()
            await there.unpublish()
            await each.start()
            await each.has_origins("n1", "n2")
            await other.has_origins("n1", "n2")
        await all_over(receiver, registry, 10)
        reasons = [hook.event["payload"]["reason"] for hook in receiver.hooks if hook.state == "disconnected"]
        assert sorted(reasons) == [0, 0, 2, 2]
