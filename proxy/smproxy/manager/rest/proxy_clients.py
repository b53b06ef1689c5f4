"""``…/admin/proxy/clients``: the proxied connections, to look at and to end.

Source: Red5, Stream Manager REST API 3.1 and 4.0, proxy administration. A connection whose client has moved to its data
channel has neither half left but is listed while its session lives, so that it can be ended too.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from smproxy.manager.attempt import Attempt
from smproxy.manager.rest.errors import ApiError, json_response
from smproxy.manager.rest.event import API
from smproxy.manager.sessions import Sessions
from smproxy.signaling.clock import Clock

CLIENTS = API + "/admin/proxy/clients"


class ProxyClientRoutes:
    """The proxy administration routes of the stream manager API."""

    def __init__(self, sessions: Sessions, *, clock: Clock) -> None:
        self._sessions = sessions
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(CLIENTS, self.list),
            web.delete(CLIENTS, self.end_all),
            web.get(CLIENTS + "/{id}", self.show),
            web.delete(CLIENTS + "/{id}", self.end),
        ]

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List or count the connections."""
        chosen = request.query.get("filter", "any")
        if chosen not in {"any", "healthy", "unhealthy"}:
            raise ApiError(400, f"filter={chosen!r} is none of any, healthy, unhealthy.")
        clients = [client for client in map(_client, self._sessions.attempts) if _matches(client, chosen)]
        if request.query.get("count", "false").lower() == "true":
            return json_response({"count": len(clients), "timestamp": self._clock.wall_ms()})
        return json_response(clients)

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show one connection."""
        return json_response(_client(self._find(request)))

    async def end(self, request: web.Request) -> web.StreamResponse:
        """End one connection and its session."""
        self._sessions.kick(self._find(request))
        return web.Response()

    async def end_all(self, request: web.Request) -> web.StreamResponse:
        """End all connections and their sessions."""
        for attempt in self._sessions.attempts:
            self._sessions.kick(attempt)
        return web.Response()

    def _find(self, request: web.Request) -> Attempt:
        attempt = self._sessions.attempt(request.match_info["id"])
        if attempt is None:
            raise ApiError(404, f"No proxy client {request.match_info['id']}")
        return attempt


def _matches(client: dict[str, Any], chosen: str) -> bool:
    halves = client["clientConnected"] + client["proxyConnected"]
    return chosen == "any" or halves == (2 if chosen == "healthy" else 1)


def _client(attempt: Attempt) -> dict[str, Any]:
    relay = attempt.relay
    return {
        "id": attempt.token,
        "targetHost": attempt.node.address,
        "targetPort": attempt.node.port,
        "targetApp": attempt.params.app,
        "clientConnected": relay is not None and relay.client_connected,
        "proxyConnected": relay is not None and relay.origin_connected,
        "clientUserAgent": attempt.client.user_agent,
        "clientAddress": attempt.client.remote_ip,
        "secureClient": attempt.client.secure,
        "creationTime": attempt.client.since_ms,
    }
