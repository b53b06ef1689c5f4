"""The webhook socket, over real connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from smproxy.hooks.broadcast import HookBroadcast
from smproxy.manager.access import AccessRule
from smproxy.manager.rest.client_limit import ClientLimit
from smproxy.manager.rest.errors import make_middleware
from smproxy.manager.rest.webhook_socket import webhook_socket
from smproxy.signaling.clock import Clock
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from yarl import URL

from tests.helpers import eventually, scaled
from tests.hooks_support import encoded


@asynccontextmanager
async def serving(
    broadcast: HookBroadcast, heartbeat: float = 20.0, places: ClientLimit | None = None
) -> AsyncIterator[tuple[str, web.AppRunner]]:
    """Serve the webhook socket at a free port; yields the address of the application ``live`` and the runner."""
    app = web.Application(middlewares=[make_middleware(Clock(), AccessRule())])
    app.router.add_get("/{app}/webhook", webhook_socket(broadcast, places=places, heartbeat=heartbeat))

    async def close(_app: web.Application) -> None:
        await broadcast.close()

    app.on_shutdown.append(close)
    runner = web.AppRunner(app, shutdown_timeout=scaled(5), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}/live/webhook", runner
    finally:
        await runner.cleanup()


async def receive(client: ClientConnection, count: int) -> list[str | bytes]:
    async with asyncio.timeout(scaled(5)):
        return [await client.recv() for _ in range(count)]


async def frames_of(client: ClientConnection) -> AsyncIterator[str | bytes]:
    """Read until the connection is closed, however it is closed."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            yield await client.recv()


async def test_events_come_as_text_frames_in_order() -> None:
    """Each listener gets each event's JSON as one text frame, in order, uncompressed, narrowed by its customerScope."""
    broadcast = HookBroadcast()
    async with serving(broadcast) as (url, _), connect(url) as wide, connect(url + "?customerScope=b%26c") as narrow:
        for seq in range(1, 51):
            broadcast.offer(encoded(1, seq, "b&c" if seq % 10 == 0 else "a"))
        frames = await receive(wide, 50)
        assert frames == [encoded(1, seq, "b&c" if seq % 10 == 0 else "a").body.decode() for seq in range(1, 51)]
        assert await receive(narrow, 5) == [encoded(1, seq, "b&c").body.decode() for seq in range(10, 51, 10)]
        assert wide.response is not None
        assert "Sec-WebSocket-Extensions" not in wide.response.headers


async def test_a_listener_that_leaves_is_forgotten() -> None:
    """When a client closes, or its connection breaks, its place is free again."""
    broadcast = HookBroadcast()
    async with serving(broadcast) as (url, _):
        async with connect(url):
            assert broadcast.listeners == 1
        await eventually(lambda: broadcast.listeners == 0)
        client = await connect(url)
        client.transport.abort()
        await eventually(lambda: broadcast.listeners == 0)
        await client.wait_closed()


async def test_what_a_listener_says_is_ignored() -> None:
    """Messages from a listener change nothing; one that is too large ends the connection with 1009."""
    broadcast = HookBroadcast()
    async with serving(broadcast) as (url, _), connect(url) as client:
        for message in ("hello", b"\x00\x01", "{}", "x" * 4000):
            await client.send(message)
        await (await client.ping())
        broadcast.offer(encoded())
        assert await receive(client, 1) == [encoded().body.decode()]
        await client.send("x" * 5000)
        with pytest.raises(ConnectionClosed):
            await receive(client, 1)
        assert client.close_code == 1009


async def test_a_slow_listener_is_closed_with_1013() -> None:
    """A listener that does not read is dropped with 1013 while another gets everything."""
    broadcast = HookBroadcast(limit=1_000_000)
    count, scope = 400, "s" * 40_000
    async with (
        serving(broadcast) as (url, _),
        connect(url, max_queue=1) as slow,
        connect(url, max_queue=None) as quick,
    ):
        for seq in range(1, count + 1):
            broadcast.offer(encoded(1, seq, scope))
            assert await receive(quick, 1) == [encoded(1, seq, scope).body.decode()]
        assert broadcast.dropped == 1
        async with asyncio.timeout(scaled(10)):
            got = [text async for text in frames_of(slow)]
        assert slow.close_code == 1013
        assert 0 < len(got) < count
        assert got == [encoded(1, seq, scope).body.decode() for seq in range(1, len(got) + 1)]


