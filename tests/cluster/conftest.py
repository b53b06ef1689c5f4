"""A cluster in one process: several simulators on a real NATS server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from smproxy.simulator import Simulator

from tests.nats_server import NatsServer, nats_server

#: Seconds until a silent node is dead: nobody waits for that here, and a busy machine must not come near it.
TTL = 9.0

StartNode = Callable[..., Coroutine[Any, Any, Simulator]]


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A NATS server of its own."""
    directory = tmp_path / "nats"
    directory.mkdir()
    async with nats_server(directory) as server:
        yield server


@pytest.fixture
async def start_node(registry: NatsServer) -> AsyncIterator[StartNode]:
    """Start a node of a cluster: ``await start_node("a")``."""
    async with AsyncExitStack() as stack:

        async def start(name: str, **options: Any) -> Simulator:
            options = {"cluster": registry.url, "cluster_ttl": TTL} | options
            simulator = Simulator(node_id=name, flush=0.5, **options)
            return await stack.enter_async_context(simulator)

        yield start
