"""Sessions as they are shown: those that live, and the last of those that have ended."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

import msgspec

from smproxy.hooks.event import Context, HookEvent
from smproxy.manager.session import Session
from smproxy.manager.views import AuthenticationView, Direction, SessionView, State, TrackKind, TrackView
from smproxy.signaling.clock import Clock
from smproxy.signaling.node_channel import TrackStatistics
from smproxy.signaling.payloads import (
    Connection,
    Kind,
    RecordingPayload,
    RemoteTrackPayload,
    Role,
    SessionPayload,
)
from smproxy.signaling.redaction import redact_value
from smproxy.signaling.session import Phase

#: Ended sessions that are remembered.
KEPT = 1_000

_STATE_OF_PHASE: dict[Phase, State] = {
    Phase.NEW: "connecting",
    Phase.CONNECTING: "connecting",
    Phase.STARTING: "connecting",
    Phase.CONNECTED: "connected",
    Phase.LIVE: "connected",
    Phase.SILENT: "reconnecting",
    Phase.STALLED: "reconnecting",
    Phase.ENDED: "disconnected",
}


@dataclass(slots=True)
class _Rate:
    """The last two reports of one track, as far as a bitrate needs them."""

    report: TrackStatistics
    at: float
    bits_per_second: int = 0


@dataclass(slots=True)
class _Entry:
    """What is known of one session. ``session`` is dropped when the view is final."""

    number: int
    connection: Connection
    started_at: int
    session: Session | None = None
    remote_ip: str | None = None
    connected_at: int | None = None
    ended_at: int | None = None
    failed: bool = False
    reason: str | None = None
    error: str | None = None
    hooks: int = 0
    recording: bool = False
    kinds: dict[str, Kind] = field(default_factory=dict)
    rates: dict[str, _Rate] = field(default_factory=dict)
    final: SessionView | None = None


class History:
    """Keep the hooks and outcomes of each session.

    Only the last ``kept`` ended sessions are remembered.

    ``faults_of`` names the faults of a session, ``verdict_on`` returns what was decided on it.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        kept: int = KEPT,
        faults_of: Callable[[int], Collection[str]] = lambda _: (),
        verdict_on: Callable[[int], AuthenticationView | None] = lambda _: None,
        node: str | msgspec.UnsetType = msgspec.UNSET,
    ) -> None:
        #: The name of this node in its cluster, if it is in one.
        self.node = node
        self._clock = clock
        self._kept = kept
        self._faults_of = faults_of
        self._verdict_on = verdict_on
        self._entries: dict[int, _Entry] = {}
        self._ended: dict[int, None] = {}
        self._forgotten: tuple[Callable[[int], None], ...] = ()

    def on_forgotten(self, callback: Callable[[int], None]) -> None:
        """Have ``callback`` called with the number of each session that is no longer remembered."""
        self._forgotten = (*self._forgotten, callback)

    def hook_published(self, event: HookEvent, context: Context) -> None:
        """Take a hook of a live session, or of a connection that was refused and never became one."""
        payload, connection = event.payload, event.connection
        if context.synthetic:
            return
        entry = self._entries.get(payload.session)
        if entry is None:
            if not (isinstance(payload, SessionPayload) and payload.state in ("connecting", "connect_error")):
                return  # it was forgotten
            entry = _Entry(payload.session, connection, self._clock.wall_ms())
            self._entries[payload.session] = entry
        entry.connection = connection
        if isinstance(payload, SessionPayload):
            self._session_told(entry, payload)
        elif isinstance(payload, RemoteTrackPayload):
            entry.kinds[payload.track] = payload.kind
        elif isinstance(payload, RecordingPayload):
            entry.recording = payload.event == "recording_started"

    def seen(self, session: Session) -> None:
        """Note a change of a session: a hook that ``told`` has already, or statistics."""
        entry = self._entries.get(session.number)
        if entry is None:
            return
        entry.hooks = session.hooks
        if entry.final is not None:  # what became of its recording
            entry.final = msgspec.structs.replace(entry.final, hooks=entry.hooks)
            return
        entry.session = session
        if session.statistics:
            self._count(entry, session)
        if entry.ended_at is not None:
            entry.final = self._view(entry)
            entry.session = None

    def get(self, number: int) -> SessionView | None:
        """Return one session."""
        entry = self._entries.get(number)
        return None if entry is None else self._shown(entry)

    def live(self, number: int) -> Session | None:
        """Return a session that has not ended."""
        entry = self._entries.get(number)
        return None if entry is None else entry.session

    def session_of_agent(self, user_agent: str) -> int | None:
        """Return the newest session whose client has this user agent, ``None`` if there is none."""
        for number, entry in reversed(self._entries.items()):
            session = entry.session
            attempt = None if session is None else session.attempt
            known = attempt.client.user_agent if attempt else None if entry.final is None else entry.final.user_agent
            if known == user_agent:
                return number
        return None

    def living(self) -> list[Session]:
        """Return the sessions that have not ended, the oldest first."""
        return [entry.session for entry in self._entries.values() if entry.session is not None]

    def numbers(self) -> list[int]:
        """Return the numbers of the sessions that are known, the oldest first."""
        return list(self._entries)

    def newest(self) -> Iterator[SessionView]:
        """Yield every session that is known, the newest first."""
        for entry in reversed(list(self._entries.values())):
            yield self._shown(entry)

    def clear(self) -> int:
        """Forget the sessions that have ended; return how many."""
        count = len(self._ended)
        while self._ended:
            self._forget_oldest()
        return count

    def recording(self, session: Session) -> bool:
        """Return whether a file of a session is being written."""
        entry = self._entries.get(session.number)
        return entry is not None and entry.recording

    def tracks(self, session: Session) -> list[TrackView]:
        """Return the tracks of a session that lives."""
        entry = self._entries.get(session.number)
        return [] if entry is None else self._tracks(entry, session)

    def _session_told(self, entry: _Entry, payload: SessionPayload) -> None:
        now = self._clock.wall_ms()
        entry.remote_ip = payload.remote_ip or entry.remote_ip
        if payload.state == "connected":
            entry.connected_at = entry.connected_at or now
        elif payload.state in ("disconnected", "connect_error"):
            entry.failed = payload.state == "connect_error"
            entry.ended_at = now
            entry.reason = None if payload.reason is None else payload.reason.name.lower()
            entry.error = None if payload.error is None else payload.error.name.lower()
            entry.hooks += entry.session is None
            self._ended[entry.number] = None
            while len(self._ended) > self._kept:
                self._forget_oldest()

    def _forget_oldest(self) -> None:
        number = next(iter(self._ended))
        del self._ended[number]
        self._entries.pop(number, None)
        for callback in self._forgotten:
            callback(number)

    def _count(self, entry: _Entry, session: Session) -> None:
        """Take in new reports. One comes every few seconds, and is the same object until the next."""
        now = self._clock.monotonic()
        for name, report in session.statistics.items():
            known = entry.rates.get(name)
            if known is None:
                entry.rates[name] = _Rate(report, now)
            elif known.report is not report:
                bits, seconds = (report.bytes - known.report.bytes) * 8, now - known.at
                rate = max(0, round(bits / seconds)) if seconds > 0 else known.bits_per_second
                entry.rates[name] = _Rate(report, now, rate)

    def _shown(self, entry: _Entry) -> SessionView:
        return entry.final or self._view(entry)

    def _view(self, entry: _Entry) -> SessionView:
        connection, session = entry.connection, entry.session
        attempt = session.attempt if session is not None else None
        subscriber = connection.role is Role.SUBSCRIBER
        stream = scope = None
        if session is not None:
            stream = session.watched if subscriber else session.life.peer
            scope = session.life.scope
        state: State = "failed"
        if not entry.failed and session is not None:
            state = _STATE_OF_PHASE[session.life.phase]
        end = entry.ended_at if entry.ended_at is not None else self._clock.wall_ms()
        return SessionView(
            session=entry.number,
            state=state,
            role="subscriber" if subscriber else "publisher",
            transport=connection.transport,
            id=connection.id,
            stream=stream,
            app=connection.app,
            scope=scope,
            username=connection.username,
            customer_scope=connection.customer_scope,
            recording=connection.recording,
            meta=None if connection.meta is None else redact_value(connection.meta),
            remote_ip=attempt.client.remote_ip if attempt is not None else entry.remote_ip,
            user_agent=attempt.client.user_agent if attempt is not None else None,
            origin=attempt.node.address if attempt is not None else None,
            started_at=entry.started_at,
            connected_at=entry.connected_at,
            ended_at=entry.ended_at,
            duration_ms=max(0, end - entry.started_at),
            reason=entry.reason,
            error=entry.error,
            hooks=entry.hooks,
            faults=list(self._faults_of(entry.number)),
            authentication=self._verdict_on(entry.number),
            tracks=[] if session is None else self._tracks(entry, session),
            node=self.node,
        )

    def _tracks(self, entry: _Entry, session: Session) -> list[TrackView]:
        direction: Direction = "local" if session.role is Role.SUBSCRIBER else "remote"
        views = []
        for name in dict.fromkeys((*entry.kinds, *session.statistics)):
            report = session.statistics.get(name) or TrackStatistics("", name, "", 0, 0, 0)  # none has come yet
            rate = entry.rates.get(name)
            views.append(
                TrackView(
                    track=name,
                    kind=_kind(entry.kinds.get(name), report),
                    direction=direction,
                    codec=report.codec,
                    width=report.width,
                    height=report.height,
                    packets=report.packets,
                    bytes=report.bytes,
                    lost=report.lost,
                    frames=report.frames,
                    key_frames=report.key_frames,
                    bitrate=rate.bits_per_second if rate is not None else 0,
                    rtt_ms=report.rtt_ms,
                )
            )
        return views


def _kind(told: Kind | None, report: TrackStatistics) -> TrackKind:
    """Return the kind that a hook has, or what name and codec suggest."""
    if told is None:
        told = Kind.AUDIO if report.track.startswith("audio") or report.codec.lower() == "opus" else Kind.VIDEO
    return "audio" if told is Kind.AUDIO else "video"
