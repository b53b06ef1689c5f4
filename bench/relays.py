"""Relays in Python that the product is measured beside, and the product's relay without sessions and hooks.

python bench/relays.py NAME PORT ORIGIN_PORT
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from collections.abc import Callable


async def product(port: int, origin: int) -> None:
    """This project's front and relay, all checks and time-outs on, nobody told."""
    from aiohttp import web
    from smproxy.manager.listener import Listener
    from smproxy.manager.relay import Relay, RelayEnd
    from smproxy.manager.upgrade import UpgradeRequest
    from smproxy.signaling.clock import Clock

    class Nobody:
        def dialed(self) -> None: ...
        def client_message(self, *said: object) -> None: ...
        def origin_message(self, *said: object) -> None: ...
        def dial_failed(self, why: str) -> None: ...
        def ended(self, end: RelayEnd) -> None: ...

    relay, observer = Relay(clock=Clock(), rng=random.Random(1)), Nobody()

    def open_session(request: UpgradeRequest) -> None:
        relay.open(request, host="127.0.0.1", port=origin, target="/live/?id=s", headers={}, observer=observer)

    async def nothing(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=404)

    server_protocol = web.Server(nothing)
    listener = Listener(
        http=lambda connection: server_protocol(),
        is_socket_path=lambda path: path.rstrip("/") == "/streammanager",
        upgrade=open_session,
        clock=Clock(),
        max_connections=20_000,
    )
    server = await asyncio.get_running_loop().create_server(listener, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


async def websockets_relay(port: int, origin: int) -> None:
    """The obvious way: receive a message here, send it there."""
    from websockets.asyncio.client import ClientConnection, connect
    from websockets.asyncio.server import ServerConnection, serve
    from websockets.exceptions import ConnectionClosed

    async def pump(source: ClientConnection | ServerConnection, sink: ClientConnection | ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in source:
                await sink.send(message)
        await sink.close()

    async def handler(client: ServerConnection) -> None:
        async with connect(f"ws://127.0.0.1:{origin}/live/?id=s", compression=None) as upstream:
            await asyncio.gather(pump(client, upstream), pump(upstream, client))

    async with serve(handler, "127.0.0.1", port, compression=None) as server:
        await server.serve_forever()


async def aiohttp_relay(port: int, origin: int) -> None:
    """The same with aiohttp's server and client, whose parser is C."""
    from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, WSMsgType, web

    async def pump(source: web.WebSocketResponse | ClientWebSocketResponse, sink: object) -> None:
        async for message in source:
            if message.type is WSMsgType.TEXT:
                await sink.send_str(message.data)  # type: ignore[attr-defined]
        await sink.close()  # type: ignore[attr-defined]

    async with ClientSession(connector=TCPConnector(limit=0)) as session:

        async def handler(request: web.Request) -> web.WebSocketResponse:
            client = web.WebSocketResponse(compress=False)
            await client.prepare(request)
            async with session.ws_connect(f"http://127.0.0.1:{origin}/live/?id=s") as upstream:
                await asyncio.gather(pump(client, upstream), pump(upstream, client))
            return client

        application = web.Application()
        application.router.add_get("/{path:.*}", handler)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
        await asyncio.Event().wait()


class Splice(asyncio.Protocol):
    """One leg of the simplest relay: no checks, no backpressure, one way to end."""

    def data_received(self, data: bytes) -> None:
        self.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the other leg, once it is there."""


class Splicer(Splice):
    """A client's leg that dials when it is there."""

    def __init__(self, origin: int) -> None:
        self.origin = origin
        self.held: list[bytes] = []
        self.write: Callable[[bytes], object] = self.held.append

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.task = asyncio.get_running_loop().create_task(self.dial())

    async def dial(self) -> None:
        """Connect the two legs."""
        transport, leg = await asyncio.get_running_loop().create_connection(Splice, "127.0.0.1", self.origin)
        leg.write, leg.close = self.transport.write, self.transport.close  # type: ignore[attr-defined]
        self.write, self.close = transport.write, transport.close
        self.write(b"".join(self.held))


async def splice(port: int, origin: int) -> None:
    """Bytes in, bytes out, unseen: what Python and uvloop allow at best."""
    server = await asyncio.get_running_loop().create_server(lambda: Splicer(origin), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


RELAYS = {"product": product, "websockets": websockets_relay, "aiohttp": aiohttp_relay, "splice": splice}


if __name__ == "__main__":
    import uvloop

    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(RELAYS[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3])))
