"""What a cluster adds to a manager's HTTP interface."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

if TYPE_CHECKING:
    from prometheus_client.core import Metric

#: Takes what is to be sent to a client.
Send = Callable[[bytes], Awaitable[None]]


class FeedOfNodes(Protocol):
    """The feed of this node for one listener, with those of other nodes."""

    def own(self, data: bytes) -> bytes:
        """Return what the listener is sent for a frame of this node."""

    def others(self, send: Send) -> AbstractAsyncContextManager[None]:
        """Send what other nodes have, while the context lasts."""


class NodeExtension(Protocol):
    """What a cluster adds to a manager's HTTP interface."""

    def routes(self) -> list[web.RouteDef]:
        """Return the routes for other nodes, which check by themselves who asks."""

    def accepts(self, request: web.BaseRequest) -> bool:
        """Return whether a request comes from another node."""

    async def handle(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Respond to a request, which other nodes may have to answer, too."""

    def feed(self) -> FeedOfNodes | None:
        """Return the feed of all nodes, for one listener; ``None`` while this node is alone."""

    def metrics(self) -> Iterator[Metric]:
        """Return the metrics of the cluster."""

    def capture(
        self, node: str, attempt: str, seconds: float
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes] | None] | None:
        """Return the packets of an attempt at another node; ``None``: there is no such node.

        Opening them raises ``ConnectionError`` when the node does not answer, and gives ``None`` when it has none.
        """

    def scrape_targets(self) -> list[dict[str, Any]]:
        """Return where the metrics of each node are, as Prometheus' HTTP service discovery has it."""

    async def close(self) -> None:
        """Close the connections that other nodes have here."""


def make_extension_middleware(extension: NodeExtension) -> Middleware:
    """Return the middleware that gives an extension every request."""

    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        return await extension.handle(request, handler)

    return middleware
