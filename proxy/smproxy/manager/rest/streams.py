"""``/api/v1/streams``: what is published now, with its media."""

from __future__ import annotations

from collections.abc import Callable, Collection

from aiohttp import web

from smproxy.manager.history import History
from smproxy.manager.rest.errors import ApiError, json_response
from smproxy.manager.rest.query import Parameters
from smproxy.manager.session import Session
from smproxy.manager.sessions import Sessions
from smproxy.manager.views import StreamList, StreamView

STREAMS = "/api/v1/streams"


class StreamRoutes:
    """The routes of the live streams."""

    def __init__(
        self, sessions: Sessions, history: History, packaged: Callable[[], Collection[tuple[str, str]]]
    ) -> None:
        self._packaged = packaged
        self._sessions = sessions
        self._history = history

    def routes(self) -> list[web.RouteDef]:
        """Return the routes.

        ``scope`` may have a slash; its thumbnail is another route.
        """
        return [
            web.get(STREAMS, self.list),
            web.get(STREAMS + r"/{scope:.+}/{name:(?!thumbnail\.png$)[^/]+}", self.show),
        ]

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List the live streams."""
        Parameters(request.query, ())
        return json_response(StreamList(streams=[self._view(session) for session in self._sessions.publishing()]))

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show one live stream."""
        Parameters(request.query, ())
        scope, name = request.match_info["scope"], request.match_info["name"]
        for session in self._sessions.publishing():
            if (session.life.scope, session.life.peer) == (scope, name):
                return json_response(self._view(session))
        raise ApiError(404, f"No stream {scope}/{name} is live.")

    def _view(self, session: Session) -> StreamView:
        scope, name = session.life.scope, session.life.peer
        return StreamView(
            app=session.params.app,
            name=name,
            scope=scope,
            session=session.number,
            started_at=session.started_ms,
            subscribers=len(self._sessions.watching(scope, name)),
            recording=self._history.recording(session),
            hls=(scope, name) in self._packaged(),
            tracks=self._history.tracks(session),
            node=self._history.node,
        )
