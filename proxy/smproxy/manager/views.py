"""The values that the control API shows. Their fields are the JSON keys, in camel case."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from smproxy.manager.service_state import ServiceState
from smproxy.signaling.payloads import Transport

State: TypeAlias = Literal["connecting", "connected", "reconnecting", "disconnected", "failed"]
Direction: TypeAlias = Literal["remote", "local"]
TrackKind: TypeAlias = Literal["audio", "video"]


class _View(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class TrackView(_View, frozen=True):
    """One track.

    ``direction`` is ``remote`` for what the client sends, ``local`` for what it is sent.

    Counters since the start, as the origin reported them last; ``bitrate`` in bits per second, between its last two reports;
    ``rttMs`` is the last round-trip time to the client, ``null`` before there is one.
    """

    track: str
    kind: TrackKind
    direction: Direction
    codec: str
    width: int
    height: int
    packets: int
    bytes: int
    lost: int
    frames: int
    key_frames: int
    bitrate: int
    rtt_ms: float | None


class AuthenticationView(_View, frozen=True):
    """The verdict on a session.

    ``url``, ``name`` and ``lifetime`` (seconds) are what the back end's answer had, the URL without secrets.
    """

    scheme: str
    result: Literal["allowed", "denied", "failed"]
    reason: str | None
    took_ms: int
    url: str | None
    name: str | None
    lifetime: float | None


class SessionView(_View, frozen=True):
    """One session, alive or ended.

    In a cluster ``node`` is the one whose manager has it, and writes its hooks.

    Times are Unix milliseconds, or ``null`` for what has not happened.

    ``reason`` says why a connected session ended, ``error`` why an attempt never became one. ``hooks`` counts the events
    so far, ``faults`` names those that have acted on it, ``authentication`` is ``null`` where nobody decided. A connection
    that was refused for its parameters may have no ``id`` and ``stream``.
    """

    session: int
    state: State
    role: Literal["publisher", "subscriber"]
    transport: Transport
    id: str | None
    stream: str | None
    app: str | None
    scope: str | None
    username: str | None
    customer_scope: str | None
    recording: bool
    meta: dict[str, Any] | None
    remote_ip: str | None
    user_agent: str | None
    origin: str | None
    started_at: int
    connected_at: int | None
    ended_at: int | None
    duration_ms: int
    reason: str | None
    error: str | None
    hooks: int
    faults: list[str]
    authentication: AuthenticationView | None
    tracks: list[TrackView]
    node: str | msgspec.UnsetType = msgspec.UNSET


class SessionList(_View, frozen=True):
    """``total`` sessions match; ``sessions`` are the newest of them."""

    sessions: list[SessionView]
    total: int


class Kicked(_View, frozen=True):
    """The session was ended by the administrator."""

    session: int
    kicked: Literal[True] = True


class StreamView(_View, frozen=True):
    """A stream that is live.

    ``subscribers`` counts the sessions that watch it, ``recording``: a file is being written,
    ``hls``: it is packaged as HLS, since somebody asks for it.

    ``startedAt`` in Unix milliseconds. In a cluster ``node`` is the one whose manager has the publisher; it counts its own
    subscribers.
    """

    app: str
    name: str
    scope: str
    session: int
    started_at: int | None
    subscribers: int
    recording: bool
    hls: bool
    tracks: list[TrackView]
    node: str | msgspec.UnsetType = msgspec.UNSET


class StreamList(_View, frozen=True):
    """The live streams, the oldest first."""

    streams: list[StreamView]


class OriginView(_View, frozen=True):
    """A registered origin.

    ``address`` is what REST gives to clients; ``host`` and ``port`` are what the relay dials.
    """

    address: str
    host: str
    port: int
    region: str
    publishers: int
    subscribers: int
    sessions: int


class NodeView(OriginView, frozen=True):
    """A node: an origin or an edge, and what it does now.

    ``pulls`` are the streams that it has from other nodes of a cluster; a ``simulated`` one can be taken out, lost and started.
    """

    id: str
    role: Literal["origin", "edge"]
    state: ServiceState
    pulls: int = 0
    simulated: bool = False


class NodeList(_View, frozen=True):
    """The nodes, the oldest first; those that have terminated come last."""

    nodes: list[NodeView]


class IceServerView(_View, frozen=True, omit_defaults=True):
    """One ICE server (W3C WebRTC, 4.2.2)."""

    urls: str
    username: str | None = None
    credential: str | None = None


class IceServerList(_View, frozen=True):
    """The ICE servers, as an ``RTCConfiguration`` has them."""

    ice_servers: list[IceServerView]


class SharedObjectView(_View, frozen=True):
    """One shared object.

    ``members`` are sessions, ``version`` counts the changes of its properties.
    """

    name: str
    scope: str
    customer_scope: str | None
    origin: str
    version: int
    members: list[int]
    properties: dict[str, Any]


class SharedObjectList(_View, frozen=True):
    """The shared objects of all origins."""

    shared_objects: list[SharedObjectView]


class HeadlessView(_View, frozen=True):
    """A client that the server runs.

    ``state``: ``connecting``, ``live``, ``ended``, or ``failed`` when it never was live; ``error`` says why it failed, or ended
    without being asked to. ``session`` is the number of its session, ``null`` while it has none. ``startMs``: from its start
    until it was live. Counters since its start.
    """

    id: str
    name: str
    transport: Literal["websocket", "whip", "whep"]
    app: str | None
    customer_scope: str | None
    state: Literal["connecting", "live", "ended", "failed"]
    error: str | None
    ended_by: Literal["client", "server", "transport"] | None
    session: int | None
    created_at: int
    start_ms: float | None = None
    packets: int = 0
    bytes: int = 0


class HeadlessPublisherView(HeadlessView, frozen=True):
    """A publisher that the server runs."""


class LatencyView(_View, frozen=True):
    """From painting a picture to decoding it, in milliseconds."""

    p50: float
    p95: float
    p99: float
    most: float


class HeadlessSubscriberView(HeadlessView, frozen=True):
    """A subscriber that the server runs.

    ``number`` is that of the last picture of a publisher with the pattern ``counter``, ``missing`` and ``outOfOrder`` count
    such pictures; ``latencyMs`` is there with the pattern ``clock``. ``freezesMs``: the latest times without a new picture;
    ``black`` counts black pictures. Without ``decode`` only packets and frames are counted.
    """

    lost: int = 0
    frames: int = 0
    decoded: int = 0
    codecs: list[str] = []
    width: int = 0
    height: int = 0
    first_picture_ms: float | None = None
    number: int | None = None
    missing: int = 0
    out_of_order: int = 0
    latency_ms: LatencyView | None = None
    freezes_ms: list[int] = []
    black: int = 0


class HeadlessPublisherList(_View, frozen=True):
    """The publishers that the server runs, the oldest first."""

    publishers: list[HeadlessPublisherView]


class HeadlessSubscriberList(_View, frozen=True):
    """The subscribers that the server runs, the oldest first."""

    subscribers: list[HeadlessSubscriberView]


class InterstitialView(_View, frozen=True):
    """One interstitial. Paths have their scope; times are Unix milliseconds.

    ``starts_at`` is ``null`` once it is shown, ``ends_at`` while it lasts until it is resumed.
    """

    id: int
    target: str
    interstitial: str
    audio: bool
    video: bool
    state: Literal["waiting", "shown"]
    origin: str
    starts_at: int | None
    ends_at: int | None


class InterstitialList(_View, frozen=True):
    """The interstitials of all origins."""

    interstitials: list[InterstitialView]


class ParticipantView(_View, frozen=True):
    """One participant of a conference. Its session is in its hooks only."""

    participant_id: int
    display_name: str
    role: str
    stream_guid: str
    session: int


class ConferenceView(_View, frozen=True):
    """One conference, with its participants in the order of joining."""

    conference_id: int
    customer_scope: str | None
    participants: list[ParticipantView]


class ConferenceList(_View, frozen=True):
    """The conferences that somebody is in."""

    conferences: list[ConferenceView]


class OriginList(_View, frozen=True):
    """The registered origins, in the order of their registration."""

    origins: list[OriginView]
