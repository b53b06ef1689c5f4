"""The live sessions: they turn what the relay reads and what origins report into hooks."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from enum import IntEnum

import msgspec

from smproxy.hooks.event import Context, PublishHook
from smproxy.manager.attempt import Attempt, Client
from smproxy.manager.attempt_table import AttemptTable
from smproxy.manager.origin_registry import Node
from smproxy.manager.reconnect import ReconnectWindows
from smproxy.manager.session import Session
from smproxy.manager.session_reports import take_report
from smproxy.manager.tracing import ClientTrace
from smproxy.signaling.clock import Clock, session_number
from smproxy.signaling.node_channel import (
    AttemptFailed,
    ChannelFrame,
    Evict,
    Kick,
    Load,
    MediaBack,
    PeerEnded,
    RecordingEnded,
    RecordingStarted,
    Report,
    TrackEnded,
    TrackMuted,
    TrackStatistics,
    TransportUp,
)
from smproxy.signaling.optional_hooks import OptionalHook
from smproxy.signaling.params import ConnectionParams
from smproxy.signaling.payloads import (
    ConnectError,
    Connection,
    Payload,
    PeerPayload,
    Reason,
    Role,
    RouteError,
    RoutePayload,
    SessionPayload,
    WebSocketPayload,
)
from smproxy.signaling.session import Phase, SessionLife

#: Takes a payload, its number within the session, the connection it belongs to, and what only other formats tell of it.
logger = logging.getLogger(__name__)

_SILENT = frozenset({Phase.SILENT, Phase.STALLED})
_CONNECTED = frozenset({Phase.CONNECTED, Phase.LIVE}) | _SILENT
#: Ends that are nobody's wish.
_BROKEN = frozenset({Reason.TIMEOUT, Reason.ORIGIN_LOST, Reason.UNAUTHORIZED})
_FINAL = frozenset({Reason.KICKED, Reason.NODE_SHUTDOWN, Reason.REPLACED, Reason.UNAUTHORIZED, Reason.EXPIRED})


class Sessions:
    """Opens, finds and ends sessions, and publishes their hooks. The node channels report here."""

    def __init__(
        self,
        publish: PublishHook,
        *,
        clock: Clock,
        rng: random.Random,
        reconnect_window: float = 0.0,
        hook_events: frozenset[OptionalHook] = frozenset(),
        socket_events: Callable[[], bool] = lambda: True,
    ) -> None:
        self._hook_events = hook_events
        #: Says whether anybody takes the events of sockets.
        self._socket_events = socket_events
        self._publish = publish
        self._clock = clock
        self._rng = rng
        self._windows = ReconnectWindows(reconnect_window, self._did_not_come_back)
        self._sessions: dict[int, Session] = {}
        self._attempts = AttemptTable()
        # The same for all attempts: bound methods and partials of their own were a fortieth of an idle session.
        self._take, self._dialed, self._ended = self.report, self._dial_over, self._relay_over
        self._recording: dict[str, Session] = {}
        self._watchers: tuple[Callable[[Session], None], ...] = ()
        self._end_callbacks: tuple[Callable[[Session], None], ...] = ()
        self._default_customer_scope_logged = False
        #: Is given what was sent on a data channel: the session, whether by its client, and the text.
        self.overheard: Callable[[int, bool, str], None] = lambda session, by_client, text: None
        #: Says whether sessions may go on; when they may not, it has ended them.
        self.may_act: Callable[[], bool] = lambda: True

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def attempts(self) -> list[Attempt]:
        """The attempts that still have a relay or a living session."""
        return self._attempts.all()

    def attempt(self, token: str) -> Attempt | None:
        """Find an attempt."""
        known = self._attempts.find(token)
        return known and known[0]

    @property
    def waiting(self) -> list[int]:
        """The numbers of the sessions whose publishers were lost and may come back."""
        if not self._windows.seconds:
            return []
        return [session.number for session in self._sessions.values() if session.life.phase in _SILENT]

    def publishing(self) -> list[Session]:
        """Return the sessions whose streams are live, the oldest first."""
        return [session for session in self._sessions.values() if session.publishing]

    def connected(self) -> list[Session]:
        """Return the sessions whose transport is up, the oldest first."""
        return [session for session in self._sessions.values() if session.life.phase in _CONNECTED]

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

    def on_ended(self, callback: Callable[[Session], None]) -> Callable[[], None]:
        """Call back with each session that is over, once; return what ends that.

        Its last hook is published, and its origin not told yet. The callback must not block; what it raises is logged.
        """
        self._end_callbacks = (*self._end_callbacks, callback)

        def undo() -> None:
            self._end_callbacks = tuple(each for each in self._end_callbacks if each is not callback)

        return undo

    def refuse(
        self,
        connection: Connection,
        remote_ip: str,
        message: str | None = None,
        trace: ClientTrace | None = None,
        route_error: RouteError | None = None,
    ) -> int:
        """Publish that a connection was refused for what it brought; return its session number.

        ``route_error``: there is no origin for it.
        """
        life = self._new_life(connection.id or "", connection.app or "", remote_ip)
        context = Context()
        if trace is not None:
            trace.opened(life.number, connection)
            context = Context(traceparent=trace.traceparent)
        payloads: list[Payload] = []
        if route_error is not None and OptionalHook.ROUTE in self._hook_events:
            payloads += [
                RoutePayload(session=life.number, event="route_begin", remote_ip=remote_ip),
                RoutePayload(session=life.number, event="route_error", after_ms=0, error=route_error),
            ]
        for sequence, payload in enumerate(payloads + life.refuse(ConnectError.REJECTED, message), 1):
            self._publish(payload, sequence, connection, context)
        if trace is not None:
            trace.end(message or "rejected")
        return life.number

    def open(self, params: ConnectionParams, node: Node, client: Client, trace: ClientTrace | None = None) -> Attempt:
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
            session.trace = trace
            self.emit(session, session.life.accept())
        previous = session.attempt
        token = f"{session.number:x}-{self._rng.getrandbits(64):016x}"
        attempt = Attempt(
            token, session.number, params, node, client, report=self._take, dial_over=self._dialed, over=self._ended
        )
        self._attempts.add(attempt, session)
        session.attempt = attempt
        if trace is not None:
            attempt.trace = trace
            trace.opened(session.number, session.connection, node.address)
        session.life.remote_ip = client.remote_ip
        if OptionalHook.ROUTE in self._hook_events:
            begin = RoutePayload(session=session.number, event="route_begin", remote_ip=client.remote_ip)
            self.emit(session, [begin])
        self._publish_socket(session, "websocket_connected")
        if previous is not None:
            self._evict(previous)
            self._windows.open(session)  # open already, unless the publisher came back before it was given up
        return attempt

    def report(self, node: Node, report: Report) -> None:
        """Take a report of an origin, or of the relay in its place.

        One about an attempt that is not current is ignored.
        """
        if not self.may_act():
            return
        if isinstance(report, Load):
            node.load = report
            return
        if isinstance(report, RecordingEnded):  # the file may take longer than the session
            if (recorded := self._recording.pop(report.attempt, None)) is not None:
                payloads = recorded.life.recording_end(report.file, report.duration, report.size, report.error)
                self.emit(recorded, payloads)
            return
        known = self._attempts.find(report.attempt)
        if known is None:
            return
        attempt, session = known
        if attempt.node is not node or session.attempt is not attempt:
            return
        match report:
            case TrackStatistics(track=track):
                session.statistics[track] = report
                self._changed(session)
            case ChannelFrame(by_client=by_client, text=text):
                self.overheard(session.number, by_client, text)
            case AttemptFailed(error=error):
                if attempt.trace is not None and report.times is not None:
                    attempt.trace.transport(report.times, error.name.lower())
                self._attempt_failed(session, error)
            case PeerEnded(reason=reason, lost=lost):
                self._peer_ended(session, attempt, reason, lost=lost)
            case TrackMuted() if OptionalHook.MUTE not in self._hook_events:
                pass
            case TrackEnded() if self._windows.seconds and session.life.phase in _SILENT:
                # The tracks of a publisher that may come back go on with it; if it does not, the session's end ends them.
                pass
            case _:
                if isinstance(report, TransportUp):
                    attempt.up = True
                    if attempt.trace is not None and report.times is not None:
                        attempt.trace.transport(report.times)
                    self._windows.close(session)
                elif isinstance(report, MediaBack):
                    self._windows.close(session)
                elif isinstance(report, RecordingStarted):
                    self._recording[attempt.token] = session
                self.emit(session, take_report(session, report, self._clock.wall_ms()))

    def kick(self, attempt: Attempt) -> None:
        """End a session for the administrator, so that its client notices."""
        session = self._attempts.session_of(attempt)
        if attempt.node.command is not None:
            attempt.node.command(Kick(attempt.token))
        if session is None or session.over:
            return  # the origin knew the attempt, and sees to it that its client notices
        self.report(attempt.node, PeerEnded(attempt.token, Reason.KICKED))
        attempt.close_relay(1000, "ended by the administrator")

    def deny(self, attempt: Attempt, message: str) -> None:
        """End the session of a client that was let in before its credentials were refused."""
        session = self._attempts.session_of(attempt)
        if session is not None and session.attempt is attempt:
            self._expel(session, attempt, Reason.UNAUTHORIZED, message)

    def expire(self, number: int, message: str) -> None:
        """End a session whose time is up."""
        session = self._sessions.get(number)
        if session is not None and session.attempt is not None:
            self._expel(session, session.attempt, Reason.EXPIRED, message)

    def stop(self, reason: Reason = Reason.NODE_SHUTDOWN) -> None:
        """End every session, with its hooks."""
        for session in list(self._sessions.values()):
            self._finish(session, reason)
        self._attempts.stop()

    def _dial_over(self, attempt: Attempt, error: RouteError | None) -> None:
        """Publish what came of reaching the origin."""
        if OptionalHook.ROUTE not in self._hook_events or not self.may_act():
            return
        session = self._attempts.session_of(attempt)
        if session is None or session.over or session.attempt is not attempt:
            return
        after = max(0, self._clock.wall_ms() - attempt.client.since_ms)
        event = "route_success" if error is None else "route_error"
        outcome = RoutePayload(
            session=session.number, event=event, after_ms=after, origin=attempt.node.address, error=error
        )
        self.emit(session, [outcome])

    def _attempt_failed(self, session: Session, error: ConnectError) -> None:
        """End a session whose attempt failed before its transport was up."""
        if session.over:
            return
        if session.life.phase not in _SILENT:
            self.emit(session, session.life.refuse(error))
            if session.over:
                self._notify(self._end_callbacks, session)
                self._forget(session)
        elif not self._windows.is_open(session):  # it was to come back, and there is no time for another
            self._finish(session, Reason.TIMEOUT)

    def _peer_ended(self, session: Session, attempt: Attempt, reason: Reason, *, lost: bool) -> None:
        """End a session whose peer is gone, or wait: one whose connection broke may come back."""
        if session.over:
            return
        if (lost and reason is Reason.USER_ACTION) or (reason not in _FINAL and self._windows.is_returning(session)):
            reason = Reason.TIMEOUT  # a connection that broke is nobody's action, nor is a return that came to nothing
        if reason not in _FINAL and session.life.phase in _CONNECTED and self._windows.seconds:
            if lost and attempt.up:
                self.emit(session, session.life.gap())
                self._windows.open(session)
                return
            if not attempt.up and self._windows.is_open(session):
                return
        self._finish(session, reason)

    def _relay_over(self, attempt: Attempt) -> None:
        if (session := self._attempts.session_of(attempt)) is not None:
            self._publish_socket(session, "websocket_disconnected")
        self._attempts.release(attempt)

    def emit(self, session: Session, payloads: list[Payload]) -> None:
        """Publish hooks of a session, in order."""
        for payload in payloads:
            session.hooks += 1
            if logger.isEnabledFor(logging.INFO):
                logger.info("%s", _describe(payload), extra=session.about)
            self._publish(payload, session.hooks, session.connection, session.context)
            if session.trace is not None and isinstance(payload, SessionPayload):
                _end_trace(session.trace, payload)
            session.joined |= isinstance(payload, PeerPayload) and payload.event == "peer_joined"
            self._changed(session)

    def _changed(self, session: Session) -> None:
        self._notify(self._watchers, session)

    def _notify(self, callbacks: tuple[Callable[[Session], None], ...], session: Session) -> None:
        for callback in callbacks:
            try:
                callback(session)
            except Exception:
                logger.exception("a watcher of the sessions failed", extra=session.about)

    def _publish_socket(self, session: Session, event: str) -> None:
        """Publish an event of the client's socket, which has no number in the session's sequence."""
        if session.params.transport != "websocket" or not self._socket_events():
            return
        payload = WebSocketPayload(session=session.number, event=event)
        self._publish(payload, session.hooks, session.connection, session.context)

    def _new_life(self, peer: str, scope: str, remote_ip: str) -> SessionLife:
        number = session_number(self._rng)
        return SessionLife(number, peer=peer, scope=scope, remote_ip=remote_ip, clock=self._clock)

    def _waiting_for(self, params: ConnectionParams) -> Session | None:
        """Find the waiting session of the same stream, customer and user that this may continue."""
        if not self._windows.seconds or params.role is not Role.PUBLISHER:
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
        attempt.close_relay(1000, "the publisher is back on another connection")
        if (
            attempt.trace is not None
            and (session := self._attempts.session_of(attempt))
            and session.trace is not attempt.trace
        ):
            attempt.trace.end()
        self._attempts.release(attempt)

    def _expel(self, session: Session, attempt: Attempt, reason: Reason, message: str) -> None:
        """End a session so that its client notices."""
        if not session.over:
            self._finish(session, reason, message, command=Kick(attempt.token, reason))
            attempt.close_relay(1008, reason.name.lower())

    def _did_not_come_back(self, session: Session) -> None:
        self._finish(session, Reason.TIMEOUT)

    def _finish(
        self, session: Session, reason: Reason, message: str | None = None, command: Kick | None = None
    ) -> None:
        self._take_counters(session)
        payloads = session.life.end(reason, message)
        if (
            OptionalHook.STATISTICS in self._hook_events
            and payloads
            and isinstance(last := payloads[-1], SessionPayload)
            and last.duration is not None
        ):
            payloads[-1] = msgspec.structs.replace(last, media=session.media(last.duration))
        self.emit(session, payloads)
        self._notify(self._end_callbacks, session)
        attempt = session.attempt
        if attempt is not None and attempt.node.command is not None:
            # No news to an origin that has reported the end itself; any other must not go on with a stream that nobody knows.
            attempt.node.command(command or Evict(attempt.token))
        self._forget(session)

    def _take_counters(self, session: Session) -> None:
        """Ask an origin that does not know of the end yet for what it has counted."""
        attempt = session.attempt
        if attempt is None or not attempt.up or attempt.node.counters is None:
            return
        if last := attempt.node.counters(attempt.token):
            session.statistics.update({report.track: report for report in last})
            self._changed(session)

    def _forget(self, session: Session) -> None:
        self._windows.close(session)
        self._sessions.pop(session.number, None)
        attempt = session.attempt
        if attempt is None:
            return
        if attempt.trace is not None:
            attempt.trace.end()
        self._attempts.release(attempt)
        self._attempts.linger(attempt)


def _end_trace(trace: ClientTrace, payload: SessionPayload) -> None:
    """End a trace with the last hook of its session."""
    if payload.error is not None:
        trace.end(payload.error.name.lower())
    elif payload.reason is not None:
        reason = payload.reason.name.lower()
        trace.end(reason if payload.reason in _BROKEN else None, reason=reason)


def _describe(payload: Payload) -> str:
    """Describe a hook for the log."""
    known = {
        field: value.name.lower() if isinstance(value, IntEnum) else value
        for field in payload.__struct_fields__
        if field not in {"session", "state", "event", "media"} and (value := getattr(payload, field)) is not None
    }
    what = payload.state if isinstance(payload, SessionPayload) else payload.event
    return f"session {payload.session}: {what} " + " ".join(f"{field}={value}" for field, value in known.items())
