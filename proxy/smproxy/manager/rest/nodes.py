"""``/api/v1/nodes``: the nodes and what they carry; adds and changes simulated ones."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from aiohttp import web

from smproxy.manager.history import History
from smproxy.manager.node_provider import NodeAction, NodeActionError, NodeProvider
from smproxy.manager.origin_registry import Node, OriginRegistry
from smproxy.manager.rest.errors import ApiError, json_response, read_json
from smproxy.manager.rest.query import Parameters
from smproxy.manager.views import NodeList, NodeView
from smproxy.signaling.node_channel import Drain

NODES = "/api/v1/nodes"

#: The longest that a change may take, in seconds.
MAX_SECONDS = 86_400.0


class _Added(msgspec.Struct, forbid_unknown_fields=True):
    region: str | None = None
    role: str = "origin"
    start: float | None = None


class NodeRoutes:
    """The routes of the nodes. ``provider`` gives what can change them, if anything can."""

    def __init__(self, registry: OriginRegistry, history: History, provider: Callable[[], NodeProvider | None]) -> None:
        self._registry = registry
        self._history = history
        self._provider = provider

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(NODES, self.list),
            web.post(NODES, self.add),
            web.get(NODES + "/{id}", self.show),
            web.delete(NODES + "/{id}", self.remove),
            web.post(f"{NODES}/{{id}}/{{action:{'|'.join(NodeAction)}}}", self.act),
        ]

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List the nodes, the oldest first; those that have terminated come last."""
        Parameters(request.query, ())
        return json_response(self.current())

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show one node."""
        Parameters(request.query, ())
        return json_response(self._view(self._find(request)))

    async def add(self, request: web.Request) -> web.StreamResponse:
        """Add a node."""
        Parameters(request.query, ())
        form = '{"region": …, "role": …, "start": SECONDS}'
        asked = await read_json(request, _Added, form) if await request.read() else _Added()
        if asked.start is not None and not 0 <= asked.start <= MAX_SECONDS:
            raise ApiError(400, f"start={asked.start:g} is not a number of seconds from 0 to {MAX_SECONDS:g}.")
        provider = self._provider()
        if provider is None:
            raise ApiError(409, "No node can be added: start the stream manager with --nodes N.")
        try:
            node = provider.add(region=asked.region, role=asked.role, start=asked.start)
        except NodeActionError as error:
            raise ApiError(400, f"Not added: {error}.") from None
        return json_response(self._view(node), status=201)

    async def act(self, request: web.Request) -> web.StreamResponse:
        """Change a node."""
        parameters = Parameters(request.query, ("seconds",))
        seconds = None
        if parameters.text("seconds") is not None:
            seconds = parameters.seconds("seconds", 0.0, most=MAX_SECONDS)
        return self._act(self._find(request), NodeAction(request.match_info["action"]), seconds)

    async def remove(self, request: web.Request) -> web.StreamResponse:
        """End a node, with its sessions."""
        Parameters(request.query, ())
        return self._act(self._find(request), NodeAction.SUNSET, 0.0)

    def current(self) -> NodeList:
        """Return the nodes as they are now."""
        provider = self._provider()
        ended = [] if provider is None else provider.ended
        return NodeList(nodes=[self._view(node) for node in (*self._registry.nodes, *ended)])

    def _act(self, node: Node, action: NodeAction, seconds: float | None) -> web.StreamResponse:
        provider = self._provider()
        if provider is None and action in (NodeAction.DRAIN, NodeAction.UNDRAIN):
            node.draining = action is NodeAction.DRAIN
            if node.command is not None:
                node.command(Drain(node.draining))
            return json_response(self._view(node))
        if provider is None:
            raise ApiError(409, f"{node.id} cannot be changed so: start the stream manager with --nodes N.")
        try:
            provider.act(node, action, seconds)
        except NodeActionError as error:
            raise ApiError(409, f"Not changed: {error}.") from None
        return json_response(self._view(node))

    def _find(self, request: web.Request) -> Node:
        id = request.match_info["id"]
        provider = self._provider()
        nodes = [*self._registry.nodes, *([] if provider is None else provider.ended)]
        for node in nodes:
            if id in (node.id, node.address):
                return node
        known = ", ".join(node.id for node in nodes) or "none"
        raise ApiError(404, f"There is no node {id[:100]!r}: those are {known}.")

    def _view(self, node: Node) -> NodeView:
        """Count from the sessions, which also know of a node that does not report its load."""
        attempts = [(each, each.attempt.node) for each in self._history.living() if each.attempt is not None]
        return NodeView(
            id=node.id,
            address=node.address,
            host=node.host,
            port=node.port,
            region=node.region,
            role="edge" if node.role == "edge" else "origin",
            state=node.state,
            publishers=sum(session.publishing for session, of in attempts if of is node),
            subscribers=sum(session.watching for session, of in attempts if of is node),
            sessions=node.sessions,
            pulls=node.load.pulls,
            simulated=self._provider() is not None,
        )
