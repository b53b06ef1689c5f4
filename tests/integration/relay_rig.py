"""A listener, a relay and an HTTP server on a real port, with observers that remember, for the tests of the relay."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvloop
from aiohttp import web
from smproxy.manager.access import AccessRule
from smproxy.manager.aiohttp_protocol import HttpProtocol
from smproxy.manager.deadlines import HttpTimes
from smproxy.manager.listener import Listener
from smproxy.manager.relay import OriginFilter, Relay, RelayedConnection, RelayEnd, RelayLimits
from smproxy.manager.relay.observer import TranscriptWriter
from smproxy.manager.rest.errors import make_middleware
from smproxy.manager.upgrade import UpgradeRequest
from smproxy.signaling.clock import Clock
from smproxy.signaling.messages import ClientVerb, ServerNotice
from smproxy.signaling.payloads import RouteError
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.utils import accept_key

from tests.helpers import eventually

PATH = "/streammanager"
HANDSHAKE = (
    "GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


def on_both_loops(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a test on asyncio's loop and on uvloop; it fails when the loop gets an exception that nobody handled."""

    @functools.wraps(test)
    def run(loop_factory: Callable[[], asyncio.AbstractEventLoop], **fixtures: Any) -> None:
        unhandled: list[dict[str, Any]] = []

        async def guarded() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
            await test(**fixtures)

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(guarded())
        assert unhandled == []

    own = inspect.signature(test).parameters.values()
    first = inspect.Parameter("loop_factory", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run.__signature__ = inspect.Signature([first, *own])  # type: ignore[attr-defined]
    factories = [asyncio.SelectorEventLoop, uvloop.new_event_loop]
    return pytest.mark.parametrize("loop_factory", factories, ids=["asyncio", "uvloop"])(run)


def handshake(target: str = PATH, *lines: str) -> bytes:
    """A client's request head, with more header lines."""
    return (HANDSHAKE.format(target=target) + "".join(f"{line}\r\n" for line in lines) + "\r\n").encode()


class Heard:
    """An observer that remembers what it was told, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.client: list[ClientVerb | None] = []
        self.origin: list[ServerNotice | None] = []
        self.failure = ""
        self.error: RouteError | None = None
        self.end: RelayEnd | None = None

    def dialed(self) -> None:
        self.events.append("dialed")

    def client_message(self, message: ClientVerb | None) -> None:
        self.events.append("client")
        self.client.append(message)

    def origin_message(self, message: ServerNotice | None) -> None:
        self.events.append("origin")
        self.origin.append(message)

    def dial_failed(self, why: str, error: RouteError) -> None:
        self.events.append("dial_failed")
        self.failure, self.error = why, error

    def ended(self, end: RelayEnd) -> None:
        self.events.append("ended")
        assert self.end is None
        self.end = end


@dataclass
class Rig:
    """What is running."""

    port: int
    listener: Listener
    relay: Relay
    heard: list[Heard] = field(default_factory=list)
    connections: list[RelayedConnection] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}{PATH}"

    async def end(self, index: int = 0) -> RelayEnd:
        """Wait for the end of a session."""
        await eventually(lambda: len(self.heard) > index and self.heard[index].end is not None, 10)
        end = self.heard[index].end
        assert end is not None
        return end

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a raw connection; it is closed with the rig."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        return reader, writer


async def echo_body(request: web.Request) -> web.Response:
    return web.json_response({"got": (await request.read()).decode(), "query": request.query_string})


async def web_socket(request: web.Request) -> web.WebSocketResponse:
    """A WebSocket that aiohttp serves itself."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(f"aiohttp: {message.data}")
    return socket


@contextlib.asynccontextmanager
async def rig(
    origin_port: int,
    *,
    origin_host: str = "127.0.0.1",
    limits: RelayLimits | None = None,
    origin_filter: OriginFilter | None = None,
    server_ssl: ssl.SSLContext | None = None,
    observer: Callable[[], Any] = Heard,
    record: TranscriptWriter | None = None,
    upgrade: Callable[[UpgradeRequest], None] | None = None,
    target: str = "/live/?id=s",
    headers: dict[str, str] | None = None,
    times: HttpTimes = HttpTimes(),  # noqa: B008 - immutable
    **listener_options: Any,
) -> AsyncIterator[Rig]:
    """Run a listener and a relay to one origin."""
    # nothing in a test may rest on the time-out that cuts a session which does not finish closing, unless it sets it
    relay = Relay(limits=limits or RelayLimits(close_timeout=60), clock=Clock(), rng=random.Random(1))

    def open_session(request: UpgradeRequest) -> None:
        heard = observer()
        running.heard.append(heard)
        running.targets.append(request.target)
        running.connections.append(
            relay.open(
                request,
                host=origin_host,
                port=origin_port,
                target=target,
                headers=headers or {},
                observer=heard,
                origin_filter=origin_filter,
                transcript=record,
            )
        )

    async def take_over(request: web.Request) -> web.StreamResponse:
        return listener.takeover(request)

    app = web.Application(middlewares=[make_middleware(Clock(), AccessRule())])
    app.router.add_route("*", PATH, take_over)
    app.router.add_post("/rest", echo_body)
    app.router.add_get("/rest", echo_body)
    app.router.add_get("/ws", web_socket)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    assert runner.server is not None
    http, clock = runner.server, Clock()
    listener = Listener(
        http=lambda phases: HttpProtocol(http, phases, clock=clock, linger=times.linger),
        times=times,
        is_socket_path=lambda path: path.rstrip("/") == PATH,
        upgrade=upgrade or open_session,
        clock=clock,
        **listener_options,
    )
    server = await asyncio.get_running_loop().create_server(listener, "127.0.0.1", 0, ssl=server_ssl)
    running = Rig(server.sockets[0].getsockname()[1], listener, relay)
    try:
        yield running
    finally:
        for writer in running.writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        server.close()
        await relay.stop(timeout=2)
        await listener.stop()
        await runner.cleanup()
        await eventually(lambda: listener.connections == 0, 5, "connections are left")
        await server.wait_closed()
        assert not relay.connections


@contextlib.asynccontextmanager
async def origin(handler: Callable[[ServerConnection], Awaitable[None]], **options: Any) -> AsyncIterator[int]:
    """Run a WebSocket origin; yield its port."""
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield next(iter(server.sockets)).getsockname()[1]


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def raw_origin(talk: Talk) -> AsyncIterator[int]:
    """Run a raw TCP origin; its connection is closed after ``talk``. Yields its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve_one(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def accept_raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *lines: str) -> bytes:
    """Do the origin's side of the handshake on a raw connection; return the request head."""
    head = await reader.readuntil(b"\r\n\r\n")
    key = next(line for line in head.decode().split("\r\n") if line.startswith("Sec-WebSocket-Key"))[19:]
    answer = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_key(key)}",
        *lines,
        "\r\n",
    ]
    writer.write("\r\n".join(answer).encode())
    return head


async def echo(connection: ServerConnection) -> None:
    """Send every message back."""
    with contextlib.suppress(ConnectionClosed):
        async for message in connection:
            await connection.send(message)
