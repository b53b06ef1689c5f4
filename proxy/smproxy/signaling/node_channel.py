"""The node channel: an origin's reports to the manager, and the manager's commands.

The relay cannot see media. What only the origin sees travels here, keyed by the *attempt*: an opaque token that the relay
puts into the upgrade request (``ATTEMPT_HEADER``) when it dials the origin. Every message is a tagged ``msgspec`` struct, so
an origin in the same process passes the objects and one on another machine passes their JSON.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import msgspec

from smproxy.signaling.payloads import ConnectError, Kind, Reason

#: Request header that names the attempt on the origin leg. The relay removes it from what clients send.
ATTEMPT_HEADER = "X-Stream-Manager-Attempt"


class _Message(msgspec.Struct, frozen=True, tag_field="type"):
    pass


class TransportTimes(msgspec.Struct, frozen=True, omit_defaults=True):
    """When the steps to a media connection were, in seconds before the report.

    ``None``: not reached.

    ``offered``: the negotiation began; ``described``: this side's description was there; ``answered``: the negotiation was
    over; ``nominated``: ICE had a pair; ``secured``: DTLS was done.
    """

    offered: float | None = None
    described: float | None = None
    answered: float | None = None
    nominated: float | None = None
    secured: float | None = None


class TransportUp(_Message, frozen=True, tag="transport_up"):
    """ICE and DTLS are up: media can flow. Or a client without media has joined a shared object."""

    attempt: str
    times: TransportTimes | None = None


class StreamStarted(_Message, frozen=True, tag="stream_started"):
    """The origin accepted the stream and confirms it to the client.

    ``stream`` is the name in the messages, which may differ from the connection parameter ``id``.
    """

    attempt: str
    stream: str
    scope: str
    mode: str = "live"
    #: Of the claim on the name, in a cluster.
    epoch: int | None = None


class TrackStarted(_Message, frozen=True, tag="track_started"):
    """The first RTP packet of a track came."""

    attempt: str
    track: str
    kind: Kind


class TrackMuted(_Message, frozen=True, tag="track_muted"):
    """The client says that it mutes a track, or no longer does."""

    attempt: str
    track: str
    muted: bool


class TrackEnded(_Message, frozen=True, tag="track_ended"):
    """A track will bring nothing more."""

    attempt: str
    track: str


class PlayStarted(_Message, frozen=True, tag="play_started"):
    """The origin lets a subscriber watch and has sent that to the client.

    ``stream`` is the name of what is watched.
    """

    attempt: str
    stream: str
    scope: str


class LocalTrack(_Message, frozen=True, tag="local_track"):
    """A slot for media to a subscriber was made. ``track`` is the slot's number."""

    attempt: str
    track: int
    kind: Kind


class LocalTrackAttached(_Message, frozen=True, tag="local_track_attached"):
    """A slot gets its media from this track of this publisher from now on."""

    attempt: str
    track: int
    remote_peer: str
    remote_track: str


class LocalTrackDetached(_Message, frozen=True, tag="local_track_detached"):
    """A slot has no source any more."""

    attempt: str
    track: int


class ChannelFrame(_Message, frozen=True, tag="channel_frame"):
    """A signaling message on the data channel, which the relay does not see.

    It is for the transcript of the session only.
    """

    attempt: str
    by_client: bool
    text: str


class RecordingStarted(_Message, frozen=True, tag="recording_started"):
    """A file is being written. ``file`` is relative to the recordings' directory."""

    attempt: str
    file: str


class RecordingEnded(_Message, frozen=True, tag="recording_ended"):
    """A file is complete, or failed with ``error``.

    Follows the peer's end, since the last bytes take their time.

    ``duration`` in ms of this file, ``size`` in bytes.
    """

    attempt: str
    file: str
    duration: int
    size: int
    error: str | None = None


class MediaGap(_Message, frozen=True, tag="media_gap"):
    """Nothing at all has come from a connected peer for the media gap."""

    attempt: str


class MediaBack(_Message, frozen=True, tag="media_back"):
    """Packets flow again after a media gap."""

    attempt: str


class AttemptFailed(_Message, frozen=True, tag="attempt_failed"):
    """The attempt ended before its transport was up."""

    attempt: str
    error: ConnectError
    times: TransportTimes | None = None


class PeerEnded(_Message, frozen=True, tag="peer_ended"):
    """The peer is gone and its name is free. ``lost``: it ended without signaling."""

    attempt: str
    reason: Reason
    lost: bool = False


