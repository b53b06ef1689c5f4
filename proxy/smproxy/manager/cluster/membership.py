"""The manager's part in a cluster: links to origins, routes for nodes, answers over all."""

from __future__ import annotations

import asyncio
import hmac
import re

import aiohttp
from aiohttp import web

from smproxy.cluster.node import ClusterNode
from smproxy.cluster.records import NODE_ID, NodeLife, NodeRecord
from smproxy.manager.cluster.gather import Gather
from smproxy.manager.cluster.origin_channels import OriginChannels
from smproxy.manager.cluster.origin_link import OriginLink
from smproxy.manager.cluster.paths import CHANNEL, CONTACT, KEY_HEADER
from smproxy.manager.cluster.peers import Peers
from smproxy.manager.origin_registry import OriginRegistry
from smproxy.manager.rest.errors import ApiError
from smproxy.manager.sessions import Sessions

_INCARNATION = re.compile(r"[0-9a-f]{12}")


class ClusterMembership:
    """Connects one manager with the nodes of its cluster; ended by :meth:`stop`."""

    def __init__(self, key: str, contact_timeout: float, channels: OriginChannels, *, manages: bool) -> None:
        self._key = key
        self._http = aiohttp.ClientSession()
        self.peers = Peers(self._http, contact_timeout)
        self._channels = channels
        self._manages = manages
        self._node: ClusterNode | None = None
        self._registry: OriginRegistry | None = None
        self._sessions: Sessions | None = None
        self._links: dict[NodeLife, OriginLink] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        self.handle = Gather(self.peers, self.others, key).handle

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
        return [web.get(CHANNEL, self._channel), web.get(CONTACT, self._contact)]

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

    async def close(self) -> None:
        """Close the node channels of other managers."""
        await self._channels.close()

    async def stop(self) -> None:
        """Close every connection."""
        for link in self._links.values():
            await link.stop()
        self._links.clear()
        await asyncio.gather(*self._stopping, return_exceptions=True)
        await self._http.close()
