"""``/as/v1/admin``: node groups, clients of the proxy, and what is not simulated.

Source: Red5, Stream Manager 2.0, Admin and Proxy services.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from smproxy.manager.access import parameter
from smproxy.manager.attempt import Attempt
from smproxy.manager.origin_registry import Node, OriginRegistry
from smproxy.manager.rest.as_v1.group import GROUP, check_group, flag
from smproxy.manager.rest.as_v1.login import Login
from smproxy.manager.rest.errors import ApiError, json_response
from smproxy.manager.sessions import Sessions
from smproxy.signaling.clock import Clock
from smproxy.signaling.payloads import Role

ADMIN = "/as/v1/admin"

_NOT_HERE = (
    "{path} is not simulated: this stream manager runs on one machine, with one node group, and makes no nodes, "
    "images or mixers."
)


class AdminRoutes:
    """The administration routes of Stream Manager 2.0."""

    def __init__(self, registry: OriginRegistry, sessions: Sessions, login: Login, *, clock: Clock) -> None:
        self._registry = registry
        self._sessions = sessions
        self._login = login
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Return the routes; the last ones answer whatever is left."""
        return [
            web.get(f"{ADMIN}/nodegroup", self.groups),
            web.get(ADMIN + "/nodegroup/status/{group}", self.status),
            web.get(f"{ADMIN}/rtcproxy", self.clients),
            web.delete(ADMIN + "/rtcproxy/{id:.+}", self.end),
            *(
                web.route(method, path, self.not_here)
                for path in (ADMIN + "/{rest:.+}", "/as/v1/streams/mixer/{rest:.+}")
                for method in ("GET", "POST", "PUT", "DELETE")
            ),
        ]

    async def groups(self, request: web.Request) -> web.StreamResponse:
        """List the names of the node groups."""
        self._login.require(request)
        return json_response([GROUP])

    async def status(self, request: web.Request) -> web.StreamResponse:
        """Return the nodes of a group."""
        self._login.require(request)
        check_group(request)
        wanted = {name: (parameter(request, name) or "").lower() for name in ("subGroup", "role", "state")}
        parts = {
            "nodeEvent": self._node_event if flag(request, "includeNode", True) else None,
            "scalingEvent": _scaling_event if flag(request, "includeScaling", True) else None,
        }
        return json_response(
            [
                {part: view(node) for part, view in parts.items() if view is not None}
                for node in self._registry.nodes
                if wanted["role"] in ("", node.role)
                and wanted["state"] in ("", node.state.lower())
                and wanted["subGroup"] in ("", node.region.lower())
            ]
        )

    async def clients(self, request: web.Request) -> web.StreamResponse:
        """List the clients of the proxy, by a key for each."""
        self._login.require(request)
        return json_response({f"NodeKey|{each.token}": self._client(each) for each in self._connected()})

    async def end(self, request: web.Request) -> web.StreamResponse:
        """End one client by its session, or all of a stream by its guid."""
        self._login.require(request)
        asked = request.match_info["id"].strip("/")
        found = [each for each in self._connected() if asked in (each.token, str(each.session), self._guid(each))]
        if not found:
            raise ApiError(404, f"There is no client {asked[:100]!r}, neither by its session nor by its stream.")
        for attempt in found:
            self._sessions.kick(attempt)
        return web.Response()

    async def not_here(self, request: web.Request) -> web.StreamResponse:
        """Answer what a local simulator cannot mean."""
        self._login.require(request)
        raise ApiError(501, _NOT_HERE.format(path=request.path[:200]))

    def _connected(self) -> list[Attempt]:
        return [each for each in self._sessions.attempts if self._sessions.find(each.session) is not None]

    def _guid(self, attempt: Attempt) -> str:
        session = self._sessions.find(attempt.session)
        name = attempt.params.id
        if session is not None:
            name = session.life.peer if session.role is Role.PUBLISHER else session.watched or name
        return f"{attempt.params.scope}/{name}"

    def _client(self, attempt: Attempt) -> dict[str, Any]:
        return {
            "streamGuid": self._guid(attempt),
            "status": "CONNECTED",
            "sessionId": attempt.token,
            "timestamp": attempt.client.since_ms,
        }

    def _node_event(self, node: Node) -> dict[str, Any]:
        clients = [each for each in self._connected() if each.node is node]
        subscribers = sum(each.role is Role.SUBSCRIBER for each in clients)
        return {
            "nodeId": node.id,
            "nodeRoleName": node.role,
            "subGroupName": node.region,
            "privateIp": node.host,
            "publicIp": node.address,
            "publisherCount": len(clients) - subscribers,
            "subscriberCount": subscribers,
            "clientCount": len(clients),
            "restreamerCount": 0,
            "postProcessorCount": 0,
            "parents": [],
            "timestamp": self._clock.wall_ms(),
            "metrics": {},
        }


def _scaling_event(node: Node) -> dict[str, Any]:
    return {"nodeId": node.id, "state": node.state}
