"""A client's conversation with the origin: messages in, effects out. Sans-I/O.

The vendor SDK waits without a time-out for most replies, so every message that expects one gets one, on the transport on
which it came, whatever the state; and nothing that an SDK would take for a failure is ever sent unasked.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import msgspec
from msgspec import UNSET

from proxy.origin.streams import Streams
from proxy.signaling import messages
from proxy.signaling.messages import ClientMessage
from proxy.signaling.payloads import ConnectError

DEFAULT_KEY_FRAME_INTERVAL = 3.0
_KEY_FRAME_RATE = (500, 60_000)
_MODES = frozenset({"live", "record", "append"})
#: Names longer than this are refused: they travel in every report and hook.
MAX_NAME = 512
#: Lines of an SDK's log that are passed on, for each connection.
MAX_LOG_LINES = 200
#: Characters of such a line and of its level.
MAX_LOG_TEXT = 500
MAX_LOG_LEVEL = 16

INVALID_OFFER = "NetStream.Publish.InvalidSDP"
BAD_NAME = "NetStream.Publish.BadName"
PUBLISH_FAILED = "NetStream.Publish.Failed"
PUBLISH_DENIED = "NetStream.Publish.Denied"
PLAY_FAILED = "NetStream.Play.Failed"


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
class Refused:
    """The attempt is over before it began; the socket is closed after a grace."""

    error: ConnectError


@dataclass(frozen=True, slots=True)
class Unpublished:
    """The client ended its stream."""


@dataclass(frozen=True, slots=True)
class Logged:
    """The client's SDK sent a line of its log."""

    level: str
    text: str


Effect: TypeAlias = Send | TakeOffer | Started | KeyFrameInterval | Refused | Unpublished | Logged


