"""``…/event``: where a publisher or subscriber is to go, and which streams are live.

Source: Red5, Stream Manager REST API 1.0 to 4.0; the answers are the same in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from smproxy.manager.live_streams import LiveStreams
from smproxy.manager.origin_registry import Node, OriginChoiceError, OriginRegistry
from smproxy.manager.rest.errors import ApiError, json_response
from smproxy.manager.rest.stream_path import read_stream_path
from smproxy.manager.session import Session
from smproxy.manager.sessions import Sessions
from smproxy.signaling.params import NOT_SUPPLIED

API = "/streammanager/api/{version:1\\.0|2\\.0|3\\.0|3\\.1|4\\.0}"


class EventRoutes:
    """The event routes of the stream manager API."""

    def __init__(self, registry: OriginRegistry, sessions: Sessions, streams: LiveStreams) -> None:
        self._registry = registry
        self._sessions = sessions
        self._streams = streams

    def overviews(self) -> list[web.RouteDef]:
        """Return the routes about everybody's streams.

        They go before those of :meth:`places`.
        """
        return [
            web.get(API + "/event/list", self.list),
            web.get(API + "/event/list/stats", self.list_stats),
            web.get(API + "/event/{path:.+}/stats", self.stats),
        ]

    def places(self) -> list[web.RouteDef]:
        """Return the routes that every publisher and subscriber asks where to go."""
        return [web.get(API + "/event/{path:.+}", self.where), web.get(API + "/media/{path:.+}", self.media)]

    async def where(self, request: web.Request) -> web.StreamResponse:
        """Name the origin to publish to, or the one that a stream can be watched at."""
        scope, name = read_stream_path(request)
        action = request.query.get("action", "")
        region, strict, count = _text(request, "region"), _flag(request, "strict"), _count(_text(request, "endpoints"))
        if (zone := _text(request, "geozone")) is not None:
            raise ApiError(400, f"There is no geozone {zone[:100]!r}: none is provisioned here, ask for a region.")
        if action == "broadcast":
            nodes = self._origins(f"{scope}/{name}", region, strict)
        elif action == "subscribe" and (owner := self._registry.owner(scope, name)) is not None:
            nodes = [self._registry.place_to_watch(owner, region=region)]
        elif action == "subscribe":
            session = self._streams.nearest(scope, name)
            if session is None:
                raise ApiError(404, f"No stream found for {scope}/{name}")
            assert session.attempt is not None
            nodes = [self._registry.place_to_watch(session.attempt.node, region=region)]
            name = session.life.peer
            if strict and region not in (None, nodes[0].region):
                raise ApiError(404, f"No stream found for {scope}/{name} in {region[:100]!r}")
        else:
            raise ApiError(400, f"action={action!r} is neither broadcast nor subscribe.")
        if strict and len(nodes) < count:
            raise ApiError(404, f"There are {len(nodes)} servers for {scope}/{name}, not {count}.")
        places = [_place(name, scope, node) for node in nodes[:count]]
        return json_response(places[0] if count == 1 else places)

    def _origins(self, stream: str, region: str | None = None, strict: bool = False) -> Sequence[Node]:
        try:
            return self._registry.ranked(region=region, strict=strict)
        except OriginChoiceError:
            raise ApiError(404, f"No suitable origin found for {stream}") from None

    async def media(self, request: web.Request) -> web.StreamResponse:
        """Name the origin that has the recordings of a stream."""
        scope, name = read_stream_path(request)
        return json_response(_place(name, scope, self._origins(f"{scope}/{name}")[0]))

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List the live streams."""
        return json_response([_listed(session) for session in self._sessions.publishing()])

    async def list_stats(self, request: web.Request) -> web.StreamResponse:
        """List the live streams with their numbers."""
        return json_response([self._listed_with_numbers(session) for session in self._sessions.publishing()])

    async def stats(self, request: web.Request) -> web.StreamResponse:
        """Return the numbers of one live stream."""
        scope, name = read_stream_path(request)
        session = self._streams.find(scope, name)
        if session is None:
            raise ApiError(404, f"No stream found for {scope}/{name}")
        return json_response(self._listed_with_numbers(session))

    def _listed_with_numbers(self, session: Session) -> dict[str, Any]:
        subscribers = self._sessions.watching(session.life.scope, session.life.peer)
        return _listed(session) | _numbers(session, len(subscribers))


def _text(request: web.Request, name: str) -> str | None:
    """Return a parameter; what a page sends for none is none."""
    text = request.query.get(name)
    return None if text is None or text in NOT_SUPPLIED else text


def _flag(request: web.Request, name: str) -> bool:
    text = _text(request, name)
    if text is not None and text.lower() not in ("true", "false"):
        raise ApiError(400, f"{name}={text[:100]!r} is neither true nor false.")
    return text is not None and text.lower() == "true"


def _count(text: str | None) -> int:
    if text is None:
        return 1
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 0 < int(text) <= 1000):
        raise ApiError(400, f"endpoints={text[:100]!r} is not a whole number from 1 to 1000.")
    return int(text)


def _place(name: str, scope: str, node: Node) -> dict[str, Any]:
    return {"name": name, "scope": f"/{scope}", "app": scope, "serverAddress": node.address, "region": node.region}


def _listed(session: Session) -> dict[str, Any]:
    assert session.attempt is not None
    node = session.attempt.node
    return {
        "type": "origin",
        "name": session.life.peer,
        "scope": session.life.scope,
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
