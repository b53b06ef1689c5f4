"""The payloads of lifecycle hooks and what their numbers mean.

The first four payload shapes and the values of ``Reason`` 0 to 3 and ``ConnectError`` 0 to 1 follow the atm0s media server's
"third party system hook"; the others are this project's. A field that has no value is sent as ``null``.
They hold no cycles, so the garbage collector need not know them (``gc=False``).
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Any, Literal, TypeAlias

import msgspec

#: How a client speaks: over the vendor's WebSocket protocol, or over HTTP as a publisher or a subscriber.
Transport: TypeAlias = Literal["websocket", "whip", "whep"]


class Role(StrEnum):
    """What the client on a connection does."""

    PUBLISHER = "publisher"
    SUBSCRIBER = "subscriber"


class Kind(IntEnum):
    """Kind of a media track."""

    AUDIO = 0
    VIDEO = 1


class Reason(IntEnum):
    """Why a connected session ended."""

    USER_ACTION = 0
    TIMEOUT = 1
    NODE_SHUTDOWN = 2
    KICKED = 3
    ORIGIN_LOST = 4
    REPLACED = 5
    UNAUTHORIZED = 6
    EXPIRED = 7


class ConnectError(IntEnum):
    """Why an attempt never became a connected session."""

    INVALID_SDP = 0
    TIMEOUT = 1
    ORIGIN_UNREACHABLE = 2
    REJECTED = 3
    NAME_IN_USE = 4
    ORIGIN_ERROR = 5
    DTLS_FAILED = 6


class RouteError(IntEnum):
    """Why a client got no origin."""

    POOL_EMPTY = 0
    TIMEOUT = 1
    GATEWAY_ERROR = 2
    MEDIA_ERROR = 3


class Connection(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename={"customer_scope": "customerScope"}):
    """The part of the connection parameters that travels with every hook.

    It has no password by design.
    """

    id: str | None
    username: str | None
    customer_scope: str | None
    recording: bool
    meta: dict[str, Any] | None
    app: str | None
    role: Role
    transport: Transport = "websocket"


class SessionMedia(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The media of a session: what a publisher sent, what a subscriber was sent.

    Summed over the tracks of its last connection, as they were at the end; where the origin is on another machine, as it
    reported them last, at most a second before.
    ``lost`` packets as in RTCP; ``bitrate``: bits per second on average while it was connected.
    """

    packets: int
    bytes: int
    lost: int
    bitrate: int


class SessionPayload(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Payload of the event ``session``; times are milliseconds.

    ``message``: why a client was refused, in words. ``media`` is there in ``disconnected`` only, and where it is asked for.
    """

    session: int
    state: str
    remote_ip: str | None = None
    after_ms: int | None = None
    duration: int | None = None
    reason: Reason | None = None
    error: ConnectError | None = None
    message: str | None = None
    media: SessionMedia | msgspec.UnsetType = msgspec.UNSET


class PeerPayload(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Payload of the event ``peer``."""

    session: int
    peer: str
    room: str
    event: str


class RemoteTrackPayload(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Payload of the event ``remote_track``: media that the client sends to the server."""

    session: int
    track: str
    kind: Kind
    event: str


class LocalTrackPayload(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Payload of the event ``local_track``: media that the server sends to a subscriber."""

    session: int
    track: int
    event: str
    kind: Kind | None = None
    remote_peer: str | None = None
    remote_track: str | None = None


class RecordingPayload(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Payload of the event ``recording``: a publisher's stream is written to a file.

    ``file`` is relative to the recordings' directory, ``duration`` in milliseconds, ``size`` in bytes. What is saved is told
    when the file is complete, so it may be the one event that follows ``disconnected``.
    """

    session: int
    event: str
    file: str
    duration: int | None = None
    size: int | None = None
    error: str | None = None


class StatsPayload(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Payload of the event ``stats``: the media so far of a session that is connected.

    The numbers are those of :class:`SessionMedia`, but ``bitrate`` is that since the last of these events, and ``rtt_ms`` the
    last round-trip time in milliseconds, where one is known.
    """

    session: int
    event: str
    packets: int
    bytes: int
    lost: int
    bitrate: int
    rtt_ms: float | None = None


class RoutePayload(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Payload of the event ``route``: the manager chooses an origin for a client, and dials it.

    ``origin`` is its address, ``after_ms`` the milliseconds since ``route_begin``.
    """

    session: int
    event: str
    remote_ip: str | None = None
    after_ms: int | None = None
    origin: str | None = None
    error: RouteError | None = None


class RoomPayload(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Payload of the event ``room``: the first peer joins, the last one leaves, it is over.

    ``session`` is a number of the room's own, from its start to its end; ``peers`` counts those that have joined so far,
    ``duration`` is in milliseconds. Rooms of different customer scopes are different rooms.
    """

    session: int
    room: str
    event: str
    peers: int | None = None
    duration: int | None = None


class WebSocketPayload(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Payload of the internal event ``websocket``: the client's socket opened or closed.

    It is journalled for the formats that tell of sockets and is not part of the hooks of this project's own schema.
    """

    session: int
    event: str


Payload: TypeAlias = (
    SessionPayload
    | PeerPayload
    | RemoteTrackPayload
    | LocalTrackPayload
    | RecordingPayload
    | StatsPayload
    | RoutePayload
    | RoomPayload
    | WebSocketPayload
)

#: The value of the envelope's ``event`` for each payload.
EVENT_OF: dict[type[Payload], str] = {
    SessionPayload: "session",
    PeerPayload: "peer",
    RemoteTrackPayload: "remote_track",
    LocalTrackPayload: "local_track",
    RecordingPayload: "recording",
    StatsPayload: "stats",
    RoutePayload: "route",
    RoomPayload: "room",
    WebSocketPayload: "websocket",
}

#: States with which a session, or a room, is over.
LAST_STATES: tuple[str, ...] = ("disconnected", "connect_error", "room_stopped")

#: Events that only other formats know; they have no place in a session's own sequence.
INTERNAL_EVENTS = frozenset({"websocket"})