async def test_a_listener_that_never_reads_again_is_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dropped listener that does not even read the close loses its connection."""
    monkeypatch.setattr("smproxy.manager.rest.webhook_socket.DROPPED_TIMEOUT", 0.2)
    broadcast = HookBroadcast(limit=1_000_000)
    async with serving(broadcast) as (url, runner):
        server = runner.server
        assert server is not None
        with socket.socket() as dead:
            dead.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            dead.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(dead, ("127.0.0.1", URL(url).port))
            await loop.sock_sendall(
                dead,
                b"GET /live/webhook HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            )
            await eventually(lambda: broadcast.listeners == 1)
            assert len(server.connections) == 1
            while not broadcast.dropped:
                broadcast.offer(encoded(1, 1, "s" * 100_000))
                await asyncio.wait((loop.create_future(),), timeout=0.001)
            await eventually(lambda: not server.connections)


async def test_closing_sends_what_is_queued_and_closes_with_1001(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the broadcast closes, a listener still gets what was published before, then 1001, with a full handshake."""
    monkeypatch.setattr("smproxy.manager.rest.webhook_socket.CLOSED_TIMEOUT", 1000)
    broadcast = HookBroadcast()
    async with serving(broadcast) as (url, _), connect(url, max_queue=None) as client:
        for seq in range(1, 101):
            broadcast.offer(encoded(1, seq))
        await broadcast.close(scaled(5))
        assert broadcast.listeners == 0
        assert await receive(client, 100) == [encoded(1, seq).body.decode() for seq in range(1, 101)]
        with pytest.raises(ConnectionClosed):
            await receive(client, 1)
        assert client.close_code == 1001
        async with connect(url) as late:
            with pytest.raises(ConnectionClosed):
                await receive(late, 1)
            assert late.close_code == 1001


async def test_server_stop_closes_with_1001(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the server stops first, its clients, one that does not read among them, do not hold it up; the others see 1001."""
    monkeypatch.setattr("smproxy.manager.rest.webhook_socket.CLOSED_TIMEOUT", 0.2)
    broadcast = HookBroadcast()
    async with serving(broadcast) as (url, runner), connect(url, max_queue=None) as client:
        stuck = await connect(url, max_queue=1)
        for seq in range(1, 101):
            broadcast.offer(encoded(1, seq, "s" * 40_000))
        async with asyncio.timeout(scaled(5)):
            await runner.cleanup()
        assert broadcast.listeners == 0
        stuck.transport.abort()
        assert len([text async for text in frames_of(client)]) == 100
        assert client.close_code == 1001


async def test_a_handler_that_is_cancelled_closes_with_1001() -> None:
    """A server that ends its handlers by cancelling them leaves no task, and the client sees 1001."""
    broadcast = HookBroadcast()
    handler = webhook_socket(broadcast)
    running: list[asyncio.Task[object]] = []

    async def noted(request: web.Request) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        running.append(task)
        return await handler(request)

    app = web.Application()
    app.router.add_get("/{app}/webhook", noted)
    runner = web.AppRunner(app, shutdown_timeout=scaled(5), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with connect(f"ws://127.0.0.1:{runner.addresses[0][1]}/live/webhook") as client:
        running[0].cancel()
        with pytest.raises(ConnectionClosed):
            await receive(client, 1)
        assert client.close_code == 1001
    await eventually(lambda: broadcast.listeners == 0 and running[0].done())
    await runner.cleanup()


async def test_a_peer_that_is_gone_silently_is_noticed() -> None:
    """A peer that answers no ping loses its connection and its place."""
    broadcast = HookBroadcast()
    async with serving(broadcast, heartbeat=0.1) as (url, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(url).port)
        writer.write(
            b"GET /live/webhook HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await eventually(lambda: broadcast.listeners == 1)
        await eventually(lambda: broadcast.listeners == 0)
        async with asyncio.timeout(scaled(15)):
            assert b"101 Switching Protocols" in await reader.read()
        writer.close()
        await writer.wait_closed()


async def test_one_listener_too_many_gets_503() -> None:
    """Beyond the limit the upgrade is answered with 503, and with 101 again when a place is free."""
    broadcast = HookBroadcast()
    async with serving(broadcast, places=ClientLimit("listeners", 1)) as (url, _):
        async with connect(url):
            with pytest.raises(InvalidStatus) as caught:
                await connect(url)
            assert caught.value.response.status_code == 503
            assert b"1 listeners" in caught.value.response.body
        await eventually(lambda: broadcast.listeners == 0)
        async with connect(url):
            pass


async def test_a_plain_get_is_refused_and_takes_no_place() -> None:
    """What is no WebSocket upgrade gets an HTTP error and is no listener."""
    broadcast = HookBroadcast()
    async with serving(broadcast, places=ClientLimit("listeners", 1)) as (url, _), aiohttp.ClientSession() as session:
        for _ in range(3):
            async with session.get(url.replace("ws://", "http://")) as response:
                assert response.status == 400
        assert broadcast.listeners == 0
