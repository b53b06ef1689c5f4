"""A publisher's conversation with the origin, and anybody's first words: messages in, effects out. Sans-I/O.

The vendor SDK waits without a time-out for most replies, so every message that expects one gets one, on the transport on
which it came, whatever the state; and nothing that an SDK would take for a failure is ever sent unasked.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from smproxy.origin.effects import (
    Effect,
    KeyFrameInterval,
    Logged,
    Muted,
    Refused,
    Said,
    Send,
    Started,
    Subscribes,
    TakeOffer,
    Turned,
    Unpublished,
    Via,
)
from smproxy.origin.requests import UNNAMEABLE, ClientLog, nameable, read_call, read_mute, read_said
from smproxy.origin.source import Source
from smproxy.origin.streams import Streams
from smproxy.signaling import messages
from smproxy.signaling.messages import ClientMessage
from smproxy.signaling.payloads import ConnectError

__all__ = [
    "Conversation",
    "Effect",
    "KeyFrameInterval",
    "Logged",
    "Muted",
    "Refused",
    "Said",
    "Send",
    "Started",
    "Subscribes",
    "TakeOffer",
    "Turned",
    "Unpublished",
    "Via",
]

DEFAULT_KEY_FRAME_INTERVAL = 3.0
_KEY_FRAME_RATE = (500, 60_000)
_MODES = frozenset({"live", "record", "append"})

INVALID_OFFER = "NetStream.Publish.InvalidSDP"
BAD_NAME = "NetStream.Publish.BadName"
PUBLISH_FAILED = "NetStream.Publish.Failed"
PUBLISH_DENIED = "NetStream.Publish.Denied"
PLAY_FAILED = "NetStream.Play.Failed"


class Conversation:
    """One client's signaling, on its socket and later on its data channel.

    ``owner`` stands for this client in the name table. Which role a client takes it tells by asking for an offer, or by making
    one; questions say nothing certain. A subscriber is handed over with :class:`Subscribes`.
    """

    def __init__(self, *, room: str, client_id: str, streams: Streams, owner: object) -> None:
        self.room = room
        self.stream: str | None = None
        #: The client has left the socket for the data channel: the socket's end is not the stream's end.
        self.switched = False
        #: New streams are refused (the node drains).
        self.draining = False
        #: The last answer was that there is nothing to watch.
        self.denied = False
        self._client_id = client_id
        self._streams = streams
        self._owner = owner
        self._offered = self._answered = self._started = self._over = False
        self._media = self._said_available = self._said_channel = False
        self._channel: str | None = None
        self._log = ClientLog()
        self._source: Source | None = None

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

    def answered(self, sdp: str, source: Source | None = None) -> list[Effect]:
        """Send the answer. It has all candidates in it, so trickling is complete at once, and said so once.

        ``source`` is what can be watched once the client publishes.
        """
        self._answered = True
        self._source = source
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
            return self._play(message, via)
        if message.is_available is not UNSET:
            return self._availability(message.is_available, message.bundle is not UNSET, via)
        if message.call_adapter is not UNSET:
            return self._call(message, via)
        if message.log is not UNSET:
            logged = self._log.read(message.log, message)
            return [] if logged is None else [logged]
        if self._over:
            return []
        # What comes before the stream is live is for those who will watch it, too. No reply is expected to either.
        if message.mute is not UNSET:
            return [*read_mute(message.mute)]
        if message.send is not UNSET:
            return [*read_said(message.send)]
        # handleCandidate too: an ICE lite agent does not need the client's candidates.
        return []

    def _play(self, message: ClientMessage, via: Via) -> list[Effect]:
        if self._offered or self._over or via is Via.CHANNEL:
            text = "This connection publishes or was refused; a subscriber needs one of its own."
            return [Send(messages.stream_error(PLAY_FAILED, text), via)]
        self._over = True
        return [Subscribes(message, via)]

    def _availability(self, name: str, bundled: bool, via: Via) -> list[Effect]:
        if not bundled and name != self._client_id:
            live = self._streams.is_live(self.room, name)
            self.denied = not live
            return [Send(messages.availability(live), via)]
        taken = self._streams.taken_by_another(self.room, name, self._owner)
        effects: list[Effect] = [Send(messages.availability(taken), via)]
        # Without ``bundle`` it may be a subscriber whose id was set to the name of what it wants to watch.
        if taken and bundled and not self._offered and not self._over:
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
        if not nameable(name):
            return self._decline(ConnectError.REJECTED, BAD_NAME, UNNAMEABLE, via)
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
            if not nameable(name):
                return self._decline(ConnectError.REJECTED, BAD_NAME, UNNAMEABLE, via)
            if not self._streams.claim(self.room, name, self._owner):
                return self._decline(ConnectError.NAME_IN_USE, BAD_NAME, _in_use(name), via)
            self._streams.free(self.room, self.stream, self._owner)
            self.stream = name
        effects: list[Effect] = [Send(messages.publish_starting(name), via)]
        effects.append(KeyFrameInterval(_interval(message)))
        if not self._started:
            self._started = True
            self._streams.go_live(self.room, name, self._owner, self._source)
            mode = message.mode if message.mode is not UNSET and message.mode in _MODES else "live"
            effects.append(Started(name, mode))
        return effects + self._notices()

    def _unpublish(self, name: str, via: Via) -> list[Effect]:
        effects: list[Effect] = [Send(messages.unpublish_stopping(name), via)]
        if not self._over:
            self._over = True
            effects.append(Unpublished())
        return effects

    def _call(self, message: ClientMessage, via: Via) -> list[Effect]:
        call = read_call(message)
        if call is None:
            return []
        if call.method == "getLiveStreams":
            return [Send(messages.adapter_reply(call.ticket, self._streams.live(self.room)), via)]
        return [Send(messages.adapter_error(call.ticket, "This origin has no such method."), via)]

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
