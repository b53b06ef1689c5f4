"""Nodes of a cluster as processes, which can be killed and frozen."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from smproxy.testing.clients import make_publisher
from smproxy.testing.publisher import Publisher

from tests.helpers import eventually, eventually_reads, scaled

#: Seconds until a silent node is dead. On a machine so busy that living nodes are late it must be longer.
TTL = float(os.environ.get("SMPROXY_CLUSTER_TTL", "4"))


class NodeProcess:
    """One ``smproxy serve --cluster``, whose wall clock is ``clock_error`` seconds ahead."""

    def __init__(self, name: str, registry: str, directory: Path, *options: str, clock_error: int = 0) -> None:
        self.name = name
        self._clock_error = clock_error
        self._registry = registry
        self._directory = directory
        self._options = options
        self._process: asyncio.subprocess.Process | None = None
        self.port = 0

    @property
    def log(self) -> str:
        """What the process has logged."""
        return (self._directory / f"{self.name}.log").read_text()

    async def start(self) -> None:
        """Start it; returns when it is a member."""
        arguments = [
            *("--cluster", self._registry, "--node-id", self.name, "--cluster-ttl", f"{TTL}", "--port", "0"),
            *("--data-dir", str(self._directory / self.name), "--exit-with-parent", *self._options),
        ]
        program = ["tests.cluster.wrong_clock", str(self._clock_error)] if self._clock_error else ["smproxy"]
        command = [sys.executable, "-m", *program, "serve", *arguments]
        with (self._directory / f"{self.name}.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=log)
        assert self._process.stdout is not None
        banner = b""
        async with asyncio.timeout(scaled(30)):
            while not (found := re.search(rb"ws://[^/:]+:(\d+)/streammanager", banner)):
                line = await self._process.stdout.readline()
                assert line, f"{self.name} ended: {self.log}"
                banner += line
        self.port = int(found[1])

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it, and wait for that."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.send_signal(number)
            if number is not signal.SIGKILL:
                process.send_signal(signal.SIGCONT)
            async with asyncio.timeout(scaled(15)):
                await process.wait()

    def publisher(self, stream: str, **options: Any) -> Publisher:
        """Make a publisher of a stream that comes in at this node."""
        return make_publisher(f"ws://127.0.0.1:{self.port}/streammanager", stream, options)

    async def get(self, path: str) -> dict[str, Any]:
        """Ask the control API."""
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{self.port}{path}") as response:
            return dict(await response.json())

    async def has_origins(self, *names: str) -> None:
        """Wait until this node's manager has these origins, and no others."""

        async def known() -> set[str]:
            listed = await self.get("/api/v1/origins")
            return {each["address"] for each in listed["origins"]}

        await eventually_reads(known, lambda found: found == set(names), 30)


@asynccontextmanager
async def nodes(*made: NodeProcess) -> AsyncIterator[None]:
    """Start nodes, all at once, and end those that still run."""
    try:
        await asyncio.gather(*(node.start() for node in made))
        yield
    finally:
        await asyncio.gather(*(node.end() for node in made), return_exceptions=True)


async def until(condition: Any, seconds: float, message: str = "") -> None:
    """Wait for a condition."""
    await eventually(condition, seconds, message)