class TrackStatistics(_Message, frozen=True, tag="track_statistics"):
    """The counters of one track since the start.

    ``lost`` as in receiver reports (RFC 3550, 6.4.1). ``rtt_ms``: the last round-trip time to the client, of STUN.
    """

    attempt: str
    track: str
    codec: str
    packets: int
    bytes: int
    lost: int
    frames: int = 0
    key_frames: int = 0
    width: int = 0
    height: int = 0
    rtt_ms: float | None = None


class Load(_Message, frozen=True, tag="load"):
    """A heartbeat: how much the node carries. ``capacity`` 0 means no limit was set.

    ``pulls`` are the streams that it has from other nodes.
    """

    publishers: int
    subscribers: int = 0
    capacity: int = 0
    pulls: int = 0


Report: TypeAlias = (
    TransportUp
    | StreamStarted
    | TrackStarted
    | TrackEnded
    | TrackMuted
    | PlayStarted
    | LocalTrack
    | LocalTrackAttached
    | LocalTrackDetached
    | ChannelFrame
    | RecordingStarted
    | RecordingEnded
    | MediaGap
    | MediaBack
    | AttemptFailed
    | PeerEnded
    | TrackStatistics
    | Load
)


class Announce(_Message, frozen=True, tag="announce"):
    """Let the client of this attempt connect.

    The origin refuses clients that were not announced. ``session`` and ``id`` are for its log.
    ``traced``: it reports when the steps to the media connection were.
    """

    attempt: str
    customer_scope: str = ""
    session: int | None = None
    id: str | None = None
    traced: bool = False


class Kick(_Message, frozen=True, tag="kick"):
    """End this attempt's peer so that its client notices.

    Answered by ``PeerEnded`` with the same reason.
    """

    attempt: str
    reason: Reason = Reason.KICKED


class Evict(_Message, frozen=True, tag="evict"):
    """Free the name of a peer that sends nothing any more, at once and without a message to it."""

    attempt: str


class Drain(_Message, frozen=True, tag="drain"):
    """Take no new streams; live ones go on."""

    enabled: bool = True


class Inject(_Message, frozen=True, tag="inject"):
    """Carry out a media fault (:mod:`smproxy.faults.media`) on this attempt.

    The origin may not know the attempt yet.

    ``id`` tells it from the other faults of the attempt, ``fault`` is the name of its kind.
    """

    attempt: str
    id: str
    fault: str
    parameters: dict[str, bool | int | float | str]
    seed: int


class Lift(_Message, frozen=True, tag="lift"):
    """End a media fault on this attempt; what it has ended stays ended."""

    attempt: str
    id: str


class InsertStream(_Message, frozen=True, tag="insert_stream"):
    """Show a stream to the subscribers of another one, in so many seconds and for so long.

    ``duration`` ``None``: until ``ResumeStream``. What is not ``audio`` or ``video`` goes on from the target.
    """

    target_scope: str
    target: str
    scope: str
    stream: str
    id: int = 0
    audio: bool = True
    video: bool = True
    starts_in: float = 0.0
    duration: float | None = None


class ResumeStream(_Message, frozen=True, tag="resume_stream"):
    """Show a stream to its subscribers again, whatever was inserted."""

    scope: str
    stream: str


Command: TypeAlias = Announce | Kick | Evict | Drain | Inject | Lift | InsertStream | ResumeStream


class SharedObjectState(msgspec.Struct, frozen=True):
    """A shared object of an origin; ``members`` are attempts, ``version`` counts the changes."""

    name: str
    scope: str
    customer_scope: str
    version: int
    members: list[str]
    properties: dict[str, msgspec.Raw]


class InterstitialState(msgspec.Struct, frozen=True):
    """An interstitial of an origin, shown or waiting; times in seconds, paths with their scope."""

    id: int
    target: str
    interstitial: str
    audio: bool
    video: bool
    shown: bool
    starts_in: float
    ends_in: float | None


class Hello(_Message, frozen=True, tag="hello"):
    """An origin's registration.

    ``address`` is what REST gives to clients; ``host`` and ``port`` are what the relay dials.
    """

    address: str
    host: str
    port: int
    region: str = "local"


class ReportTo(Protocol):
    """The manager's end of a node channel, as the origin sees it. Must not block."""

    def __call__(self, report: Report, /) -> None: ...


class CommandTo(Protocol):
    """The origin's end of a node channel, as the manager sees it. Must not block."""

    def __call__(self, command: Command, /) -> None: ...
