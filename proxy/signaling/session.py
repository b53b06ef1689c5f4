"""The life of a session, as a table.

A session is told what happened (``Input``), by the relay that reads the signaling and by the origin that sees the media, in
whatever order the two come. The table says in which phase what counts and which hooks it makes; what is not in the table is
no news and makes none. So each session's hooks follow one grammar::

    connect_error
  | connecting connect_error
  | connecting connected (gap)* disconnected
  | connecting connected (gap)* joined (gap | track)* track_ended* leaved disconnected      gap = reconnect reconnected?

and every start has exactly one end.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType

from proxy.signaling.clock import Clock
from proxy.signaling.payloads import (
    ConnectError,
    Kind,
    Payload,
    PeerPayload,
    Reason,
    RemoteTrackPayload,
    SessionPayload,
)


class Phase(Enum):
    """Where a session stands."""

    NEW = auto()
    CONNECTING = auto()  # the client is accepted
    STARTING = auto()  # the stream has started, the transport is not up yet
    CONNECTED = auto()  # the transport is up, no stream yet
    SILENT = auto()  # connected, but nothing comes from the peer
    LIVE = auto()  # the transport is up and the stream has started
    STALLED = auto()  # live, but nothing comes from the peer
    ENDED = auto()


class Input(Enum):
    """What can happen to a session."""

    ACCEPT = auto()
    REFUSE = auto()
    TRANSPORT_UP = auto()
    STREAM_START = auto()
    GAP = auto()
    BACK = auto()
    END = auto()


class Step(Enum):
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
    }
)


class SessionLife:
    """One session: inputs in, hook payloads out. Does no I/O and never raises for an input that comes out of turn."""

    def __init__(self, number: int, *, peer: str, room: str, remote_ip: str, clock: Clock) -> None:
        self.number = number
        self.peer = peer
        self.room = room
        self.remote_ip = remote_ip
        self.phase = Phase.NEW
        self._clock = clock
        self._began = self._connected = self._gap_began = clock.monotonic()
        self._started: dict[str, Kind] = {}
        self._pending: dict[str, Kind] = {}

    @property
    def tracks(self) -> Mapping[str, Kind]:
        """The tracks whose start was told and whose end was not."""
        return MappingProxyType(self._started)

    def accept(self) -> list[Payload]:
        """The client is connected and its parameters are valid."""
        self._began = self._clock.monotonic()
        return self._feed(Input.ACCEPT)

    def refuse(self, error: ConnectError) -> list[Payload]:
        """The attempt cannot succeed. No news once the transport is up."""
        return self._feed(Input.REFUSE, error=error)

    def transport_up(self) -> list[Payload]:
        """Media can flow (again)."""
        return self._feed(Input.TRANSPORT_UP)

    def stream_start(self, *, peer: str | None = None, room: str | None = None) -> list[Payload]:
        """The origin has started the stream, under this name when it told one."""
        if self.phase in _NOT_JOINED:
            self.peer, self.room = peer or self.peer, room or self.room
        return self._feed(Input.STREAM_START)

    def gap(self) -> list[Payload]:
        """Nothing comes from the peer, or it was lost and may come back."""
        return self._feed(Input.GAP)

    def back(self) -> list[Payload]:
        """Packets come again."""
        return self._feed(Input.BACK)

    def end(self, reason: Reason) -> list[Payload]:
        """The session is over."""
        return self._feed(Input.END, reason=reason)

    def track_start(self, track: str, kind: Kind) -> list[Payload]:
        """The first packet of a track came. Told once the stream is live, for packets may outrun the signaling."""
        if self.phase is Phase.ENDED or track in self._started:
            return []
        self._pending.setdefault(track, kind)
        return self._start_pending()

    def track_end(self, track: str) -> list[Payload]:
        """A track is over."""
        self._pending.pop(track, None)
        kind = self._started.pop(track, None)
        return [] if kind is None else [self._track(track, kind, "remote_track_ended")]

    def _feed(self, event: Input, *, reason: Reason | None = None, error: ConnectError | None = None) -> list[Payload]:
        row = TABLE.get((self.phase, event))
        if row is None:
            return []
        self.phase, steps = row
        payloads: list[Payload] = []
        for step in steps:
            payloads += self._tell(step, reason, error)
        return payloads + self._start_pending()

    def _tell(self, step: Step, reason: Reason | None, error: ConnectError | None) -> list[Payload]:
        now = self._clock.monotonic()
        match step:
            case Step.CONNECTING:
                return [self._session("connecting", remote_ip=self.remote_ip)]
            case Step.CONNECT_ERROR:
                told = error if error is not None else ERROR_OF_END[reason or Reason.USER_ACTION]
                return [self._session("connect_error", after_ms=_ms(now - self._began), error=told)]
            case Step.CONNECTED:
                self._connected = now
                return [self._session("connected", remote_ip=self.remote_ip, after_ms=_ms(now - self._began))]
            case Step.JOINED:
                return [self._peer("peer_joined")]
            case Step.RECONNECT:
                self._gap_began = now
                return [self._session("reconnect", remote_ip=self.remote_ip)]
            case Step.RECONNECTED:
                after = _ms(now - self._gap_began)
                return [self._session("reconnected", remote_ip=self.remote_ip, after_ms=after)]
            case Step.UNWIND:
                ended = [payload for track in list(self._started) for payload in self.track_end(track)]
                return [*ended, self._peer("peer_leaved")]
            case Step.DISCONNECTED:
                duration = _ms(now - self._connected)
                return [self._session("disconnected", duration=duration, reason=reason)]

    def _start_pending(self) -> list[Payload]:
        if self.phase is not Phase.LIVE or not self._pending:
            return []
        started, self._pending = self._pending, {}
        self._started |= started
        return [self._track(track, kind, "remote_track_started") for track, kind in started.items()]

    def _session(
        self,
        state: str,
        *,
        remote_ip: str | None = None,
        after_ms: int | None = None,
        duration: int | None = None,
        reason: Reason | None = None,
        error: ConnectError | None = None,
    ) -> SessionPayload:
        return SessionPayload(
            session=self.number,
            state=state,
            remote_ip=remote_ip,
            after_ms=after_ms,
            duration=duration,
            reason=reason,
            error=error,
        )

    def _peer(self, event: str) -> PeerPayload:
        return PeerPayload(session=self.number, peer=self.peer, room=self.room, event=event)

    def _track(self, track: str, kind: Kind, event: str) -> RemoteTrackPayload:
        return RemoteTrackPayload(session=self.number, track=track, kind=kind, event=event)


#: Phases in which ``peer_joined`` has not been told, so that the stream's name may still be learned.
_NOT_JOINED = frozenset({Phase.NEW, Phase.CONNECTING, Phase.CONNECTED, Phase.SILENT})


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))
