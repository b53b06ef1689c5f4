"""Insert live streams into others: ``POST /live/interstitial``, and the list of them.

Source: Red5 Pro, Interstitial Media Insertion API, for standalone servers and stream managers.
"""

from __future__ import annotations

from aiohttp import web

from smproxy.manager.origin_registry import Node, OriginRegistry
from smproxy.manager.rest.errors import ApiError, json_response
from smproxy.manager.rest.query import Parameters
from smproxy.manager.session import Session
from smproxy.manager.sessions import Sessions
from smproxy.manager.views import InterstitialList, InterstitialView
from smproxy.signaling.clock import Clock
from smproxy.signaling.interstitials import Insert, read_interstitial, read_timing, split_path
from smproxy.signaling.node_channel import InsertStream, ResumeStream

INTERSTITIALS = "/api/v1/interstitials"
_MANAGER = r"/streammanager/api/{version:[1-4]\.\d}/admin/interstitial"


class InterstitialRoutes:
    """The routes of the interstitials; ``answer`` also serves ``proxy/forward``."""

    def __init__(self, registry: OriginRegistry, sessions: Sessions, *, clock: Clock) -> None:
        self._registry = registry
        self._sessions = sessions
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(INTERSTITIALS, self.list),
            web.post(_MANAGER, self.post),
            web.post("/{scope:.+}/interstitial", self.post),
        ]

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List the interstitials that are shown or wait, origin by origin."""
        Parameters(request.query, ())
        now = self._clock.wall_ms()
        views = [
            InterstitialView(
                id=state.id,
                target=state.target,
                interstitial=state.interstitial,
                audio=state.audio,
                video=state.video,
                state="shown" if state.shown else "waiting",
                origin=node.address,
                starts_at=None if state.shown else now + round(state.starts_in * 1000),
                ends_at=None if state.ends_in is None else now + round(state.ends_in * 1000),
            )
            for node in self._registry.nodes
            if node.interstitials is not None
            for state in node.interstitials()
        ]
        return json_response(InterstitialList(interstitials=views))

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Insert streams, or resume a target."""
        return self.answer(await request.read())

    def answer(self, body: bytes) -> web.Response:
        """Do what a request's body asks.

        Raises:
            ApiError: it cannot be done; then none of its inserts is.
        """
        try:
            asked = read_interstitial(body)
            if asked.resume is not None:
                _, node = self._live(asked.resume, "resume")
                scope, name = split_path(asked.resume, "resume")
                _command(node, ResumeStream(scope, name))
                return json_response({"resumed": f"{scope}/{name}"})
            commands = [self._insert(insert) for insert in asked.inserts or ()]
        except ValueError as error:
            raise ApiError(400, str(error)) from None
        for node, command in commands:
            _command(node, command)
        return json_response({"inserted": [command.id for _, command in commands]})

    def _insert(self, insert: Insert) -> tuple[Node, InsertStream]:
        target, node = self._live(insert.target, "target")
        shown, other = self._live(insert.path, "interstitial")
        if other is not node and not (other.shares and node.shares):
            raise ApiError(
                409, f"{insert.target} and {insert.path} are on two origins: an origin inserts its own streams."
            )
        if shown is target:
            raise ApiError(400, f"{insert.path} cannot be inserted into itself.")
        now = self._clock.wall_ms()
        timing = read_timing(insert, now_ms=now, published_ms=target.started_ms or now)
        audio, video = insert.is_interstitial_audio is not False, insert.is_interstitial_video is not False
        if not audio and not video:
            raise ApiError(
                400, "isInterstitialAudio and isInterstitialVideo are both false: nothing would be inserted."
            )
        return node, InsertStream(
            *split_path(insert.target, "target"),
            *split_path(insert.path, "interstitial"),
            id=insert.id,
            audio=audio,
            video=video,
            starts_in=timing.starts_in,
            duration=timing.duration,
        )

    def _live(self, path: str, key: str) -> tuple[Session, Node]:
        """Return the session that publishes a path, and its origin."""
        wanted = split_path(path, key)
        for session in self._sessions.publishing():
            if (session.life.scope, session.life.peer) == wanted and session.attempt is not None:
                return session, session.attempt.node
        raise ApiError(404, f"{key}: nobody publishes {'/'.join(wanted)[:200]}; only live streams can be inserted.")


def _command(node: Node, command: InsertStream | ResumeStream) -> None:
    if node.command is None:
        raise ApiError(501, f"The origin {node.address} is not one of this simulator: ask it itself.")
    node.command(command)