class Conversation:
    """One client's signaling, on its socket and later on its data channel.

    ``owner`` stands for this client in the name table. Subscribers will get a class of their own beside this one, chosen
    at the first message; until then their questions are answered and their offers declined.
    """

    def __init__(self, *, room: str, client_id: str, streams: Streams, owner: object) -> None:
        self.room = room
        self.stream: str | None = None
        #: The client has left the socket for the data channel: the socket's end is not the stream's end.
        self.switched = False
        #: New streams are refused (the node drains).
        self.draining = False
        self._client_id = client_id
        self._streams = streams
        self._owner = owner
        self._offered = self._answered = self._started = self._over = False
        self._media = self._said_available = self._said_channel = False
        self._channel: str | None = None
        self._log_lines = 0

    # what happens -----------------------------------------------------------------------------------------------------

    def opened(self) -> list[Effect]:
        """Greet; the SDK sends nothing before."""
        return [Send(messages.connect_status(messages.CONNECT_SUCCESS), Via.SOCKET)]

    def receive(self, frame: str | bytes, via: Via) -> list[Effect]:
        """Take a frame. What cannot be read and what nobody knows is passed over in silence."""
        if isinstance(frame, bytes):
            return []
        message = messages.read_client(frame)
        return [] if message is None else self._dispatch(message, via)

    def answered(self, sdp: str) -> list[Effect]:
        """Send the answer. It has all candidates in it, so trickling is complete at once, and said so once."""
        self._answered = True
        return [
            Send(messages.answer(sdp), Via.SOCKET),
            Send(messages.connect_status(messages.TRICKLE_COMPLETED), Via.SOCKET),
        ]

    def refused(self, error: ConnectError, reason: str) -> list[Effect]:
        """Decline the offer."""
        code = INVALID_OFFER if error is ConnectError.INVALID_SDP else PUBLISH_FAILED
        return self._decline(error, code, reason, Via.SOCKET)

    def timed_out(self) -> list[Effect]:
        """Say that no connection came about; the attempt's end is the caller's to report."""
        self._over = True
        text = "No media connection could be made: ICE or DTLS did not come up in time."
        return [Send(messages.stream_error(PUBLISH_FAILED, text), self._current)]

    def media_came(self) -> list[Effect]:
        """Media flows, or nothing but a data channel was offered and that is up."""
        self._media = True
        return self._notices()

    def channel_opened(self, label: str) -> list[Effect]:
        """The client's data channel is really open."""
        if self._channel is not None:
            return []
        self._channel = label
        return self._notices()

    def kicked(self) -> list[Effect]:
        """Tell a client on its data channel that it is to go; one on the socket learns it from the close."""
        self._over = True
        if not self.switched or self._channel is None:
            return []
        return [Send(messages.connect_status(messages.CONNECT_CLOSED), Via.CHANNEL)]

    def over(self) -> None:
        """Nothing more is started; questions are still answered."""
        self._over = True

    # what is said -----------------------------------------------------------------------------------------------------

    def _dispatch(self, message: ClientMessage, via: Via) -> list[Effect]:
        """Do what the message's verb says.

        No SDK sends two verbs in one message. Of a client that does, the first in this order counts and the others are passed
        over. switchChannel is the first, and offers stand before playback, because the manager reads along in the same order:
        it and the origin must never disagree on whether a client has left its socket.
        """
        if message.switch_channel is not UNSET:
            # Only the socket can be left; and only for a channel that is there or was promised.
            self.switched = self.switched or (via is Via.SOCKET and self._answered)
            return []
        if message.handle_offer is not UNSET:
            return self._offer(message.handle_offer, message, via)
        if message.publish is not UNSET:
            return self._publish(message.publish, message, via)
        if message.unpublish is not UNSET:
            return self._unpublish(message.unpublish, via)
        if message.request_offer is not UNSET or message.subscribe is not UNSET:
            text = "Playback is not supported by this origin yet."
            return [Send(messages.stream_error(PLAY_FAILED, text), via)]
        if message.is_available is not UNSET:
            return self._availability(message.is_available, message.bundle is not UNSET, via)
        if message.call_adapter is not UNSET:
            return self._call(message, via)
        if message.log is not UNSET:
            return self._log(message.log, message)
        # handleCandidate too: an ICE lite agent does not need the client's candidates. mute, send, onMetaData: no reply.
        return []

    def _availability(self, name: str, bundled: bool, via: Via) -> list[Effect]:
        publisher = bundled or name == self._client_id
        if not publisher:
            return [Send(messages.availability(self._streams.is_live(self.room, name)), via)]
        taken = self._streams.taken_by_another(self.room, name, self._owner)
        effects: list[Effect] = [Send(messages.availability(taken), via)]
        if taken and not self._offered and not self._over:
            # The SDK gives up here but leaves its socket open.
            self._over = True
            effects.append(Refused(ConnectError.NAME_IN_USE))
        return effects

    def _offer(self, name: str, message: ClientMessage, via: Via) -> list[Effect]:
        if self._offered:
            return [Send(messages.stream_error(PUBLISH_FAILED, "An offer was made on this connection already."), via)]
        if self._over:
            return [Send(messages.stream_error(PUBLISH_FAILED, "This connection was refused already."), via)]
        if self.draining:
            return self._decline(ConnectError.REJECTED, PUBLISH_DENIED, "This origin takes no new streams.", via)
        if not _nameable(name):
            return self._decline(ConnectError.REJECTED, BAD_NAME, _UNNAMEABLE, via)
        data = message.data
        if data is UNSET or data.sdp is UNSET or data.sdp.type != "offer":
            return self._decline(ConnectError.INVALID_SDP, INVALID_OFFER, "handleOffer has no SDP offer.", via)
        if not self._streams.claim(self.room, name, self._owner):
            return self._decline(ConnectError.NAME_IN_USE, BAD_NAME, _in_use(name), via)
        self.stream = name
        self._offered = True
        return [TakeOffer(data.sdp.sdp, _wish(message.video_encoding), _wish(message.audio_encoding))]

    def _publish(self, name: str, message: ClientMessage, via: Via) -> list[Effect]:
        if self._over or not self._answered or self.stream is None:
            text = "publish came without an offer." if not self._over else "This connection was refused already."
            return [Send(messages.stream_error(PUBLISH_FAILED, text), via)]
        if self._started and name != self.stream:
            text = f'This connection publishes "{self.stream}" already.'
            return [Send(messages.stream_error(PUBLISH_FAILED, text), via)]
        if name != self.stream:
            # The SDK gives up on either error, so the attempt is over as it is when an offer's name is taken.
            if not _nameable(name):
                return self._decline(ConnectError.REJECTED, BAD_NAME, _UNNAMEABLE, via)
            if not self._streams.claim(self.room, name, self._owner):
                return self._decline(ConnectError.NAME_IN_USE, BAD_NAME, _in_use(name), via)
            self._streams.free(self.room, self.stream, self._owner)
            self.stream = name
        effects: list[Effect] = [Send(messages.publish_starting(name), via)]
        effects.append(KeyFrameInterval(_interval(message)))
        if not self._started:
            self._started = True
            self._streams.go_live(self.room, name, self._owner)
            mode = message.mode if message.mode is not UNSET and message.mode in _MODES else "live"
            effects.append(Started(name, mode))
        return effects + self._notices()

    def _unpublish(self, name: str, via: Via) -> list[Effect]:
        effects: list[Effect] = [Send(messages.unpublish_stopping(name), via)]
        if not self._over:
            self._over = True
            effects.append(Unpublished())
        return effects

    def _log(self, level: str, message: ClientMessage) -> list[Effect]:
        self._log_lines += 1
        if self._log_lines > MAX_LOG_LINES:
            return []
        return [Logged(_printable(level, MAX_LOG_LEVEL), _printable(_log_text(message.message), MAX_LOG_TEXT))]

    def _call(self, message: ClientMessage, via: Via) -> list[Effect]:
        if message.id is UNSET or not message.id:
            return []
        return [Send(messages.adapter_error(message.id[:64], "This origin has no such method."), via)]

    def _decline(self, error: ConnectError, code: str, reason: str, via: Via) -> list[Effect]:
        self._over = True
        return [Send(messages.stream_error(code, reason), via), Refused(error)]

    def _notices(self) -> list[Effect]:
        """Say what the client waits to hear once it publishes; each thing once and in this order."""
        effects: list[Effect] = []
        if not self._started or self._over or self.stream is None:
            return effects
        if self._media and not self._said_available:
            self._said_available = True
            effects.append(Send(messages.publish_available(self.stream), self._current))
        if self._channel is not None and not self._said_channel and not self.switched:
            self._said_channel = True
            effects.append(Send(messages.data_channel_available(self._channel), Via.SOCKET))
        return effects

    @property
    def _current(self) -> Via:
        return Via.CHANNEL if self.switched else Via.SOCKET


_UNNAMEABLE = "The stream name is empty or too long."


def _nameable(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME


def _in_use(name: str) -> str:
    return f"Stream with name {name} already has a broadcast session."


def _wish(encoding: str | msgspec.UnsetType) -> str | None:
    return None if encoding is UNSET else encoding[:32]


def _interval(message: ClientMessage) -> float:
    """Return the wished time between key frames in seconds: ``keyFramerate`` is milliseconds."""
    wished = message.key_framerate
    if wished is UNSET or wished is None:
        return DEFAULT_KEY_FRAME_INTERVAL
    low, high = _KEY_FRAME_RATE
    return min(max(wished, low), high) / 1000


def _log_text(raw: msgspec.Raw | msgspec.UnsetType) -> str:
    """Return the text of a log message; what is no string is shown as the JSON it came in."""
    if raw is UNSET:
        return ""
    with contextlib.suppress(msgspec.DecodeError):
        return msgspec.json.decode(raw, type=str)
    return bytes(raw).decode("utf-8", "replace")


def _printable(text: str, limit: int) -> str:
    """Return the beginning of a client's text without line breaks and control characters, so that it cannot forge our log."""
    return "".join(c if c.isprintable() else " " for c in text[:limit])
