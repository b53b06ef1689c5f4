"""``/as/v1/streams/stream``: live streams, and where to publish and to watch one.

Source: Red5, Stream Manager 2.0, Streams service.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from smproxy.manager.access import parameter
from smproxy.manager.live_streams import LiveStreams
from smproxy.manager.origin_registry import Node, OriginRegistry
from smproxy.manager.provisions import Provisions
from smproxy.manager.rest.as_v1.group import GUID, check_group, choose, endpoint_count, flag
from smproxy.manager.rest.errors import ApiError, json_response
from smproxy.manager.rest.stream_path import read_stream_path
from smproxy.manager.session import Session
from smproxy.manager.sessions import Sessions
from smproxy.signaling.clock import Clock

STREAMS = "/as/v1/streams/stream/{group}"


class GroupStreamRoutes:
    """The stream routes of Stream Manager 2.0."""

    def __init__(
        self,
        registry: OriginRegistry,
        sessions: Sessions,
        provisions: Provisions,
        streams: LiveStreams,
        *,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._sessions = sessions
        self._provisions = provisions
        self._streams = streams
        self._clock = clock

    def overviews(self) -> list[web.RouteDef]:
        """Return the routes that list everybody's streams."""
        return [web.get(STREAMS, self.list), web.get(f"{STREAMS}/stream/{GUID}", self.show)]

    def places(self) -> list[web.RouteDef]:
        """Return the routes that every publisher and subscriber asks where to go."""
        return [
            web.get(f"{STREAMS}/publish/{GUID}", self.publish),
            web.get(f"{STREAMS}/subscribe/{GUID}", self.subscribe),
        ]

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List the live streams."""
        check_group(request)
        return json_response(self._views(request, self._sessions.publishing()))

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show where one stream is."""
        check_group(request)
        return json_response(self._views(request, [self.live(*read_stream_path(request))]))

    async def publish(self, request: web.Request) -> web.StreamResponse:
        """Name the servers to publish to; that a name is live already is for the server to say."""
        check_group(request)
        scope, name = read_stream_path(request)
        count, transcode = endpoint_count(request), flag(request, "transcode", False)
        if transcode and count > 1:
            raise ApiError(400, "endpoints over 1 does not go with transcode=true.")
        nodes = choose(request, self._registry)
        if not transcode:
            return json_response([_place(scope, name, node) for node in nodes[:count]])
        if self._provisions.find(scope, name) is None:
            raise ApiError(404, f"There is no provision {scope}/{name}.")
        roles = ("transcoder", "origin")
        return json_response([_place(scope, name, nodes[0]) | {"nodeRole": role} for role in roles])

    async def subscribe(self, request: web.Request) -> web.StreamResponse:
        """Name the server of a live stream; of a provision, that of the nearest level which is live."""
        check_group(request)
        endpoint_count(request)
        scope, name = read_stream_path(request)
        session, owner = self._streams.nearest(scope, name), self._registry.owner(scope, name)
        if session is None and owner is None:
            raise _not_live(scope, name)
        region = parameter(request, "region") or parameter(request, "subGroup")
        holder = owner if session is None or session.attempt is None else session.attempt.node
        assert holder is not None
        node = self._registry.place_to_watch(holder, region=region or None)
        if flag(request, "strict", False) and region not in (None, "", node.region):
            raise ApiError(404, f"There is no live stream {scope}/{name} in {region[:100]!r}.")
        if session is None:  # another manager of the cluster has it
            return json_response([_place(scope, name, node)])
        return json_response([self.location(session, node=node)])

    def live(self, scope: str, name: str) -> Session:
        """Return the session that publishes a stream.

        Raises:
            ApiError: 404, there is none.
        """
        return _found(self._streams.find(scope, name), scope, name)

    def location(self, session: Session, *, stats: bool = False, node: Node | None = None) -> dict[str, Any]:
        """Return where a stream is, or ``node`` where it is watched, and its numbers."""
        assert session.attempt is not None
        life = session.life
        view = _place(life.scope, life.peer, node or session.attempt.node)
        view["durationMs"] = max(0, self._clock.wall_ms() - (session.started_ms or self._clock.wall_ms()))
        if stats:
            view["subscribers"] = len(self._sessions.watching(life.scope, life.peer))
        return view

    def _views(self, request: web.Request, sessions: Sequence[Session]) -> Sequence[dict[str, Any]]:
        stats = flag(request, "stats", False)
        flag(request, "aggregate", True)  # there are origins only, so that a sum and its parts are the same
        return [self.location(session, stats=stats) for session in sessions]


def _found(session: Session | None, scope: str, name: str) -> Session:
    if session is None:
        raise _not_live(scope, name)
    return session


def _not_live(scope: str, name: str) -> ApiError:
    return ApiError(404, f"There is no live stream {scope}/{name}.")


def _place(scope: str, name: str, node: Node) -> dict[str, Any]:
    return {
        "streamGuid": f"{scope}/{name}",
        "serverAddress": node.address,
        "nodeRole": node.role,
        "subGroup": node.region,
        "nodeState": node.state,
    }
