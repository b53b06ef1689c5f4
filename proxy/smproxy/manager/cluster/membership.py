"""The manager's part in a cluster: links to origins, routes for nodes, answers over all."""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
from aiohttp import web
from prometheus_client.core import Metric

from smproxy.cluster.node import ClusterNode
from smproxy.cluster.records import NODE_ID, NodeLife, NodeRecord
from smproxy.manager.cluster.capture_channel import open_capture, serve_capture
from smproxy.manager.cluster.feeds import NodeFeed
from smproxy.manager.cluster.gather import Gather
from smproxy.manager.cluster.metrics import cluster_metrics, scrape_targets
from smproxy.manager.cluster.origin_channels import OriginChannels
from smproxy.manager.cluster.origin_link import OriginLink
from smproxy.manager.cluster.paths import CAPTURE, CHANNEL, CONTACT, KEY_HEADER, PULL
from smproxy.manager.cluster.peers import Peers
from smproxy.manager.cluster.pull_channel import PullChannels, PullSocket, pull_from
from smproxy.manager.cluster.whip_forward import WhipForward
from smproxy.manager.origin_registry import Capture, OriginRegistry
from smproxy.manager.rest.errors import ApiError
from smproxy.manager.sessions import Sessions

_INCARNATION = re.compile(r"[0-9a-f]{12}")


class ClusterMembership:
    """Connects one manager with the nodes of its cluster; ended by :meth:`stop`."""

    def __init__(self, key: str, contact_timeout: float, channels: OriginChannels, *, manages: bool) -> None:
        self._key = key
        self._http = http = aiohttp.ClientSession()
        #: The streams of this node's origin, on their way to other nodes.
        self.pulled = PullChannels()
        #: The packets of the sessions at this node's origin.
        self.captures: Capture | None = None
        self.peers = Peers(http, contact_timeout)
        self._channels = channels
        self._manages = manages
        self._node: ClusterNode | None = None
        self._registry: OriginRegistry | None = None
        self._sessions: Sessions | None = None
        self._links: dict[NodeLife, OriginLink] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        self._gather = Gather(self.peers, self.others, key, lambda: "" if self._node is None else self._node.name)
        self._whip = WhipForward(http, self._other_managers)

    def begin(self, node: ClusterNode, registry: OriginRegistry, sessions: Sessions) -> None:
        """Take part, from the moment on that the node is made."""
        self._node, self._registry, self._sessions = node, registry, sessions
        registry.owner_of = self._owner_of
        sessions.may_act = node.may_act

    def _owner_of(self, scope: str, name: str) -> str | None:
        owner = self._node.directory.owner(scope, name) if self._node is not None else None
        return None if owner is None else owner.life.node

    def others(self) -> list[NodeRecord]:
        """Return the other nodes that are alive."""
        node = self._node
        return [] if node is None else [each for each in node.directory.nodes() if each.life.node != node.name]

    def _other_managers(self) -> list[NodeRecord]:
        return [each for each in self.others() if "manager" in each.roles]

    async def handle(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Respond to a request, for which other nodes may be needed."""
        if self._whip.is_for(request) and not self.accepts(request):
            return await self._whip.handle(request, handler)
        return await self._gather.handle(request, handler)

    def feed(self) -> NodeFeed | None:
        """Return the feed of all nodes, for one listener; ``None`` before this one has joined."""
        return None if self._node is None else NodeFeed(self._node.name, self._http, self.others)

    def metrics(self) -> Iterator[Metric]:
        """Return the metrics of the cluster."""
        if self._node is not None:
            yield from cluster_metrics(self._node)

    def capture(
        self, node: str, attempt: str, seconds: float
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes] | None] | None:
        """Return the packets of an attempt at another node; ``None``: there is no such node."""
        record = next((each for each in self.others() if each.life.node == node), None)
        return None if record is None else open_capture(self._http, record, attempt, seconds)

    def scrape_targets(self) -> list[dict[str, Any]]:
        """Return where the metrics of each node are."""
        return [] if self._node is None else scrape_targets(self._node.directory.nodes())

    def nodes_changed(self) -> None:
        """Connect to new origins, and give up those that are gone."""
        if self._registry is None or self._sessions is None or self._node is None:
            return
        alive = {record.life: record for record in self.others()}
        for life in self._channels.managers:
            if life not in alive:
                self._channels.gone(life)
        if not self._manages:
            return
        for life, link in list(self._links.items()):
            if life in alive:
                link.update(alive[life])
            else:
                del self._links[life]
                task = asyncio.create_task(link.stop())
                self._stopping.add(task)
                task.add_done_callback(self._stopping.discard)
        for life, record in alive.items():
            if record.origin is not None and life not in self._links:
                self._links[life] = OriginLink.start(record, self._me, self._http, self._registry, self._sessions)

    def _me(self) -> NodeLife | None:
        return None if self._node is None else self._node.registration.life

    def routes(self) -> list[web.RouteDef]:
        """Return the routes for other nodes, which show this node's key."""
        return [
            web.get(CHANNEL, self._channel),
            web.get(CONTACT, self._contact),
            web.get(PULL, self._pull),
            web.get(CAPTURE, self._capture),
        ]

    def accepts(self, request: web.BaseRequest) -> bool:
        """Whether a request comes from a node of the cluster."""
        return hmac.compare_digest(request.headers.get(KEY_HEADER, "").encode(), self._key.encode())

    def _check(self, request: web.Request) -> None:
        if not self.accepts(request):
            raise ApiError(403, "Only nodes of this cluster may ask this.")

    async def _contact(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        has = self._node is not None and self._node.standing.settled()
        return web.Response(text="yes" if has else "no")

    async def _channel(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        node, incarnation = request.query.get("node", ""), request.query.get("incarnation", "")
        if not NODE_ID.fullmatch(node) or not _INCARNATION.fullmatch(incarnation):
            raise ApiError(400, "node and incarnation must name a life of a node.")
        return await self._channels.serve(request, NodeLife(node, incarnation))

    async def _pull(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        return await self.pulled.serve(request)

    async def _capture(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        return await serve_capture(request, self.captures)

    def owner(self, scope: str, name: str) -> NodeRecord | None:
        """Return the other node that has a stream."""
        owner = self._node.directory.owner(scope, name) if self._node is not None else None
        return None if owner is None or self._node is None or owner.life.node == self._node.name else owner

    def connect(self, scope: str, name: str) -> AbstractAsyncContextManager[PullSocket]:
        """Connect to the owner of a stream, to pull it.

        Raises:
            ConnectionError: no other node has it.
        """
        owner = self.owner(scope, name)
        if owner is None:
            raise ConnectionError("no other node has it")
        return pull_from(self._http, owner, scope, name)

    async def close(self) -> None:
        """Close the connections that other nodes have here."""
        await self._channels.close()
        await self.pulled.close()

    async def stop(self) -> None:
        """Close every connection."""
        for link in self._links.values():
            await link.stop()
        self._links.clear()
        await asyncio.gather(*self._stopping, return_exceptions=True)
        await self._http.close()
