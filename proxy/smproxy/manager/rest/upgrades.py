"""WebSocket upgrades on a connection that has served HTTP before.

Browsers keep their connections alive.
"""

from __future__ import annotations

from aiohttp import web
from aiohttp.web_request import Request
from aiohttp.web_urldispatcher import DynamicResource, UrlMappingMatchInfo

from smproxy.signaling.socket_endpoints import is_socket_path


class UpgradeResource(DynamicResource):
    """Match WebSocket upgrades on every path for signaling, and nothing else.

    No other route is hidden by it.
    """

    def __init__(self, route: web.RouteDef) -> None:
        super().__init__(route.path)
        self.add_route(route.method, route.handler)

    async def resolve(self, request: Request) -> tuple[UrlMappingMatchInfo | None, set[str]]:
        """Match a request."""
        if request.headers.get("Upgrade", "").lower() != "websocket" or not is_socket_path(request.rel_url.raw_path):
            return None, set()
        return await super().resolve(request)
