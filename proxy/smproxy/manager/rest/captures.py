"""``/api/v1/sessions/N/capture.pcapng``: the packets of a session, for Wireshark."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from smproxy.capture.pcapng import MEDIA_TYPE, write_kept
from smproxy.capture.ring import CaptureRing
from smproxy.manager.history import History
from smproxy.manager.rest.client_limit import ClientLimit
from smproxy.manager.rest.errors import ApiError
from smproxy.manager.rest.query import Parameters, whole_number
from smproxy.manager.rest.sessions import SESSIONS
from smproxy.manager.session_captures import SessionCaptures
from smproxy.manager.views import SessionView
from smproxy.signaling.clock import MAX_SESSION_NUMBER

#: The longest time that an answer may go on for, in seconds.
MAX_SECONDS = 3_600
#: Seconds between two looks for new packets.
_LOOK = 0.2


class CaptureRoutes:
    """The route."""

    def __init__(self, captures: SessionCaptures, history: History, monotonic: Callable[[], float]) -> None:
        self._captures = captures
        self._history = history
        self._monotonic = monotonic
        self._followers = ClientLimit("captures that go on")

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get(SESSIONS + "/{session}/capture.pcapng", self.capture)]

    async def capture(self, request: web.Request) -> web.StreamResponse:
        """Send what was captured of a session.

        With ``seconds`` also what comes, and the capture begins if it has not yet.
        """
        seconds = Parameters(request.query, ("seconds",)).seconds("seconds", 0, most=MAX_SECONDS)
        number = whole_number("session", request.match_info["session"], least=1, most=MAX_SESSION_NUMBER)
        view = self._history.get(number)
        if view is None:
            raise ApiError(404, f"There is no session {number}, or it is no longer remembered.")
        ring = self._ring(number, begin=seconds > 0)
        headers = {
            "Content-Disposition": f'attachment; filename="session-{number}.pcapng"',
            "Cache-Control": "no-store",
        }
        if not seconds:
            body = self._captures.start_of(view) + write_kept(ring.since(0))
            return web.Response(body=body, content_type=MEDIA_TYPE, headers=headers)
        with self._followers.take():
            response = web.StreamResponse(headers=headers | {"Content-Type": MEDIA_TYPE})
            await response.prepare(request)
            await self._follow(response, ring, view, self._monotonic() + seconds)
        return response

    async def _follow(self, response: web.StreamResponse, ring: CaptureRing, view: SessionView, until: float) -> None:
        await response.write(self._captures.start_of(view))
        sent = 0
        while True:
            last = ring.ended or self._monotonic() >= until
            if ring.count > sent:
                kept, sent = ring.since(sent), ring.count
                await response.write(write_kept(kept))
            if last:
                return
            await asyncio.sleep(_LOOK)

    def _ring(self, number: int, *, begin: bool) -> CaptureRing:
        session = self._history.live(number)
        if session is None:
            if (ring := self._captures.ended(number)) is None:
                raise ApiError(409, f"No packets were captured of session {number}: start with --capture DIR.")
            return ring
        try:
            ring = self._captures.of(session, begin=begin)
        except LookupError as error:
            raise ApiError(
                409,
                f"The media of session {number} is at the origin {error}: only an origin in this process can be captured.",
            ) from None
        if ring is None and begin:
            raise ApiError(409, f"Session {number} has no media connection yet: try again when it has.")
        if ring is None:
            how = "name the seconds (?seconds=10, --seconds 10), or start with --capture DIR"
            raise ApiError(409, f"No packets are captured of session {number}: {how}.")
        return ring
