"""Lists that a standalone server has: ``/live/streams.jsp`` and ``/cluster``.

Source: the sample pages of Red5 Pro servers.
"""

from __future__ import annotations

from aiohttp import web

from smproxy.manager.rest.errors import json_response
from smproxy.manager.sessions import Sessions


class ServerListRoutes:
    """The lists of a standalone server."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/{scope:.+}/streams.jsp", self.streams), web.get("/cluster", self.cluster)]

    async def streams(self, request: web.Request) -> web.StreamResponse:
        """List the names of the live streams of a scope."""
        scope = request.match_info["scope"].strip("/")
        live = [each.life for each in self._sessions.publishing()]
        return json_response([{"name": life.peer} for life in live if life.scope == scope])

    async def cluster(self, request: web.Request) -> web.StreamResponse:
        """Name the server of the cluster to watch at, as text: this one, as its client knows it."""
        port = request.url.port
        return web.Response(text=f"{request.url.raw_host}:{port}", content_type="text/plain")
