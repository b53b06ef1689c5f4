"""``GET /api/v1/feed``: what happens, as server-sent events. The dashboard is made of it.

First ``hello``, then every session in ``sessions``, then ``ready``; from then on ``sessions`` (those that changed), ``hook``,
``delivery``, ``stats``, and, when they change, ``origins``, ``nodes``, ``sinks`` and ``faults``. In a cluster also ``cluster``,
and of each other node ``node``, its sessions, ``ready``, and what happens there. Whoever comes back gets the same again, so
nothing has to be remembered between two connections: a ``Last-Event-ID`` is not needed.
"""

from __future__ import annotations

import contextlib

from aiohttp import web

from smproxy.manager.aiohttp_protocol import until_client_leaves
from smproxy.manager.dashboard_events import DashboardEvents
from smproxy.manager.node_extension import FeedOfNodes, NodeExtension
from smproxy.manager.rest.client_limit import ClientLimit
from smproxy.manager.rest.query import Parameters

FEED = "/api/v1/feed"

#: Seconds of silence after which a comment says that the connection lives.
HEARTBEAT = 15.0

#: Milliseconds after which an ``EventSource`` comes back.
_RETRY = b"retry: 1000\n\n"


class FeedRoutes:
    """The route of the feed."""

    def __init__(
        self, events: DashboardEvents, extension: NodeExtension | None = None, *, heartbeat: float = HEARTBEAT
    ) -> None:
        self._events = events
        self._extension = extension
        self._places = ClientLimit("dashboards")
        self._heartbeat = heartbeat

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get(FEED, self.follow, allow_head=False)]

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """Send events until the listener leaves, is too slow, or the manager stops."""
        Parameters(request.query, ())
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )

        feed: FeedOfNodes | None = None
        if self._extension is not None and not self._extension.accepts(request):  # another node wants this one's only
            feed = self._extension.feed()

        def hang_up() -> None:
            if request.transport is not None:
                request.transport.abort()  # who does not read would otherwise keep the connection

        with (
            self._places.take(),
            contextlib.suppress(ConnectionError),
            until_client_leaves(request),
            self._events.listen(hang_up) as listener,
        ):
            # Listening began before: what happens while the past is sent comes after it, and twice is no harm.
            await response.prepare(request)
            await response.write(_RETRY)
            async with contextlib.aclosing(self._events.past()) as past:
                async for data in past:
                    await response.write(data if feed is None else feed.own(data))
            async with contextlib.nullcontext() if feed is None else feed.others(response.write):
                while (frames := await listener.batch(self._heartbeat)) is not None:
                    sent = frames if feed is None else map(feed.own, frames)
                    await response.write(b"".join(sent) or b": still here\n\n")
        return response
