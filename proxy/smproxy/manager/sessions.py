"""The live sessions: they turn what the relay reads and what origins report into hooks."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from enum import IntEnum

from smproxy.hooks.event import Context
from smproxy.manager.attempt import Attempt, Client
from smproxy.manager.origin_registry import Node
from smproxy.manager.session import Session
from smproxy.signaling.clock import Clock, session_number
from smproxy.signaling.node import (
    AttemptFailed,
    ChannelFrame,
    Evict,
    Kick,
    Load,
    LocalTrack,
    LocalTrackAttached,
    LocalTrackDetached,
    MediaBack,
    MediaGap,
    PeerEnded,
    PlayStarted,
    RecordingEnded,
    RecordingStarted,
    Report,
    StreamStarted,
    TrackEnded,
    TrackStarted,
    TrackStatistics,
    TransportUp,
)
from smproxy.signaling.params import ConnectionParams
from smproxy.signaling.payloads import (
    ConnectError,
    Connection,
    Payload,
    PeerPayload,
    Reason,
    Role,
    SessionPayload,
    WebSocketPayload,
)
from smproxy.signaling.session import Phase, SessionLife

#: Takes a payload, its number within the session, the connection it belongs to, and what only other formats tell of it.
Publish = Callable[[Payload, int, Connection, Context], object]

logger = logging.getLogger(__name__)

#: How long a socket may stay open, in seconds, after its session is over: SDKs leave it to the server to close it.
LINGER = 10.0

#: Seconds for an attempt to come back that is under way when the window closes; an origin gives a handshake as long.
RETURN_TIMEOUT = 15.0

_SILENT = frozenset({Phase.SILENT, Phase.STALLED})
_CONNECTED = frozenset({Phase.CONNECTED, Phase.LIVE}) | _SILENT
_FINAL = frozenset({Reason.KICKED, Reason.NODE_SHUTDOWN, Reason.REPLACED, Reason.UNAUTHORIZED})


class Sessions:
    """Opens, finds and ends sessions, and publishes their hooks. The node channels report here."""

    def __init__(self, publish: Publish, *, clock: Clock, rng: random.Random, reconnect_window: float = 0.0) -> None:
        self._publish = publish
        self._clock = clock
        self._rng = rng
        self._reconnect_window = reconnect_window
        self._sessions: dict[int, Session] = {}
        self._attempts: dict[str, tuple[Attempt, Session]] = {}
        # The same two for all attempts: bound methods and partials of their own were a fortieth of an idle session.
        self._take, self._ended = self.report, self._relay_over
        self._lingering: dict[Attempt, asyncio.TimerHandle] = {}
        self._recording: dict[str, Session] = {}
        self._watchers: tuple[Callable[[Session], None], ...] = ()
        self._default_customer_scope_logged = False
        #: Is given what was sent on a data channel: the session, whether by its client, and the text.
        self.overheard: Callable[[int, bool, str], None] = lambda session, by_client, text: None

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def attempts(self) -> list[Attempt]:
        """The attempts that still have a relay or a living session."""
        return [attempt for attempt, _ in self._attempts.values()]

    def attempt(self, token: str) -> Attempt | None:
        """Find an attempt."""
        known = self._attempts.get(token)
        return known and known[0]

    @property
    def waiting(self) -> list[int]:
        """The numbers of the sessions whose publishers were lost and may come back."""
        if not self._reconnect_window:
            return []
        return [session.number for session in self._sessions.values() if session.life.phase in _SILENT]

    def publishing(self) -> list[Session]:
        """Return the sessions whose streams are live, the oldest first."""
        return [session for session in self._sessions.values() if session.publishing]

    def find(self, number: int) -> Session | None:
        """Find a session that is not over."""
        return self._sessions.get(number)

    def subscribing(self) -> list[Session]:
        """Return the sessions that watch a stream, the oldest first."""
        return [session for session in self._sessions.values() if session.watching]

    def watching(self, scope: str, stream: str) -> list[Session]:
        """Return the sessions that watch this stream, the oldest first."""
        wanted = (scope, stream)
        return [each for each in self.subscribing() if (each.life.scope, each.shown or each.watched) == wanted]

    def watch(self, callback: Callable[[Session], None]) -> Callable[[], None]:
        """Call back after each hook of a session and when statistics come; return what ends that.

        The callback must not block; what it raises is logged.
        """
        self._watchers = (*self._watchers, callback)

        def unwatch() -> None:
            self._watchers = tuple(each for each in self._watchers if each is not callback)

        return unwatch

    def refuse(self, connection: Connection, remote_ip: str, message: str | None = None) -> int:
        """Publish that a connection was refused for what it brought; return its session number."""
        life = self._new_life(connection.id or "", connection.app or "", remote_ip)
        for sequence, payload in enumerate(life.refuse(ConnectError.REJECTED, message), 1):
            self._publish(payload, sequence, connection, Context())
        return life.number

    def open(self, params: ConnectionParams, node: Node, client: Client) -> Attempt:
        """Begin an attempt: of a new session, or of one that waits for its publisher to come back."""
        if (
            not params.customer_scope_given
            and params.customer_scope is not None
            and not self._default_customer_scope_logged
        ):
            self._default_customer_scope_logged = True
            logger.info(
                "%r sends no customerScope: its hooks have %r, as those of all such clients do (--customer-scope)",
                params.id, params.customer_scope,
            )  # fmt: skip
        session = self._waiting_for(params)
        if session is None:
            peer = params.id if params.role is Role.PUBLISHER else params.username or params.id
            session = Session(self._new_life(peer, params.scope, client.remote_ip), params)
            self._sessions[session.number] = session
            self._emit(session, session.life.accept())
        previous = session.attempt
        token = f"{session.number:x}-{self._rng.getrandbits(64):016x}"
        attempt = Attempt(token, session.number, params, node, client, report=self._take, over=self._ended)
        self._attempts[token] = attempt, session
        session.attempt = attempt
        session.life.remote_ip = client.remote_ip
        node.sessions += 1
        self._publish_socket(session, "websocket_connected")
        if previous is not None:
            self._evict(previous)
            self._open_window(session)  # open already, unless the publisher came back before it was given up
        return attempt

    def report(self, node: Node, report: Report) -> None:
        """Take a report of an origin, or of the relay in its place.

        One about an attempt that is not current is ignored.
        """
        if isinstance(report, Load):
            node.load = report
            return
        if isinstance(report, RecordingEnded):  # the file may take longer than the session
            if (recorded := self._recording.pop(report.attempt, None)) is not None:
                payloads = recorded.life.recording_end(report.file, report.duration, report.size, report.error)
                self._emit(recorded, payloads)
            return
        attempt, session = self._attempts.get(report.attempt, (None, None))
        if attempt is None or session is None or attempt.node is not node or session.attempt is not attempt:
            return
        life = session.life
        match report:
            case TransportUp():
                attempt.up = True
                self._close_window(session)
                self._emit(session, life.transport_up())
            case StreamStarted(stream=stream, scope=scope):
                session.started_ms = session.started_ms or self._clock.wall_ms()
                self._emit(session, life.stream_start(peer=stream, scope=scope))
            case PlayStarted(stream=stream, scope=scope):
                session.watched, session.started_ms = stream, session.started_ms or self._clock.wall_ms()
                self._emit(session, life.stream_start(peer=session.params.username or session.params.id, scope=scope))
            case LocalTrack(track=slot, kind=kind):
                self._emit(session, life.slot(slot, kind))
            case LocalTrackAttached(track=slot, remote_peer=peer, remote_track=track):
                session.shown = peer
                self._emit(session, life.attach(slot, peer, track))
            case LocalTrackDetached(track=slot):
                self._emit(session, life.detach(slot))
            case RecordingStarted(file=file):
                self._recording[attempt.token] = session
                self._emit(session, life.recording_start(file))
            case TrackStarted(track=track, kind=kind):
                self._emit(session, life.track_start(track, kind))
            case TrackEnded(track=track):
                # The tracks of a publisher that may come back go on with it; if it does not, the session's end ends them.
                if not (self._reconnect_window and life.phase in _SILENT):
                    self._emit(session, life.track_end(track))
            case MediaGap():
                self._emit(session, life.gap())
            case MediaBack():
                self._emit(session, life.back())
            case TrackStatistics(track=track):
                session.statistics[track] = report
                self._changed(session)
            case ChannelFrame(by_client=by_client, text=text):
                self.overheard(session.number, by_client, text)
            case AttemptFailed(error=error):
                self._attempt_failed(session, error)
            case PeerEnded(reason=reason, lost=lost):
                self._peer_ended(session, attempt, reason, lost=lost)

    def kick(self, attempt: Attempt) -> None:
        """End a session for the administrator, so that its client notices."""
        session = self._attempts[attempt.token][1] if attempt.token in self._attempts else None
        if attempt.node.command is not None:
            attempt.node.command(Kick(attempt.token))
        if session is None or session.over:
            return  # the origin knew the attempt, and sees to it that its client notices
        self.report(attempt.node, PeerEnded(attempt.token, Reason.KICKED))
        if attempt.relay is not None and not attempt.relay_ended:
            attempt.relay.close(1000, "ended by the administrator")

    def deny(self, attempt: Attempt, message: str) -> None:
        """End the session of a client that was let in before its credentials were refused."""
        session = self._attempts[attempt.token][1] if attempt.token in self._attempts else None
        if session is None or session.over or session.attempt is not attempt:
            return
        self._finish(session, Reason.UNAUTHORIZED, message)
        if attempt.relay is not None and not attempt.relay_ended:
            attempt.relay.close(1008, "unauthorized")

    def stop(self, reason: Reason = Reason.NODE_SHUTDOWN) -> None:
        """End every session, with its hooks."""
        for session in list(self._sessions.values()):
            self._finish(session, reason)
        for timer in self._lingering.values():
            timer.cancel()
        self._lingering.clear()

    def _attempt_failed(self, session: Session, error: ConnectError) -> None:
        """End a session whose attempt failed before its transport was up."""
        if session.life.phase not in _SILENT:
            self._emit(session, session.life.refuse(error))
            if session.over:
                self._forget(session)
        elif session.window is None:  # it was to come back, and there is no time for another
            self._finish(session, Reason.TIMEOUT)

    def _peer_ended(self, session: Session, attempt: Attempt, reason: Reason, *, lost: bool) -> None:
        """End a session whose peer is gone, or wait: one whose connection broke may come back."""
        if session.over:
            return
        if (lost and reason is Reason.USER_ACTION) or (reason not in _FINAL and session.returning is not None):
            reason = Reason.TIMEOUT  # a connection that broke is nobody's action, nor is a return that came to nothing
        if reason not in _FINAL and session.life.phase in _CONNECTED and self._reconnect_window:
            if lost and attempt.up:
                self._emit(session, session.life.gap())
                self._open_window(session)
                return
            if not attempt.up and session.window is not None:
                return
        self._finish(session, reason)

    def _relay_over(self, attempt: Attempt) -> None:
        if attempt.token in self._attempts:
            self._publish_socket(self._attempts[attempt.token][1], "websocket_disconnected")
        self._release(attempt)

    def _release(self, attempt: Attempt) -> None:
        """Forget an attempt when neither its relay nor its session needs it any more."""
        if not attempt.relay_ended:
            return
        if timer := self._lingering.pop(attempt, None):
            timer.cancel()
        session = self._attempts[attempt.token][1] if attempt.token in self._attempts else None
        if session is not None and (session.over or session.attempt is not attempt):
            del self._attempts[attempt.token]
            attempt.node.sessions -= 1

    def _emit(self, session: Session, payloads: list[Payload]) -> None:
        for payload in payloads:
            session.hooks += 1
            if logger.isEnabledFor(logging.INFO):
                logger.info("%s", _describe(payload))
            self._publish(payload, session.hooks, session.connection, session.context)
            session.joined |= isinstance(payload, PeerPayload) and payload.event == "peer_joined"
            self._changed(session)

    def _changed(self, session: Session) -> None:
        for callback in self._watchers:
            try:
                callback(session)
            except Exception:
                logger.exception("a watcher of the sessions failed")

    def _publish_socket(self, session: Session, event: str) -> None:
        """Publish an event of the client's socket, which has no number in the session's sequence."""
        if session.params.transport != "websocket":
            return
        payload = WebSocketPayload(session=session.number, event=event)
        self._publish(payload, session.hooks, session.connection, session.context)

    def _new_life(self, peer: str, scope: str, remote_ip: str) -> SessionLife:
        number = session_number(self._rng)
        return SessionLife(number, peer=peer, scope=scope, remote_ip=remote_ip, clock=self._clock)

    def _waiting_for(self, params: ConnectionParams) -> Session | None:
        """Find the waiting session of the same stream, customer and user that this may continue."""
        if not self._reconnect_window or params.role is not Role.PUBLISHER:
            return None
        for session in self._sessions.values():
            known = session.params
            same = (known.scope, known.customer_scope, known.id, known.username) == (
                params.scope,
                params.customer_scope,
                params.id,
                params.username,
            )
            if same and session.life.phase in _SILENT:
                return session
        return None

    def _evict(self, attempt: Attempt) -> None:
        """Make way for the attempt that takes a session over."""
        if attempt.node.command is not None:
            attempt.node.command(Evict(attempt.token))
        if attempt.relay is not None and not attempt.relay_ended:
            attempt.relay.close(1000, "the publisher is back on another connection")
        self._release(attempt)

    def _open_window(self, session: Session) -> None:
        if session.window is None:
            loop = asyncio.get_running_loop()
            session.window = loop.call_later(self._reconnect_window, self._window_over, session)

    def _close_window(self, session: Session) -> None:
        for timer in (session.window, session.returning):
            if timer is not None:
                timer.cancel()
        session.window = session.returning = None

    def _window_over(self, session: Session) -> None:
        session.window = None
        attempt = session.attempt
        if attempt is None or attempt.up or attempt.relay_ended:
            self._finish(session, Reason.TIMEOUT)
        else:  # the publisher is on its way back: the outcome of that attempt decides, if it has one in time
            loop = asyncio.get_running_loop()
            session.returning = loop.call_later(RETURN_TIMEOUT, self._finish, session, Reason.TIMEOUT)

    def _finish(self, session: Session, reason: Reason, message: str | None = None) -> None:
        self._emit(session, session.life.end(reason, message))
        attempt = session.attempt
        if attempt is not None and attempt.node.command is not None:
            # No news to an origin that has reported the end itself; any other must not go on with a stream that nobody knows.
            attempt.node.command(Evict(attempt.token))
        self._forget(session)

    def _forget(self, session: Session) -> None:
        self._close_window(session)
        self._sessions.pop(session.number, None)
        attempt = session.attempt
        if attempt is None:
            return
        self._release(attempt)
        if attempt.token in self._attempts and attempt not in self._lingering:
            loop = asyncio.get_running_loop()
            self._lingering[attempt] = loop.call_later(LINGER, self._linger_over, attempt)

    def _linger_over(self, attempt: Attempt) -> None:
        self._lingering.pop(attempt, None)
        if attempt.relay is not None and not attempt.relay_ended:
            attempt.relay.close(1000, "the session is over")


def _describe(payload: Payload) -> str:
    """Describe a hook for the log."""
    known = {
        field: value.name.lower() if isinstance(value, IntEnum) else value
        for field in payload.__struct_fields__
        if field not in {"session", "state", "event"} and (value := getattr(payload, field)) is not None
    }
    what = payload.state if isinstance(payload, SessionPayload) else payload.event
    return f"session {payload.session}: {what} " + " ".join(f"{field}={value}" for field, value in known.items())
