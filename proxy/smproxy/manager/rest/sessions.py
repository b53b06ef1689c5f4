"""``/api/v1/sessions``: live and ended sessions, their messages and hooks; and ending one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from aiohttp import web

from smproxy.manager.history import History
from smproxy.manager.rest.errors import ApiError, json_response
from smproxy.manager.rest.query import Parameters, whole_number
from smproxy.manager.rest.timeline import Timeline
from smproxy.manager.sessions import Sessions
from smproxy.manager.transcripts import Transcripts
from smproxy.manager.views import Kicked, SessionList, SessionView, State
from smproxy.signaling.clock import MAX_SESSION_NUMBER

SESSIONS = "/api/v1/sessions"

#: Sessions in one answer.
MAX_LIMIT = 1_000
DEFAULT_LIMIT = 100

STATES: tuple[str, ...] = get_args(State)
ROLES = ("publisher", "subscriber")
FILTERS = ("state", "role", "id", "customerScope", "app", "limit")


class SessionRoutes:
    """The routes of the sessions."""

    def __init__(self, sessions: Sessions, history: History, transcripts: Transcripts, timeline: Timeline) -> None:
        self._sessions = sessions
        self._history = history
        self._transcripts = transcripts
        self._timeline = timeline

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(SESSIONS, self.list),
            web.get(SESSIONS + "/{session}", self.show),
            web.delete(SESSIONS + "/{session}", self.kick),
            web.get(SESSIONS + "/{session}/frames", self.frames),
            web.get(SESSIONS + "/{session}/timeline", self.timeline),
        ]

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List sessions, the newest first."""
        wanted = _Wanted(request.query)
        chosen = [view for view in self._history.newest() if wanted.matches(view)]
        return json_response(SessionList(sessions=chosen[: wanted.limit], total=len(chosen)))

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show one session."""
        return json_response(self._known(request))

    async def kick(self, request: web.Request) -> web.StreamResponse:
        """End one session; its client is notified, and its hooks have ``KICKED``."""
        view = self._known(request)
        session = self._history.live(view.session)
        if session is None or session.attempt is None:
            raise ApiError(409, f"The session {view.session} is over already.")
        self._sessions.kick(session.attempt)
        return json_response(Kicked(session=view.session))

    async def frames(self, request: web.Request) -> web.StreamResponse:
        """Return a session's messages, one JSON object a line, the oldest first."""
        view = self._known(request, ("header",))
        transcript = self._transcripts.get(view.session)
        lines = list(transcript.lines()) if transcript is not None else []
        if Parameters(request.query, ("header",)).switch("header"):
            lines.insert(0, self._transcripts.header(view))
        body = b"".join(line + b"\n" for line in lines)
        return web.Response(body=body, content_type="application/jsonl", charset="utf-8")

    async def timeline(self, request: web.Request) -> web.StreamResponse:
        """Return a session's messages, hooks, deliveries and faults, in the order of time."""
        view = self._known(request)
        return json_response(await self._timeline.of(view.session))

    def _known(self, request: web.Request, parameters: tuple[str, ...] = ()) -> SessionView:
        Parameters(request.query, parameters)
        number = whole_number("session", request.match_info["session"], least=1, most=MAX_SESSION_NUMBER)
        view = self._history.get(number)
        if view is None:
            raise ApiError(404, f"There is no session {number}, or it is no longer remembered.")
        return view


class _Wanted:
    """The filters of a listing."""

    def __init__(self, query: Mapping[str, str]) -> None:
        parameters = Parameters(query, FILTERS)
        self.limit = parameters.number("limit", DEFAULT_LIMIT, least=1, most=MAX_LIMIT)
        self._states = parameters.choices("state", STATES)
        self._role = parameters.choice("role", ROLES)
        self._texts = {name: parameters.text(name) for name in ("id", "customerScope", "app")}

    def matches(self, view: SessionView) -> bool:
        id_, scope, app = self._texts.values()
        return (
            (not self._states or view.state in self._states)
            and self._role in (None, view.role)
            and id_ in (None, view.id)
            and scope in (None, view.customer_scope)
            and app in (None, view.app)
        )
