"""Who takes places and does not use them: waits whose client has left, and connections that say nothing (A6, A7)."""

from __future__ import annotations

import asyncio
import contextlib
import re
import resource
from pathlib import Path

from smproxy.manager.rest.client_limit import LIMIT
from smproxy.simulator import Simulator
from websockets.asyncio.client import connect

from tests.helpers import eventually, scaled
from tests.hostile.raw import WEBSOCKET, answer, ask, connected, request, status_of
from tests.integration.commands import start
from tests.integration.conftest import StartSimulator

WAIT = "/api/v1/hooks/wait?timeout=60"


def waiting(simulator: Simulator) -> int:
    """Count who listens for hooks now."""
    return simulator.manager.broadcast.listeners


async def test_a_wait_ends_with_its_client(start_simulator: StartSimulator) -> None:
    """A client that leaves, in whatever way, frees its place at once; a hundred that left keep nobody out."""
    simulator = await start_simulator()
    for leave in ("abort", "close", "end"):
        async with contextlib.AsyncExitStack() as stack:
            writers = []
            for _ in range(LIMIT):
                _, writer = await stack.enter_async_context(connected(simulator.port))
                writer.write(request("GET", WAIT))
                writers.append(writer)
            await eventually(lambda: waiting(simulator) == LIMIT, 10)
            assert await status_of(simulator.port, request("GET", WAIT)) == 503
            for writer in writers:
                if leave == "abort":
                    writer.transport.abort()
                elif leave == "close":
                    writer.close()
                else:
                    writer.write_eof()
            await eventually(lambda: waiting(simulator) == 0, 5, f"places are taken after {leave}")
        status, _, _ = await ask(simulator.port, request("GET", "/api/v1/hooks/wait?timeout=0"))
        assert status == 408


async def test_waits_and_sockets_have_places_of_their_own(start_simulator: StartSimulator) -> None:
    """A hundred waits keep no listener of the webhook socket out and no dashboard, nor the other way round."""
    simulator = await start_simulator()
    url = f"ws://127.0.0.1:{simulator.port}/live/webhook"
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(LIMIT):
            _, writer = await stack.enter_async_context(connected(simulator.port))
            writer.write(request("GET", WAIT))
        await eventually(lambda: waiting(simulator) == LIMIT, 10)
        for _ in range(LIMIT):
            await stack.enter_async_context(connect(url))
        assert await status_of(simulator.port, request("GET", "/live/webhook", *WEBSOCKET)) == 503
        assert await status_of(simulator.port, request("GET", WAIT)) == 503
        assert await status_of(simulator.port, request("GET", "/api/v1/feed")) == 200


async def test_silent_connections_keep_nobody_out(start_simulator: StartSimulator) -> None:
    """With every place taken by connections that wait for nothing, or dribble, those who behave are served all the same."""
    simulator = await start_simulator()
    listener = simulator.manager._listener
    listener.max_connections = 300
    starts = (
        b"", b"G", request("GET", "/healthz")[:-2], request("GET", "/healthz"),
        request("POST", "/api/v1/faults", "Content-Length: 1000") + b"{", b"POST /api/v1/reset HTTP/1.1\r\nHost: localhost\r\n",
        request("POST", "/api/v1/faults", "Transfer-Encoding: chunked") + b"1\r\n{\r\n",
    )  # fmt: skip
    async with contextlib.AsyncExitStack() as stack:
        for number in range(3 * listener.max_connections):
            _, writer = await stack.enter_async_context(connected(simulator.port))
            writer.write(starts[number % len(starts)])
            if number % 100 == 99:
                assert await status_of(simulator.port, request("GET", "/healthz", "Connection: close")) == 200
        await eventually(lambda: listener.connections <= listener.max_connections)
        socket = request("GET", "/streammanager?id=s&customerScope=acme", *WEBSOCKET)
        assert await status_of(simulator.port, socket) == 101


async def test_ten_thousand_silent_connections(tmp_path: Path) -> None:
    """At the real limit, more than 10,000 connections that say nothing keep nobody out, and cost less than 10 KB each."""
    limit = 10_000
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert most > limit + 500, f"this test opens {limit} connections, and the system allows {most} files (ulimit -Hn)"
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    process = await start(
        "serve", "--no-local-origin", "--origin", "127.0.0.1", "--port", "0", "--data-dir", str(tmp_path)
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(scaled(30)):
            port = None
            while port is None:
                found = re.search(rb"Dashboard +http://localhost:(\d+)/", await process.stdout.readline())
                port = found and int(found[1])
        assert await status_of(port, request("GET", "/healthz", "Connection: close")) == 200
        before = memory_of(process.pid)
        async with contextlib.AsyncExitStack() as stack:
            for number in range(limit + 200):
                _, writer = await stack.enter_async_context(connected(port))
                writer.write(b"GET /healthz HTTP/1.1\r\n" if number % 2 else b"G")
                if number % 1_000 == 999:
                    assert await status_of(port, request("GET", "/healthz", "Connection: close")) == 200
            for _ in range(20):
                assert await status_of(port, request("GET", "/healthz", "Connection: close")) == 200
            assert (memory_of(process.pid) - before) / limit < 10_000
    finally:
        process.terminate()
        await process.communicate()


def memory_of(pid: int) -> int:
    """Return the resident memory of a process, in bytes."""
    (line,) = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


async def test_who_is_served_keeps_the_place(start_simulator: StartSimulator) -> None:
    """Listeners, waits and sockets are not pushed out by connections that wait."""
    simulator = await start_simulator()
    simulator.manager._listener.max_connections = 20
    url = f"ws://127.0.0.1:{simulator.port}/live/webhook"
    async with (
        connect(url) as socket,
        connected(simulator.port) as (reader, writer),
        contextlib.AsyncExitStack() as stack,
    ):
        writer.write(request("GET", "/api/v1/hooks/wait?event=peer&timeout=60"))
        await eventually(lambda: waiting(simulator) == 2)
        for _ in range(60):
            await stack.enter_async_context(connected(simulator.port))
        event = b'{"event": "peer"}'
        assert (await ask(simulator.port, request("POST", "/api/v1/hooks/trigger", body=event)))[0] == 200
        assert b'"peer"' in (await answer(reader))[2]
        assert '"peer"' in str(await asyncio.wait_for(socket.recv(), 30))
