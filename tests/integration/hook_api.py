"""The hooks API, metrics and webhook socket of one dispatcher, served at a free port without the rest of the simulator."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from smproxy.faults import FaultRegistry
from smproxy.hooks.broadcast import HookBroadcast
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.journal import FILE_NAME, Journal
from smproxy.hooks.sinks.uris import parse_hook_uri
from smproxy.hooks.trigger import Trigger
from smproxy.manager.access import AccessRule
from smproxy.manager.rest.client_limit import ClientLimit
from smproxy.manager.rest.errors import make_middleware
from smproxy.manager.rest.hooks import HookRoutes
from smproxy.manager.rest.metrics import Metrics
from smproxy.manager.rest.sinks import SinkRoutes
from smproxy.manager.rest.webhook_socket import webhook_socket
from smproxy.manager.services import Services
from smproxy.manager.settings import ManagerSettings
from smproxy.signaling.clock import Clock

from tests.hooks_support import QUICK


@dataclass
class HookApi:
    """A client of it, and what is behind it."""

    http: aiohttp.ClientSession
    url: str
    dispatcher: HookDispatcher
    broadcast: HookBroadcast
    sockets: ClientLimit

    @property
    def journal(self) -> Journal:
        assert self.dispatcher.journal is not None
        return self.dispatcher.journal

    @property
    def socket_url(self) -> str:
        return self.url.replace("http", "ws") + "/live/webhook"

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Return the status and the JSON of an answer."""
        async with self.http.request(method, f"{self.url}/api/v1/hooks{path}", **options) as response:
            assert response.content_type == "application/json"
            return response.status, await response.json()

    async def get(self, path: str = "", **query: Any) -> Any:
        """Return the JSON of a GET that succeeds."""
        status, answer = await self.call("GET", path, params={key: str(value) for key, value in query.items()})
        assert status == 200, answer
        return answer


@asynccontextmanager
async def hook_api(
    data_dir: Path | None = None, *, sinks: Sequence[str] = (), token: str | None = None, port: int = 0
) -> AsyncIterator[HookApi]:
    """Serve; ``data_dir`` ``None``: the journal is in memory."""
    clock, rng = Clock(), random.Random()
    journal = await Journal.start(None if data_dir is None else data_dir / FILE_NAME, clock=clock)
    broadcast, sockets = HookBroadcast(), ClientLimit("listeners on the webhook socket")
    dispatcher = await HookDispatcher.start(
        [parse_hook_uri(uri) for uri in sinks],
        clock=clock, rng=rng, profile=QUICK, listeners=[broadcast], journal=journal,
    )  # fmt: skip
    trigger = Trigger(dispatcher, rng=rng)
    services = Services(
        ManagerSettings(),
        dispatcher=dispatcher,
        broadcast=broadcast,
        clock=clock,
        rng=rng,
        faults=FaultRegistry(clock=clock, rng=rng),
    )
    app = web.Application(middlewares=[make_middleware(clock, AccessRule(token))])
    app.add_routes(SinkRoutes(dispatcher, clock=clock).routes())
    app.add_routes(HookRoutes(dispatcher, trigger).routes())
    app.router.add_get("/metrics", Metrics(services, sockets).show)
    app.add_routes([web.get("/{app:.+}/webhook", webhook_socket(broadcast, journal, places=sockets))])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        async with aiohttp.ClientSession() as http:
            yield HookApi(http, f"http://127.0.0.1:{runner.addresses[0][1]}", dispatcher, broadcast, sockets)
    finally:
        await broadcast.close()
        await runner.cleanup()
        await dispatcher.stop(0.0)
        await journal.stop()
