"""The life of a session, as a table.

Its inputs (``Input``) come from the relay, which reads the signaling, and from the origin, which sees the media, in whatever
order. The table has, for each phase, the inputs that count and the hooks that they make; an input that is not in the table
makes none. So each session's hooks follow one grammar::

    connect_error
  | connecting connect_error
  | connecting connected (gap)* disconnected
  | connecting connected (gap)* joined (gap | track)* track_ended* leaved disconnected      gap = reconnect reconnected?

and every start has exactly one end. Only the end of a recording may come later: its file takes its time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum, auto
from types import MappingProxyType

from smproxy.signaling.clock import Clock
from smproxy.signaling.payloads import (
    ConnectError,
    Kind,
    LocalTrackPayload,
    Payload,
    PeerPayload,
    Reason,
    RecordingPayload,
    RemoteTrackPayload,
    SessionPayload,
)


class Phase(IntEnum):
    """Where a session stands."""

    NEW = auto()
    CONNECTING = auto()  # the client is accepted
    STARTING = auto()  # the stream has started, the transport is not up yet
    CONNECTED = auto()  # the transport is up, no stream yet
    SILENT = auto()  # connected, but nothing comes from the peer
    LIVE = auto()  # the transport is up and the stream has started
    STALLED = auto()  # live, but nothing comes from the peer
    ENDED = auto()


class Input(IntEnum):
    """What can happen to a session."""

    ACCEPT = auto()
    REFUSE = auto()
    TRANSPORT_UP = auto()
    STREAM_START = auto()
    GAP = auto()
    BACK = auto()
    END = auto()


class Step(IntEnum):
    """What a transition makes known."""

    CONNECTING = auto()
    CONNECT_ERROR = auto()
    CONNECTED = auto()
    JOINED = auto()
    RECONNECT = auto()
    RECONNECTED = auto()
    UNWIND = auto()  # the ends of all that has started: tracks, then the peer
    DISCONNECTED = auto()


_Row = tuple[Phase, tuple[Step, ...]]

TABLE: Mapping[tuple[Phase, Input], _Row] = MappingProxyType(
    {
        (Phase.NEW, Input.ACCEPT): (Phase.CONNECTING, (Step.CONNECTING,)),
        (Phase.NEW, Input.REFUSE): (Phase.ENDED, (Step.CONNECT_ERROR,)),
        (Phase.CONNECTING, Input.TRANSPORT_UP): (Phase.CONNECTED, (Step.CONNECTED,)),
        (Phase.CONNECTING, Input.STREAM_START): (Phase.STARTING, ()),
        (Phase.CONNECTING, Input.REFUSE): (Phase.ENDED, (Step.CONNECT_ERROR,)),
        (Phase.CONNECTING, Input.END): (Phase.ENDED, (Step.CONNECT_ERROR,)),
        (Phase.STARTING, Input.TRANSPORT_UP): (Phase.LIVE, (Step.CONNECTED, Step.JOINED)),
        (Phase.STARTING, Input.REFUSE): (Phase.ENDED, (Step.CONNECT_ERROR,)),
        (Phase.STARTING, Input.END): (Phase.ENDED, (Step.CONNECT_ERROR,)),
        (Phase.CONNECTED, Input.STREAM_START): (Phase.LIVE, (Step.JOINED,)),
        (Phase.CONNECTED, Input.GAP): (Phase.SILENT, (Step.RECONNECT,)),
        (Phase.CONNECTED, Input.END): (Phase.ENDED, (Step.DISCONNECTED,)),
        (Phase.SILENT, Input.BACK): (Phase.CONNECTED, (Step.RECONNECTED,)),
        (Phase.SILENT, Input.TRANSPORT_UP): (Phase.CONNECTED, (Step.RECONNECTED,)),
        (Phase.SILENT, Input.STREAM_START): (Phase.STALLED, (Step.JOINED,)),
        (Phase.SILENT, Input.END): (Phase.ENDED, (Step.DISCONNECTED,)),
        (Phase.LIVE, Input.GAP): (Phase.STALLED, (Step.RECONNECT,)),
        (Phase.LIVE, Input.END): (Phase.ENDED, (Step.UNWIND, Step.DISCONNECTED)),
        (Phase.STALLED, Input.BACK): (Phase.LIVE, (Step.RECONNECTED,)),
        (Phase.STALLED, Input.TRANSPORT_UP): (Phase.LIVE, (Step.RECONNECTED,)),
        (Phase.STALLED, Input.END): (Phase.ENDED, (Step.UNWIND, Step.DISCONNECTED)),
    }
)

#: An attempt that ends before it is connected has an error, not a reason.
ERROR_OF_END: Mapping[Reason, ConnectError] = MappingProxyType(
    {
        Reason.USER_ACTION: ConnectError.TIMEOUT,  # the client gave up waiting, or left
        Reason.TIMEOUT: ConnectError.TIMEOUT,
        Reason.NODE_SHUTDOWN: ConnectError.ORIGIN_ERROR,
        Reason.KICKED: ConnectError.REJECTED,
        Reason.ORIGIN_LOST: ConnectError.ORIGIN_UNREACHABLE,
        Reason.REPLACED: ConnectError.NAME_IN_USE,
        Reason.UNAUTHORIZED: ConnectError.REJECTED,
        Reason.EXPIRED: ConnectError.REJECTED,
    }
)


class SessionLife:
    """One session: inputs in, hook payloads out.

    Does no I/O and never raises for an input that comes out of turn.
    """

    __slots__ = (
        "_began", "_clock", "_connected", "_gap_began", "_muted", "_muted_told", "_recording", "_slots", "_started",
        "_waiting", "number", "peer", "phase", "remote_ip", "scope",
    )  # fmt: skip

    def __init__(self, number: int, *, peer: str, scope: str, remote_ip: str, clock: Clock) -> None:
        self.number = number
        self.peer = peer
        self.scope = scope
        self.remote_ip = remote_ip
        self.phase = Phase.NEW
        self._clock = clock
        self._began = self._connected = self._gap_began = clock.monotonic()
        self._started: dict[str, Kind] = {}
        #: The tracks that the client has muted, and those of which that was told.
        self._muted = self._muted_told = _NO_TRACKS
        self._slots: dict[int, _Slot] = {}
        self._recording: str | None = None
        #: What was told too early, told again when the session is live.
        self._waiting: list[Callable[[], list[Payload]]] = []

    @property
    def tracks(self) -> Mapping[str, Kind]:
        """The tracks whose start was emitted and whose end was not."""
        return MappingProxyType(self._started)

    def accept(self) -> list[Payload]:
        """The client is connected and its parameters are valid."""
        self._began = self._clock.monotonic()
        return self._feed(Input.ACCEPT)

    def refuse(self, error: ConnectError, message: str | None = None) -> list[Payload]:
        """The attempt cannot succeed. Ignored once the transport is up."""
        return self._feed(Input.REFUSE, error=error, message=message)

    def transport_up(self) -> list[Payload]:
        """Media can flow (again)."""
        return self._feed(Input.TRANSPORT_UP)

    def stream_start(self, *, peer: str | None = None, scope: str | None = None) -> list[Payload]:
        """The origin has started the stream, under this name if it gave one."""
        if self.phase in _NOT_JOINED:
            self.peer, self.scope = peer or self.peer, scope or self.scope
        return self._feed(Input.STREAM_START)

    def gap(self) -> list[Payload]:
        """Nothing comes from the peer, or it was lost and may come back."""
        return self._feed(Input.GAP)

    def back(self) -> list[Payload]:
        """Packets come again."""
        return self._feed(Input.BACK)

    def end(self, reason: Reason, message: str | None = None) -> list[Payload]:
        """The session is over."""
        return self._feed(Input.END, reason=reason, message=message)

    def track_start(self, track: str, kind: Kind) -> list[Payload]:
        """The first packet of a track came.

        Emitted once the stream is live, for packets may outrun the signaling.
        """
        return self._when_live(lambda: self._track_start(track, kind))

    def track_end(self, track: str) -> list[Payload]:
        """A track is over."""
        kind = self._started.pop(track, None)
        self._muted_told -= {track}
        if kind is None:
            return self._when_live(lambda: self.track_end(track)) if self._waiting else []
        return [self._remote(track, kind, "remote_track_ended")]

    def track_mute(self, track: str, *, muted: bool) -> list[Payload]:
        """The client mutes a track, or no longer does.

        Emitted between the track's start and its end.
        """
        self._muted = self._muted | {track} if muted else self._muted - {track}
        return self._when_live(lambda: self._mute_changed(track))

    def unmute_all(self) -> list[Payload]:
        """Another page publishes now: what the one before muted is muted no more."""
        return [payload for track in sorted(self._muted) for payload in self.track_mute(track, muted=False)]

    def slot(self, number: int, kind: Kind) -> list[Payload]:
        """A place for media to this subscriber was made."""
        return self._when_live(lambda: self._slot_made(number, kind))

    def attach(self, number: int, remote_peer: str, remote_track: str) -> list[Payload]:
        """A slot has a source from now on; the one it had before is detached first."""
        return self._when_live(lambda: self._slot_attached(number, remote_peer, remote_track))

    def detach(self, number: int) -> list[Payload]:
        """A slot has no source any more."""
        if self._waiting and self.phase is not Phase.LIVE:
            # Behind the attachment, if that is what waits.
            return self._when_live(lambda: self.detach(number))
        slot = self._slots.get(number)
        return [] if slot is None else slot.detach(self.number)

    def recording_start(self, file: str) -> list[Payload]:
        """The stream is being written to a file."""
        return self._when_live(lambda: self._recording_started(file))

    def recording_end(self, file: str, duration: int, size: int, error: str | None) -> list[Payload]:
        """The file is complete, or could not be written.

        Emitted after the session's end too, if its start was emitted.
        """
        event = "recording_saved" if error is None else "recording_failed"
        ended = RecordingPayload(session=self.number, event=event, file=file, duration=duration, size=size, error=error)
        if self._recording is None:
            return self._when_live(lambda: self._recording_ended(ended))
        return self._recording_ended(ended)

    def _feed(
        self,
        event: Input,
        *,
        reason: Reason | None = None,
        error: ConnectError | None = None,
        message: str | None = None,
    ) -> list[Payload]:
        row = TABLE.get((self.phase, event))
        if row is None:
            return []
        self.phase, steps = row
        payloads: list[Payload] = []
        for step in steps:
            payloads += self._tell(step, reason, error, message)
        if self.phase is Phase.LIVE:
            waiting, self._waiting = self._waiting, []
            for told in waiting:
                payloads += told()
        return payloads

    def _tell(
        self, step: Step, reason: Reason | None, error: ConnectError | None, message: str | None
    ) -> list[Payload]:
        now = self._clock.monotonic()
        match step:
            case Step.CONNECTING:
                return [SessionPayload(session=self.number, state="connecting", remote_ip=self.remote_ip)]
            case Step.CONNECT_ERROR:
                told = error if error is not None else ERROR_OF_END[reason or Reason.USER_ACTION]
                after = _ms(now - self._began)
                return [
                    SessionPayload(
                        session=self.number, state="connect_error", after_ms=after, error=told, message=message
                    )
                ]
            case Step.CONNECTED:
                self._connected = now
                after = _ms(now - self._began)
                return [
                    SessionPayload(session=self.number, state="connected", remote_ip=self.remote_ip, after_ms=after)
                ]
            case Step.JOINED:
                return [self._peer("peer_joined")]
            case Step.RECONNECT:
                self._gap_began = now
                return [SessionPayload(session=self.number, state="reconnect", remote_ip=self.remote_ip)]
            case Step.RECONNECTED:
                after = _ms(now - self._gap_began)
                return [
                    SessionPayload(session=self.number, state="reconnected", remote_ip=self.remote_ip, after_ms=after)
                ]
            case Step.UNWIND:
                ended = [payload for track in list(self._started) for payload in self.track_end(track)]
                detached = [payload for slot in self._slots.values() for payload in slot.detach(self.number)]
                return [*ended, *detached, self._peer("peer_leaved")]
            case Step.DISCONNECTED:
                duration = _ms(now - self._connected)
                return [
                    SessionPayload(
                        session=self.number, state="disconnected", duration=duration, reason=reason, message=message
                    )
                ]

    def _when_live(self, tell: Callable[[], list[Payload]]) -> list[Payload]:
        """Emit now if the session is live, else when it will be; packets may outrun the signaling."""
        if self.phase is Phase.LIVE:
            return tell()
        if self.phase is not Phase.ENDED and len(self._waiting) < _MAX_WAITING:
            self._waiting.append(tell)
        return []

    def _track_start(self, track: str, kind: Kind) -> list[Payload]:
        if track in self._started:
            return []
        self._started[track] = kind
        return [self._remote(track, kind, "remote_track_started"), *self._mute_changed(track)]

    def _mute_changed(self, track: str) -> list[Payload]:
        kind, muted = self._started.get(track), track in self._muted
        if kind is None or muted == (track in self._muted_told):
            return []
        self._muted_told ^= {track}
        return [self._remote(track, kind, "remote_track_muted" if muted else "remote_track_unmuted")]

    def _slot_made(self, number: int, kind: Kind) -> list[Payload]:
        if number in self._slots:
            return []
        self._slots[number] = _Slot(number)
        return [LocalTrackPayload(session=self.number, track=number, event="local_track", kind=kind)]

    def _slot_attached(self, number: int, remote_peer: str, remote_track: str) -> list[Payload]:
        slot = self._slots.get(number)
        return [] if slot is None else slot.attach(self.number, (remote_peer, remote_track))

    def _recording_started(self, file: str) -> list[Payload]:
        if self._recording is not None:
            return []
        self._recording = file
        return [RecordingPayload(session=self.number, event="recording_started", file=file)]

    def _peer(self, event: str) -> PeerPayload:
        return PeerPayload(session=self.number, peer=self.peer, room=self.scope, event=event)

    def _recording_ended(self, ended: RecordingPayload) -> list[Payload]:
        if self._recording is None and ended.error is None:
            return []
        self._recording = None
        return [ended]

    def _remote(self, track: str, kind: Kind, event: str) -> RemoteTrackPayload:
        return RemoteTrackPayload(session=self.number, track=track, kind=kind, event=event)


class _Slot:
    """A place for media to a subscriber, and where it comes from."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._source: tuple[str, str] | None = None

    def attach(self, session: int, source: tuple[str, str]) -> list[Payload]:
        if source == self._source:
            return []
        detached = self.detach(session)
        self._source = source
        return [*detached, self._tell(session, "local_track_attached", source)]

    def detach(self, session: int) -> list[Payload]:
        source, self._source = self._source, None
        return [] if source is None else [self._tell(session, "local_track_detached", source)]

    def _tell(self, session: int, event: str, source: tuple[str, str]) -> Payload:
        peer, track = source
        return LocalTrackPayload(session=session, track=self._number, event=event, remote_peer=peer, remote_track=track)


#: Phases in which ``peer_joined`` has not been told, so that the stream's name may still be learned.
_NOT_JOINED = frozenset({Phase.NEW, Phase.CONNECTING, Phase.CONNECTED, Phase.SILENT})

#: One for all sessions: an empty set is 216 bytes.
_NO_TRACKS: frozenset[str] = frozenset()

#: Reports of one session that may wait for it to be live.
_MAX_WAITING = 64


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))
