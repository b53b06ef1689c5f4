"""``/api/v1/ice-servers``: the STUN and TURN servers that clients are to use."""

from __future__ import annotations

from aiohttp import web

from smproxy.manager.rest.errors import json_response
from smproxy.manager.rest.query import Parameters
from smproxy.manager.views import IceServerList, IceServerView
from smproxy.signaling.whip import IceServer


class IceServerRoutes:
    """The route of the ICE servers; WHIP and WHEP name the same ones in ``Link`` headers."""

    def __init__(self, servers: tuple[IceServer, ...]) -> None:
        self._list = IceServerList([IceServerView(each.url, each.username, each.credential) for each in servers])

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get("/api/v1/ice-servers", self.list)]

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List them, as an ``RTCConfiguration`` has them."""
        Parameters(request.query, ())
        return json_response(self._list)
