"""WebSocket upgrades on a connection that has served HTTP before, as proxies keep it."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from smproxy.manager.aiohttp_protocol import begun
from smproxy.signaling.socket_endpoints import is_socket_path


def make_upgrade_middleware(takeover: Callable[[web.BaseRequest], web.StreamResponse]) -> Middleware:
    """Make the middleware that has upgrades on paths for signaling taken over.

    No route can do that: which one of several matches a path is the router's choice.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket" and is_socket_path(request.rel_url.raw_path):
            begun(request)
            return takeover(request)
        return await handler(request)

    return middleware
