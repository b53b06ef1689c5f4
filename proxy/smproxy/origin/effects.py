"""What a conversation wants done, and on which transport. Sans-I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import msgspec

from smproxy.signaling.messages import ClientMessage
from smproxy.signaling.payloads import ConnectError


class Via(Enum):
    """The transport of a message."""

    SOCKET = "socket"
    CHANNEL = "channel"


@dataclass(frozen=True, slots=True)
class Send:
    """Say this to the client."""

    text: str
    via: Via


@dataclass(frozen=True, slots=True)
class Refused:
    """The attempt is over before it began; the socket is closed after a grace."""

    error: ConnectError


@dataclass(frozen=True, slots=True)
class Logged:
    """The client's SDK sent a line of its log."""

    level: str
    text: str


# of a publisher -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TakeOffer:
    """Answer this offer, then tell the conversation with ``answered`` or ``refused``."""

    sdp: str
    video_encoding: str | None
    audio_encoding: str | None


@dataclass(frozen=True, slots=True)
class Started:
    """The client publishes now."""

    stream: str
    mode: str


@dataclass(frozen=True, slots=True)
class KeyFrameInterval:
    """The client wants key frames this often, in seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Unpublished:
    """The client ended its stream."""


@dataclass(frozen=True, slots=True)
class Subscribes:
    """The client turned out to be a subscriber: another conversation goes on, beginning with this message."""

    message: ClientMessage
    via: Via


@dataclass(frozen=True, slots=True)
class Muted:
    """Media of a kind is muted or not; ``None`` leaves it as it is.

    Of a publisher this is for its subscribers to know; to a subscriber nothing more of the kind is sent.
    """

    audio: bool | None = None
    video: bool | None = None


@dataclass(frozen=True, slots=True)
class Turned:
    """The publisher's device was turned; degrees."""

    orientation: int | float


@dataclass(frozen=True, slots=True)
class Said:
    """The publisher says something to its subscribers."""

    method: str
    data: msgspec.Raw


# of a subscriber ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MakeOffer:
    """Offer this stream, then tell the conversation with ``offered`` or ``refused``."""

    stream: str
    channel: bool


@dataclass(frozen=True, slots=True)
class TakeAnswer:
    """Take this answer, then tell the conversation with ``accepted`` or ``refused``."""

    sdp: str


@dataclass(frozen=True, slots=True)
class Playing:
    """The client watches now."""

    stream: str


@dataclass(frozen=True, slots=True)
class SwitchTo:
    """Show another stream, then tell the conversation with ``showing`` or ``not_switched``."""

    room: str
    stream: str
    ticket: str
    via: Via


Effect: TypeAlias = (
    Send
    | Refused
    | Logged
    | TakeOffer
    | Started
    | KeyFrameInterval
    | Unpublished
    | Subscribes
    | Muted
    | Turned
    | Said
    | MakeOffer
    | TakeAnswer
    | Playing
    | SwitchTo
)
