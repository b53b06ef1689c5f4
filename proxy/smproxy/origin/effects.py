"""What the signaling of a client wants to be done. Sans-I/O."""

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


class SharedObjectAction(Enum):
    """What a client wants of a shared object, as its status codes name it."""

    GET_REMOTE = "GetRemote"
    CONNECT = "Connect"
    SET_PROPERTY = "SetProperty"
    SEND = "Send"
    CLOSE = "Disconnect"


@dataclass(frozen=True, slots=True)
class Send:
    """Send this to the client."""

    text: str
    via: Via


@dataclass(frozen=True, slots=True)
class Refuse:
    """End the attempt before it began; the socket is closed after a grace."""

    error: ConnectError


@dataclass(frozen=True, slots=True)
class LogClientLine:
    """Log a line that the client's SDK sent."""

    level: str
    text: str


@dataclass(frozen=True, slots=True)
class LogProblem:
    """Log what of the client's messages could not be taken."""

    text: str


@dataclass(frozen=True, slots=True)
class SharedObjectRequest:
    """Do this to a shared object; the value is JSON as it came."""

    action: SharedObjectAction
    value: bytes
    via: Via


# of a publisher -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TakeOffer:
    """Answer this offer, then call ``answered`` or ``refused`` of the signaling."""

    sdp: str
    video_encoding: str | None
    audio_encoding: str | None


@dataclass(frozen=True, slots=True)
class StartStream:
    """Start the stream: the client publishes now."""

    stream: str
    mode: str


@dataclass(frozen=True, slots=True)
class SetKeyFrameInterval:
    """Ask for key frames this often, in seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class FreeName:
    """Free the stream's name on every node, before what follows is done."""


@dataclass(frozen=True, slots=True)
class EndStream:
    """End the stream, as the client wants."""


@dataclass(frozen=True, slots=True)
class BecomeSubscriber:
    """Make the client a subscriber; its signaling begins with this message."""

    message: ClientMessage
    via: Via


@dataclass(frozen=True, slots=True)
class Mute:
    """Mute media of a kind, or not; ``None`` leaves it as it is.

    Subscribers are to know this of their publisher; to a subscriber nothing more of the kind is sent.
    """

    audio: bool | None = None
    video: bool | None = None


@dataclass(frozen=True, slots=True)
class SetOrientation:
    """Set how the publisher holds its device; degrees."""

    orientation: int | float


@dataclass(frozen=True, slots=True)
class PublisherMessage:
    """Send a message of the publisher to its subscribers."""

    method: str
    data: msgspec.Raw


# of a subscriber ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MakeOffer:
    """Offer this stream, then call ``offered`` or ``refused`` of the signaling."""

    stream: str
    channel: bool


@dataclass(frozen=True, slots=True)
class TakeAnswer:
    """Take this answer, then call ``accepted`` or ``refused`` of the signaling."""

    sdp: str


@dataclass(frozen=True, slots=True)
class TakeViewerOffer:
    """Answer the offer of a client that wants to watch.

    Then ``answered`` or ``refused`` of the signaling is called.
    """

    stream: str
    sdp: str


@dataclass(frozen=True, slots=True)
class StartPlayback:
    """Start to show the stream: the client watches now."""

    stream: str


@dataclass(frozen=True, slots=True)
class SwitchTo:
    """Show another stream, then call ``switched_to`` or ``not_switched`` of the signaling."""

    scope: str
    stream: str
    ticket: str
    via: Via


Negotiation: TypeAlias = TakeOffer | MakeOffer | TakeAnswer | TakeViewerOffer

Effect: TypeAlias = (
    Send
    | Refuse
    | LogClientLine
    | LogProblem
    | SharedObjectRequest
    | TakeOffer
    | StartStream
    | SetKeyFrameInterval
    | EndStream
    | FreeName
    | BecomeSubscriber
    | Mute
    | SetOrientation
    | PublisherMessage
    | MakeOffer
    | TakeViewerOffer
    | TakeAnswer
    | StartPlayback
    | SwitchTo
)
