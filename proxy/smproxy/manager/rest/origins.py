"""``/api/v1/origins``: the registered origins and what they carry."""

from __future__ import annotations

from aiohttp import web

from smproxy.manager.history import History
from smproxy.manager.origin_registry import Node, OriginRegistry
from smproxy.manager.rest.errors import json_response
from smproxy.manager.rest.query import Parameters
from smproxy.manager.views import OriginList, OriginView

ORIGINS = "/api/v1/origins"


class OriginRoutes:
    """The route of the origins."""

    def __init__(self, registry: OriginRegistry, history: History) -> None:
        self._registry = registry
        self._history = history

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get(ORIGINS, self.list)]

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List the origins, in the order of their registration."""
        Parameters(request.query, ())
        return json_response(self.current())

    def current(self) -> OriginList:
        """Return the origins as they are now."""
        return OriginList(origins=[self._view(node) for node in self._registry.nodes])

    def _view(self, node: Node) -> OriginView:
        """Count from the sessions, which also know of an origin that does not report its load."""
        attempts = [(each, each.attempt.node) for each in self._history.living() if each.attempt is not None]
        return OriginView(
            address=node.address,
            host=node.host,
            port=node.port,
            region=node.region,
            publishers=sum(session.publishing for session, of in attempts if of is node),
            subscribers=sum(session.watching for session, of in attempts if of is node),
            sessions=node.sessions,
        )
