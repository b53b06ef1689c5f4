"""``/api/v1/sessions/N/capture.pcapng``: the packets of a session, for Wireshark."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from aiohttp import web

from smproxy.capture.pcapng import MEDIA_TYPE, write_kept
from smproxy.capture.ring import CaptureRing
from smproxy.manager.history import History
from smproxy.manager.node_extension import NodeExtension
from smproxy.manager.rest.client_limit import ClientLimit
from smproxy.manager.rest.errors import ApiError
from smproxy.manager.rest.query import Parameters, whole_number
from smproxy.manager.rest.sessions import SESSIONS
from smproxy.manager.session_captures import SessionCaptures, follow
from smproxy.manager.views import SessionView
from smproxy.signaling.clock import MAX_SESSION_NUMBER

#: The longest time that an answer may go on for, in seconds.
MAX_SECONDS = 3_600

_NO_MEDIA = "Session {} has no media connection yet: try again when it has."
_NOT_ASKED = (
    "No packets are captured of session {}: name the seconds (?seconds=10, --seconds 10), or start with --capture DIR."
)


class CaptureRoutes:
    """The route."""

    def __init__(
        self,
        captures: SessionCaptures,
        history: History,
        monotonic: Callable[[], float],
        extension: NodeExtension | None = None,
    ) -> None:
        self._extension = extension
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
        headers = {
            "Content-Disposition": f'attachment; filename="session-{number}.pcapng"',
            "Cache-Control": "no-store",
        }
        session = self._history.live(number)
        attempt = None if session is None else session.attempt
        if attempt is not None and attempt.node.capture is None and self._extension is not None:
            elsewhere = self._extension.capture(attempt.node.address, attempt.token, seconds)
            if elsewhere is not None:
                return await self._from_node(request, view, elsewhere, headers, asked=seconds > 0)
        ring = self._ring(number, begin=seconds > 0)
        if not seconds:
            body = self._captures.start_of(view) + write_kept(ring.since(0))
            return web.Response(body=body, content_type=MEDIA_TYPE, headers=headers)
        with self._followers.take():
            response = web.StreamResponse(headers=headers | {"Content-Type": MEDIA_TYPE})
            await response.prepare(request)
            await response.write(self._captures.start_of(view))
            async for data in follow(ring, seconds, self._monotonic):
                await response.write(data)
        return response

    async def _from_node(
        self,
        request: web.Request,
        view: SessionView,
        elsewhere: AbstractAsyncContextManager[AsyncIterator[bytes] | None],
        headers: dict[str, str],
        *,
        asked: bool,
    ) -> web.StreamResponse:
        """Send what another node has captured."""
        number = view.session
        try:
            with self._followers.take():
                async with elsewhere as packets:
                    if packets is None:
                        raise ApiError(409, _NO_MEDIA.format(number) if asked else _NOT_ASKED.format(number))
                    response = web.StreamResponse(headers=headers | {"Content-Type": MEDIA_TYPE})
                    await response.prepare(request)
                    await response.write(self._captures.start_of(view))
                    async for data in packets:
                        await response.write(data)
        except ConnectionError as error:
            raise ApiError(503, f"The origin {view.origin}, where the media of session {number} is: {error}.") from None
        return response

    def _ring(self, number: int, *, begin: bool) -> CaptureRing:
        session = self._history.live(number)
        if session is None:
            if (ring := self._captures.ended(number)) is None:
                why = "it had no media, or ended too long ago" if self._captures.kept else "start with --capture DIR"
                raise ApiError(409, f"No packets were captured of session {number}: {why}.")
            return ring
        try:
            ring = self._captures.of(session, begin=begin)
        except LookupError as error:
            raise ApiError(
                409,
                f"The media of session {number} is at the origin {error}: only an origin in this process can be captured.",
            ) from None
        if ring is None and begin:
            raise ApiError(409, _NO_MEDIA.format(number))
        if ring is None:
            raise ApiError(409, _NOT_ASKED.format(number))
        return ring
