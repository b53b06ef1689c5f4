"""``…/event``: where a publisher or subscriber is to go, and which streams are live.

Source: Red5, Stream Manager REST API 1.0 to 4.0; the answers are the same in all.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from smproxy.manager.origin_registry import Node, OriginChoiceError, OriginRegistry
from smproxy.manager.rest.errors import ApiError, json_response
from smproxy.manager.session import Session
from smproxy.manager.sessions import Sessions

API = "/streammanager/api/{version:1\\.0|2\\.0|3\\.0|3\\.1|4\\.0}"


class EventRoutes:
    """The event routes of the stream manager API."""

    def __init__(self, registry: OriginRegistry, sessions: Sessions) -> None:
        self._registry = registry
        self._sessions = sessions

    def overviews(self) -> list[web.RouteDef]:
        """Return the routes that tell of everybody's streams; they go before those of :meth:`places`."""
        return [
            web.get(API + "/event/list", self.list),
            web.get(API + "/event/list/stats", self.list_stats),
            web.get(API + "/event/{path:.+}/stats", self.stats),
        ]

    def places(self) -> list[web.RouteDef]:
        """Return the route that every publisher and subscriber asks where to go."""
        return [web.get(API + "/event/{path:.+}", self.where)]

    async def where(self, request: web.Request) -> web.StreamResponse:
        """Name the origin to publish to, or the one that a stream can be watched at."""
        scope, name = self._stream(request)
        action = request.query.get("action", "")
        region = request.query.get("region")
        if action == "broadcast":
            try:
                node = self._registry.choose(None, region=region)
            except OriginChoiceError:
                raise ApiError(404, f"No suitable origin found for {scope}/{name}") from None
        elif action == "subscribe":
            session = self._live(scope, name)
            assert session.attempt is not None
            node = session.attempt.node
        else:
            raise ApiError(400, f"action={action!r} is neither broadcast nor subscribe.")
        count = _count(request.query.get("endpoints"))
        answer = _place(name, scope, node)
        if count == 1:
            return json_response(answer)
        others = [other for other in self._registry.nodes if other is not node] if action == "broadcast" else []
        return json_response([answer, *(_place(name, scope, other) for other in others)][:count])

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List the live streams."""
        return json_response([_listed(session) for session in self._sessions.publishing()])

    async def list_stats(self, request: web.Request) -> web.StreamResponse:
        """List the live streams with their numbers."""
        return json_response([self._listed_with_numbers(session) for session in self._sessions.publishing()])

    async def stats(self, request: web.Request) -> web.StreamResponse:
        """Tell the numbers of one live stream."""
        session = self._live(*self._stream(request))
        return json_response(self._listed_with_numbers(session))

    def _listed_with_numbers(self, session: Session) -> dict[str, Any]:
        subscribers = self._sessions.watching(session.life.room, session.life.peer)
        return _listed(session) | _numbers(session, len(subscribers))

    def _stream(self, request: web.Request) -> tuple[str, str]:
        scope, _, name = request.match_info["path"].strip("/").rpartition("/")
        if not scope or not name:
            raise ApiError(400, "The path takes a scope and a stream name: /event/live/mystream.")
        return scope, name

    def _live(self, scope: str, name: str) -> Session:
        for session in self._sessions.publishing():
            if (session.life.room, session.life.peer) == (scope, name):
                return session
        raise ApiError(404, f"No stream found for {scope}/{name}")


def _count(text: str | None) -> int:
    if text is None:
        return 1
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 0 < int(text) <= 1000):
        raise ApiError(400, f"endpoints={text[:100]!r} is not a whole number from 1 to 1000.")
    return int(text)


def _place(name: str, scope: str, node: Node) -> dict[str, Any]:
    return {"name": name, "scope": f"/{scope}", "serverAddress": node.address, "region": node.region}


def _listed(session: Session) -> dict[str, Any]:
    assert session.attempt is not None
    node = session.attempt.node
    return {
        "type": "origin",
        "name": session.life.peer,
        "scope": session.life.room,
        "serverAddress": node.address,
        "region": node.region,
    }


def _numbers(session: Session, subscribers: int) -> dict[str, Any]:
    return {
        "currentSubscribers": subscribers,
        "startTime": session.started_ms,
        "tracks": {
            statistics.track: {
                "codec": statistics.codec,
                "packets": statistics.packets,
                "bytes": statistics.bytes,
                "lost": statistics.lost,
                "frames": statistics.frames,
                "keyFrames": statistics.key_frames,
                "width": statistics.width,
                "height": statistics.height,
            }
            for statistics in session.statistics.values()
        },
    }
