"""An origin that is not ours, as far as the manager's relay of WHIP and WHEP needs one: real HTTP, made-up answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

ANSWER = "v=0\r\nan answer\r\n"


@dataclass
class WhipOrigin:
    """Answers every offer with ``status`` and ``headers``, and remembers what came."""

    status: int = 201
    headers: dict[str, str] = field(default_factory=lambda: {"Location": "/sessions/a?x=1", "ETag": '"ice-1"'})
    body: str = ANSWER
    requests: list[tuple[str, str, dict[str, str], str]] = field(default_factory=list)
    events: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    port: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer anything."""
        self.requests.append((request.method, str(request.rel_url), dict(request.headers), await request.text()))
        if request.path.endswith("/events/1"):
            stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await stream.prepare(request)
            while (event := await self.events.get()) is not None:
                await stream.write(event)
            return stream
        if request.path.endswith("/events"):
            return web.Response(status=201, headers={"Location": "/sessions/a/events/1"})
        if request.method == "POST":
            return web.Response(
                status=self.status, text=self.body, headers=self.headers, content_type="application/sdp"
            )
        return web.Response(
            status=204 if request.method == "PATCH" else 200, text="" if request.method == "PATCH" else "{}"
        )


@asynccontextmanager
async def whip_origin() -> AsyncIterator[WhipOrigin]:
    """Run one on a free port of loopback."""
    origin = WhipOrigin()
    app = web.Application()
    app.add_routes([web.route("*", "/{path:.*}", origin.handle)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    origin.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    try:
        yield origin
    finally:
        origin.events.put_nowait(None)
        await runner.cleanup()
