"""What a cluster promises when nodes, the registry or the network between them fail: real processes, a real NATS server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from smproxy.testing import Publisher, PublishError, PublishRejected, WebhookReceiver

from tests.cluster import model
from tests.cluster.link import link_to
from tests.cluster.processes import TTL, NodeProcess, nodes
from tests.helpers import eventually, eventually_reads, scaled
from tests.nats_server import NatsServer

#: How often each failure is tried; ``make torture-cluster`` sets more.
RUNS = int(os.environ.get("SMPROXY_CLUSTER_RUNS", "1"))

runs = pytest.mark.parametrize("run", range(RUNS))


def node(name: str, registry: str, directory: Path, receiver: WebhookReceiver, roles: str) -> NodeProcess:
    """Make a node whose hooks go to the receiver."""
    return NodeProcess(name, registry, directory, "--roles", roles, "--hook-uri", receiver.url)


def has(receiver: WebhookReceiver, state: str, stream: str) -> bool:
    """Whether an event of a stream has come."""
    return any(hook.state == state and hook.event["connection"]["id"] == stream for hook in receiver.hooks)


async def settled(receiver: WebhookReceiver, seconds: float) -> None:
    """Wait until every session has an end, and check all that must hold."""
    await eventually(lambda: model.ended(receiver.events), seconds, "not every session ended")
    model.check(receiver.events)


async def published_when_free(make: Callable[[], Publisher]) -> Publisher:
    """Publish a name as soon as the lease of the node that had it is over: at the latest two seconds after it."""

    async def attempt() -> Publisher | None:
        stream = make()
        try:
            await stream.publish()
        except PublishRejected as error:
            await stream.close()
            if "already has a broadcast session" not in str(error):
                raise
            return None
        return stream

    stream = await eventually_reads(attempt, lambda each: each is not None, TTL + 2)
    assert stream is not None
    return stream


@runs
async def test_manager_is_killed(run: int, registry: NatsServer, tmp_path: Path) -> None:
    """Another node ends its sessions; when it comes back it gives each end the same uuid."""
    async with WebhookReceiver() as receiver, AsyncExitStack() as stack:
        one = node("m1", registry.url, tmp_path, receiver, "manager")
        two = node("m2", registry.url, tmp_path, receiver, "manager,origin")
        await stack.enter_async_context(nodes(one, two))
        await one.has_origins("m2")
        stream = one.publisher(f"s{run}")
        stack.push_async_callback(stream.close)
        await stream.publish()
        await eventually(lambda: has(receiver, "remote_track_started", f"s{run}"), 10)
        await two.get("/api/v1/sessions")
        await one.end()
        await settled(receiver, TTL * 3 + 10)
        before = len(model.sessions_of(receiver.events))
        again = two.publisher(f"s{run}")
        stack.push_async_callback(again.close)
        await again.publish()
        await again.unpublish()
        await one.start()
        await settled(receiver, 10)
        assert len(model.sessions_of(receiver.events)) == before + 1


@runs
async def test_origin_is_killed(run: int, registry: NatsServer, tmp_path: Path) -> None:
    """The manager ends the sessions that were there; the name is free within the lease and can be published elsewhere."""
    async with WebhookReceiver() as receiver, AsyncExitStack() as stack:
        manager = node("m1", registry.url, tmp_path, receiver, "manager")
        origins = [node(name, registry.url, tmp_path, receiver, "origin") for name in ("o1", "o2")]
        await stack.enter_async_context(nodes(manager, *origins))
        await manager.has_origins("o1", "o2")
        stream = manager.publisher("s", host="o1")
        stack.push_async_callback(stream.close)
        await stream.publish()
        await eventually(lambda: has(receiver, "remote_track_started", "s"), 10)
        await origins[0].end()
        await manager.has_origins("o2")
        await settled(receiver, 10)
        again = await published_when_free(lambda: manager.publisher("s", host="o2"))
        stack.push_async_callback(again.close)
        await again.unpublish()
        await settled(receiver, 10)


@runs
async def test_node_freezes_and_wakes(run: int, registry: NatsServer, tmp_path: Path) -> None:
    """A node that wakes after its time finds itself fenced: its old sessions end once, and it joins again."""
    async with WebhookReceiver() as receiver, AsyncExitStack() as stack:
        one = node("n1", registry.url, tmp_path, receiver, "manager,origin")
        two = node("n2", registry.url, tmp_path, receiver, "manager,origin")
        await stack.enter_async_context(nodes(one, two))
        await one.has_origins("n1", "n2")
        stream = one.publisher("s", host="n1")
        stack.push_async_callback(stream.close)
        await stream.publish()
        await eventually(lambda: has(receiver, "remote_track_started", "s"), 10)
        one.send(signal.SIGSTOP)
        await settled(receiver, TTL * 3 + 10)
        again = two.publisher("s", host="n2")
        stack.push_async_callback(again.close)
        await again.publish()
        await eventually(lambda: sum(each.state == "peer_joined" for each in receiver.hooks) == 2, 10)
        one.send(signal.SIGCONT)
        await eventually(lambda: "lost its place" in one.log, 10)
        await eventually(lambda: one.log.count("joined the cluster") == 2, TTL * 3 + 10)
        await again.unpublish()
        await settled(receiver, 10)


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
        stack.push_async_callback(stream.close)
        await stream.publish()
        await eventually(lambda: has(receiver, "remote_track_started", "s"), 10)
        await registry.kill()
        with pytest.raises(PublishRejected):
            await one.publisher("new", host="n1").publish()
        loop = asyncio.get_running_loop()
        back_at = loop.time() + TTL * 2  # longer than every lease
        await eventually(lambda: loop.time() > back_at, TTL * 2 + 5)
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
        await settled(receiver, 10)


@runs
@pytest.mark.parametrize("way", ["both", "there", "back"])
async def test_node_is_cut_off(run: int, way: str, registry: NatsServer, tmp_path: Path) -> None:
    """A node that alone has lost the registry is fenced, whichever way is cut; its name goes to another."""
    async with WebhookReceiver() as receiver, AsyncExitStack() as stack:
        link = await stack.enter_async_context(link_to(registry.port))
        one = node("n1", link.url, tmp_path, receiver, "manager,origin")
        two = node("n2", registry.url, tmp_path, receiver, "manager,origin")
        await stack.enter_async_context(nodes(one, two))
        await one.has_origins("n1", "n2")
        stream = one.publisher("s", host="n1")
        stack.push_async_callback(stream.close)
        await stream.publish()
        await eventually(lambda: has(receiver, "remote_track_started", "s"), 10)
        link.cut(there=way in ("both", "there"), back=way in ("both", "back"))
        await eventually(lambda: "lost its place" in one.log, TTL * 3)
        await settled(receiver, TTL * 3)
        await two.has_origins("n2")
        again = two.publisher("s", host="n2")
        stack.push_async_callback(again.close)
        await again.publish()
        link.mend()
        await eventually(lambda: one.log.count("joined the cluster") == 2, TTL * 3 + 10)
        await again.unpublish()
        await settled(receiver, 10)


@runs
async def test_duplicate_publish_race(run: int, registry: NatsServer, tmp_path: Path) -> None:
    """Of those who publish one name at the same moment at different nodes exactly one gets it."""
    async with WebhookReceiver() as receiver, AsyncExitStack() as stack:
        made = [node(f"n{i}", registry.url, tmp_path, receiver, "manager,origin") for i in (1, 2)]
        await stack.enter_async_context(nodes(*made))
        for each in made:
            await each.has_origins("n1", "n2")
        for race in range(max(3, RUNS)):
            clients = [each.publisher(f"r{race}", host=each.name) for each in made]
            results = await asyncio.gather(*(client.publish() for client in clients), return_exceptions=True)
            assert sum(not isinstance(result, BaseException) for result in results) == 1, results
            assert all(isinstance(result, PublishRejected) for result in results if isinstance(result, BaseException))
            for client in clients:
                await client.close()
        await settled(receiver, 20)


@runs
async def test_registry_is_slow(run: int, registry: NatsServer, tmp_path: Path) -> None:
    """Answers that take almost a quarter of the lease each way make nobody dead."""
    async with WebhookReceiver() as receiver, AsyncExitStack() as stack:
        link = await stack.enter_async_context(link_to(registry.port))
        one = node("n1", link.url, tmp_path, receiver, "manager,origin")
        two = node("n2", registry.url, tmp_path, receiver, "manager,origin")
        await stack.enter_async_context(nodes(one, two))
        await one.has_origins("n1", "n2")
        await two.has_origins("n1", "n2")
        stream = one.publisher("s", host="n1")
        stack.push_async_callback(stream.close)
        await stream.publish()
        link.delay = TTL * 2 / 9
        loop = asyncio.get_running_loop()
        end = loop.time() + TTL * 3
        await eventually(lambda: loop.time() > end, TTL * 3 + 5)
        assert "lost its place" not in one.log
        assert "is gone" not in two.log
        link.delay = 0.0
        await stream.unpublish()
        await settled(receiver, 10)


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
        await settled(receiver, 10)
        reasons = [hook.event["payload"]["reason"] for hook in receiver.hooks if hook.state == "disconnected"]
        assert sorted(reasons) == [0, 0, 2, 2]


async def test_who_does_not_answer_is_named(registry: NatsServer, tmp_path: Path) -> None:
    """A list without a node's sessions says so, and a node is asked by nobody who has not its key."""
    async with WebhookReceiver() as receiver, AsyncExitStack() as stack:
        made = [node(f"n{i}", registry.url, tmp_path, receiver, "manager,origin") for i in (1, 2)]
        await stack.enter_async_context(nodes(*made))
        await made[0].has_origins("n1", "n2")
        async with asyncio.timeout(scaled(20)):
            while (await made[0].get("/api/v1/sessions"))["partial"]:
                pass
        made[1].send(signal.SIGSTOP)
        assert (await made[0].get("/api/v1/sessions"))["partial"] == ["n2"]
        made[1].send(signal.SIGCONT)
        assert (await made[0].get("/api/cluster/contact"))["errorMessage"] == "Only nodes of this cluster may ask this."


def test_nothing_is_imported_without_a_cluster() -> None:
    """``smproxy serve`` imports nothing of the cluster, and no nats-py, unless it is asked to join one."""
    code = (
        "import sys, asyncio; from smproxy.simulator import Simulator\n"
        "async def run():\n    async with Simulator(): pass\n"
        "asyncio.run(run())\n"
        "print([name for name in sys.modules if name.startswith(('smproxy.cluster', 'smproxy.manager.cluster', 'nats'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
