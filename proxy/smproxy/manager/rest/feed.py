"""``GET /api/v1/feed``: what happens, as server-sent events. The dashboard is made of it.

First ``hello``, then every session in ``sessions``, then ``ready``; from then on ``sessions`` (those that changed), ``hook``,
``delivery``, ``stats``, and, when they change, ``origins``, ``sinks`` and ``faults``. Whoever comes back gets the same
again, so nothing has to be remembered between two connections: a ``Last-Event-ID`` is not needed.
"""

from __future__ import annotations

import contextlib

from aiohttp import web

from smproxy.manager.dashboard_events import Feed, TooManyListenersError
from smproxy.manager.rest.errors import ApiError, require_token

FEED = "/api/v1/feed"

#: Seconds of silence after which a comment says that the connection lives.
HEARTBEAT = 15.0

#: Seconds after which it is seen that a listener has left, when there is nothing to tell it.
_LOOK = 1.0

#: Milliseconds after which an ``EventSource`` comes back.
_RETRY = b"retry: 1000\n\n"


class FeedRoutes:
    """The route of the feed. With a ``token``, it needs it."""

    def __init__(self, feed: Feed, token: str | None, *, heartbeat: float = HEARTBEAT) -> None:
        self._feed = feed
        self._token = token
        self._heartbeat = heartbeat

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get(FEED, self.follow, allow_head=False)]

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """Send events until the listener leaves, is too slow, or the manager stops."""
        require_token(request, self._token)
        try:
            listener = self._feed.subscribe(lambda: request.transport.abort() if request.transport else None)
        except TooManyListenersError as error:
            raise ApiError(503, f"{error}: close a dashboard.") from None
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        with contextlib.closing(listener), contextlib.suppress(ConnectionError):
            # Listening began before: what happens while the past is sent comes after it, and twice is no harm.
            await response.prepare(request)
            await response.write(_RETRY)
            async with contextlib.aclosing(self._feed.past()) as past:
                async for data in past:
                    await response.write(data)
            silent = 0.0
            while (data_or_end := await listener.take(_LOOK)) is not None:
                silent = 0.0 if data_or_end else silent + _LOOK
                if data_or_end or silent >= self._heartbeat:
                    await response.write(data_or_end or b": still here\n\n")
                    silent = 0.0
                elif request.transport is None or request.transport.is_closing():
                    break
        return response
