"""``/api/v1/shared-objects``: the shared objects of all origins."""

from __future__ import annotations

import msgspec
from aiohttp import web

from smproxy.manager.history import History
from smproxy.manager.origin_registry import Node, OriginRegistry
from smproxy.manager.rest.errors import json_response
from smproxy.manager.rest.query import Parameters
from smproxy.manager.views import SharedObjectList, SharedObjectView
from smproxy.signaling.node_channel import SharedObjectState

SHARED_OBJECTS = "/api/v1/shared-objects"


class SharedObjectRoutes:
    """The route of the shared objects."""

    def __init__(self, registry: OriginRegistry, history: History) -> None:
        self._registry = registry
        self._history = history

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get(SHARED_OBJECTS, self.list)]

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List the shared objects, origin by origin, the oldest first."""
        Parameters(request.query, ())
        numbers = {each.attempt.token: each.number for each in self._history.living() if each.attempt is not None}
        listed = [node for node in self._registry.nodes if node.shared_objects is not None]
        # Nodes that share have the same objects: the first one's stand for all.
        first = next((node for node in listed if node.shares), None)
        views = [
            _view(node, state, numbers)
            for node in listed
            if not node.shares or node is first
            for state in (node.shared_objects or list)()
        ]
        return json_response(SharedObjectList(shared_objects=views))


def _view(node: Node, state: SharedObjectState, numbers: dict[str, int]) -> SharedObjectView:
    return SharedObjectView(
        name=state.name,
        scope=state.scope,
        customer_scope=state.customer_scope or None,
        origin=node.address,
        version=state.version,
        members=[numbers[attempt] for attempt in state.members if attempt in numbers],
        properties={key: msgspec.json.decode(value) for key, value in state.properties.items()},
    )
