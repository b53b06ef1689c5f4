"""Names that several nodes want at once, and nodes that do not answer: real processes, a real NATS server."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from smproxy.testing import PublishRejected, WebhookReceiver

from tests.cluster.processes import nodes
from tests.cluster.steps import RACES, all_over, node
from tests.helpers import scaled
from tests.nats_server import NatsServer


async def test_duplicate_publish_race(registry: NatsServer, tmp_path: Path) -> None:
    """Of those who publish one name at once, at three nodes and over WebSocket and WHIP, exactly one gets it."""
    async with WebhookReceiver() as receiver, AsyncExitStack() as stack:
        made = [node(f"n{i}", registry.url, tmp_path, receiver, "manager,origin") for i in (1, 2, 3)]
        await stack.enter_async_context(nodes(*made))
        for each in made:
            await each.has_origins("n1", "n2", "n3")
        transports = [
            ("websocket",) * 3,
            ("whip",) * 3,
            ("websocket", "whip", "whip"),
            ("whip", "websocket", "websocket"),
        ]
        for race in range(RACES):
            clients = [
                each.publisher(f"r{race}", host=each.name, transport=transport)
                for each, transport in zip(made, transports[race % len(transports)], strict=True)
            ]
            results = await asyncio.gather(*(client.publish() for client in clients), return_exceptions=True)
            assert sum(result is None for result in results) == 1, f"race {race}: {results}"
            assert all(isinstance(result, PublishRejected) for result in results if result is not None), results
            await asyncio.gather(*(client.close() for client in clients))
        await all_over(receiver, registry, 20)


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
