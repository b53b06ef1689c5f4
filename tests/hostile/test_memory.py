"""What listeners that do not read cost: measured in bytes, on the process (A5)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.helpers import scaled
from tests.hostile.raw import WEBSOCKET, answer, request, status_of
from tests.integration import commands

MB = 1024 * 1024

#: What docs/hooks.md says that all listeners together may cost.
BOUND = 128 * MB

CONNECTIONS = 700
META = quote(json.dumps({"note": "m" * 4000}))


@asynccontextmanager
async def serving(directory: Path) -> AsyncIterator[tuple[int, int]]:
    """Run ``smproxy serve``; yields its process id and its port."""
    process = await commands.start(
        "serve", "--port", "0", "--data-dir", str(directory), "--no-local-origin", "--origin", "127.0.0.1:9"
    )
    assert process.stdout is not None
    assert process.stderr is not None
    draining = []
    try:
        async with asyncio.timeout(scaled(20)):
            while not (match := re.search(rb"http://localhost:(\d+)/", await process.stdout.readline())):
                assert process.returncode is None
        draining = [asyncio.create_task(stream.read()) for stream in (process.stdout, process.stderr)]
        yield process.pid, int(match[1])
    finally:
        process.terminate()
        await process.wait()
        await asyncio.gather(*draining)


def memory(pid: int) -> int:
    """Return how many bytes of memory a process has of its own."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(size) for size in re.findall(r"^Private_\w+: +(\d+) kB", text, re.MULTILINE)) * 1024


async def deaf(port: int, data: bytes) -> socket.socket:
    """Open a connection whose client sends a request and never reads."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(listener, ("127.0.0.1", port))
    await loop.sock_sendall(listener, data)
    return listener


async def publish_in_vain(port: int) -> None:
    """Make the hooks of many connections: each connects, is told that there is no origin, and has 4 kB of meta."""
    path = f"/streammanager?customerScope=acme&meta={META}&id=cam-"

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("GET", f"{path}{number}", *WEBSOCKET))
        await reader.readuntil(b"NetConnection")
        writer.transport.abort()

    for start in range(0, CONNECTIONS, 20):
        await asyncio.gather(*(one(number) for number in range(start, start + 20)))


async def growth(directory: Path, kinds: list[bytes]) -> int:
    """Return by how many bytes a process grows under the load, with a hundred deaf listeners of each kind."""
    async with serving(directory) as (pid, port):
        with contextlib.ExitStack() as stack:
            for kind in kinds:
                for _ in range(100):
                    stack.enter_context(contextlib.closing(await deaf(port, kind)))
            if kinds:
                assert await status_of(port, kinds[0]) == 503  # all places are taken
            before = memory(pid)
            for _ in range(3):
                await publish_in_vain(port)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request("GET", "/api/v1/hooks?newest=true&limit=1"))
            assert b"cam-" in (await answer(reader))[2]  # what was published is journalled, and listeners were sent it
            writer.close()
            return memory(pid) - before


LISTENERS = {
    "webhook sockets": [request("GET", "/live/webhook", *WEBSOCKET)],
    "webhook sockets of a scope": [request("GET", "/live/webhook?customerScope=acme&event=session", *WEBSOCKET)],
    "replays": [request("GET", "/live/webhook?since=0", *WEBSOCKET)],
    "dashboards": [request("GET", "/api/v1/feed")],
    "waits": [request("GET", "/api/v1/hooks/wait?event=peer&timeout=60")],
    "all": [
        request("GET", "/live/webhook?since=0", *WEBSOCKET),
        request("GET", "/api/v1/feed"),
        request("GET", "/api/v1/hooks/wait?event=peer&timeout=60"),
    ],
}


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> int:
    """By how many bytes a process grows under the load when nobody listens."""
    return asyncio.run(growth(tmp_path_factory.mktemp("quiet"), []))


@pytest.mark.parametrize("kinds", LISTENERS.values(), ids=LISTENERS.keys())
async def test_listeners_that_do_not_read(tmp_path: Path, quiet: int, kinds: list[bytes]) -> None:
    """A hundred of each kind, under 2,100 connections with 4 kB of meta each, cost no more than is documented."""
    loud = await growth(tmp_path, kinds)
    assert loud - quiet < BOUND, f"{quiet / MB:.0f} MB without, {loud / MB:.0f} MB with listeners"
    page = (Path(__file__).parents[2] / "docs/hooks.md").read_text()
    assert f"at most {BOUND // MB} MiB of memory" in page
