"""A subscriber's conversation with the origin: messages in, effects out. Sans-I/O.

As with publishers, the vendor SDK waits without a time-out for most replies, and takes each completed trickling for the word
to subscribe; so everything that it waits for is said, on the transport where it listens, and once.
"""

from __future__ import annotations

from msgspec import UNSET

from smproxy.origin.effects import (
    Effect,
    MakeOffer,
    Playing,
    Refused,
    Said,
    Send,
    SwitchTo,
    TakeAnswer,
    Via,
)
from smproxy.origin.requests import ClientLog, read_call, read_mute, read_path, read_standby
from smproxy.origin.streams import Streams
from smproxy.signaling import messages
from smproxy.signaling.messages import ClientMessage
from smproxy.signaling.payloads import ConnectError

PLAY_FAILED = "NetStream.Play.Failed"
PLAY_DENIED = "NetStream.Play.Denied"
NOT_FOUND = "NetStream.Play.StreamNotFound"
INVALID_ANSWER = "NetStream.Play.InvalidSDP"
#: Characters of a name that is not known, as far as a refusal repeats it.
_SHOWN = 100


class SubscriberConversation:
    """One subscriber's signaling, on its socket and later on its data channel."""

    def __init__(self, *, room: str, streams: Streams) -> None:
        self.room = room
        #: What the client asked for; what it is shown may be another stream after a switch.
        self.stream: str | None = None
        #: The client has left the socket for the data channel: the socket's end is not the subscription's end.
        self.switched = False
        #: New subscribers are refused (the node drains).
        self.draining = False
        #: The stream must not be exchanged for another variant unasked. Nothing here does that; kept for the record.
        self.locked = False
        self._streams = streams
        self._asked = self._offered = self._accepted = self._started = self._over = False
        self._up = self._said_channel = self._gone = False
        #: The client's SDK is from before 8: it does not say whether it wants a data channel.
        self._early = False
        #: Where ``subscribe`` was said, until it is answered.
        self._waiting: Via | None = None
        self._channel: str | None = None
        self._metadata: dict[str, str | int | float] = {}
        self._log = ClientLog()

    # what happens -----------------------------------------------------------------------------------------------------

    def receive(self, frame: str | bytes, via: Via) -> list[Effect]:
        """Take a frame. What cannot be read and what nobody knows is passed over in silence."""
        if isinstance(frame, bytes):
            return []
        message = messages.read_client(frame)
        return [] if message is None else self.take(message, via)

    def offered(self, sdp: str) -> list[Effect]:
        """Send the offer, with all candidates in it."""
        self._offered = True
        return [Send(messages.offer(sdp), Via.SOCKET)]

    def accepted(self) -> list[Effect]:
        """Say that trickling is complete. The SDK says ``subscribe`` each time it hears that."""
        if self._accepted:
            return []
        self._accepted = True
        return [Send(messages.connect_status(messages.TRICKLE_COMPLETED), Via.SOCKET)]

    def refused(self, error: ConnectError, reason: str) -> list[Effect]:
        """Say why there will be no picture."""
        code = INVALID_ANSWER if error is ConnectError.INVALID_SDP else PLAY_FAILED
        return self._decline(error, code, reason, Via.SOCKET)

    def timed_out(self) -> list[Effect]:
        """Say that no connection came about; the attempt's end is the caller's to report."""
        self._over = True
        text = "No media connection could be made: ICE or DTLS did not come up in time."
        return [Send(messages.stream_error(PLAY_FAILED, text), self._current)]

    def connected(self) -> list[Effect]:
        """ICE and DTLS are up; a client that wants to watch waits for it."""
        self._up = True
        return [] if self._waiting is None or self._over else self._start(self._waiting)

    def channel_opened(self, label: str) -> list[Effect]:
        """The client's data channel is really open."""
        if self._channel is not None:
            return []
        self._channel = label
        return self._notices()

    def informed(self, metadata: dict[str, str | int | float]) -> list[Effect]:
        """Say what changed of the stream's metadata."""
        if not self._started or self._over or metadata == self._metadata:
            return []
        self._metadata = metadata
        return [Send(messages.metadata(metadata), self._current)]

    def told(self, said: Said, sender: str) -> list[Effect]:
        """Pass on what the publisher says, in the form that the client understands."""
        if not self._started or self._over:
            return []
        if self._early:
            text = messages.publisher_invoked(said.method, said.data)
        else:
            text = messages.publisher_said(said.method, said.data, sender)
        return [Send(text, self._current)]

    def unpublished(self) -> list[Effect]:
        """Say that the stream ended; later SDKs leave on it, older ones stay."""
        if not self._started or self._over:
            return []
        self._metadata = {}
        self._gone = True
        via = self._current
        return [Send(messages.unpublish_notify(channel=via is Via.CHANNEL), via)]

    def published(self) -> list[Effect]:
        """Say that the stream is there again."""
        if not self._started or self._over:
            return []
        self._gone = False
        return [Send(messages.connect_status(messages.PLAY_PUBLISH_NOTIFY), self._current)]

    def unfit(self, reason: str) -> list[Effect]:
        """Say why nothing is shown of a track: the stream was published again in another codec."""
        return [] if self._over else [Send(messages.stream_error(PLAY_FAILED, reason), self._current)]

    def showing(self, wanted: SwitchTo) -> list[Effect]:
        """Say that another stream is shown; the page waits for the ticket and listens for the notice."""
        self._gone = False
        reply = {"path": f"{wanted.room}/{wanted.stream}"}
        return [
            Send(messages.adapter_reply(wanted.ticket, reply), wanted.via),
            Send(messages.stream_switched(), wanted.via),
        ]

    def not_switched(self, wanted: SwitchTo, reason: str) -> list[Effect]:
        """Say why the stream was not switched; the one before goes on."""
        return [Send(messages.adapter_error(wanted.ticket, reason), wanted.via)]

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

    def take(self, message: ClientMessage, via: Via) -> list[Effect]:
        """Do what the message's verb says; of several the first in this order counts, as with publishers."""
        if message.switch_channel is not UNSET:
            return self._switch_channel(via)
        if message.handle_offer is not UNSET or message.publish is not UNSET:
            text = "This connection watches a stream; a publisher needs one of its own."
            return [Send(messages.stream_error(PLAY_FAILED, text), via)]
        if message.request_offer is not UNSET:
            return self._request(message.request_offer, message, via)
        if message.handle_answer is not UNSET:
            return self._answer(message, via)
        if message.subscribe is not UNSET:
            return self._subscribe(message.subscribe, via)
        if message.is_available is not UNSET:
            return [Send(messages.availability(self._streams.is_live(self.room, message.is_available)), via)]
        if message.call_adapter is not UNSET:
            return self._call(message, via)
        if message.log is not UNSET:
            logged = self._log.read(message.log, message)
            return [] if logged is None else [logged]
        if self._over:
            return []
        if message.mute is not UNSET:
            return [*read_mute(message.mute)]
        if message.standby is not UNSET:
            return [*read_standby(message.standby)]
        # handleCandidate too: an ICE lite agent does not need the client's candidates. send: there is nobody to tell.
        return []

    def _switch_channel(self, via: Via) -> list[Effect]:
        if self.switched or via is not Via.SOCKET or not self._accepted:
            return []
        self.switched = True
        # What was said on the socket while the client was leaving it was lost.
        self._metadata = {}
        gone = self._gone and self._channel is not None and not self._over
        return [Send(messages.unpublish_notify(channel=True), Via.CHANNEL)] if gone else []

    def _request(self, name: str, message: ClientMessage, via: Via) -> list[Effect]:
        if self._asked or self._over:
            text = "An offer was asked for on this connection already."
            return [Send(messages.stream_error(PLAY_FAILED, text), via)]
        if self.draining:
            return self._decline(ConnectError.REJECTED, PLAY_DENIED, "This origin takes no new subscribers.", via)
        if not self._streams.is_live(self.room, name):
            return self._decline(ConnectError.REJECTED, NOT_FOUND, _unknown(name), via)
        self._asked = True
        self.stream = name
        self.locked = message.do_not_switch is True
        self._early = message.datachannel is UNSET
        return [MakeOffer(name, message.datachannel is True)]

    def _answer(self, message: ClientMessage, via: Via) -> list[Effect]:
        if self._over or self._accepted:
            return []
        if not self._offered:
            return [Send(messages.stream_error(PLAY_FAILED, "handleAnswer came without an offer."), via)]
        data = message.data
        if data is UNSET or data.sdp is UNSET or data.sdp.type != "answer":
            return self._decline(ConnectError.INVALID_SDP, INVALID_ANSWER, "handleAnswer has no SDP answer.", via)
        return [TakeAnswer(data.sdp.sdp)]

    def _subscribe(self, name: str, via: Via) -> list[Effect]:
        if self._over or not self._accepted:
            text = "This connection is over." if self._over else "subscribe came without an answer to an offer."
            return [Send(messages.stream_error(PLAY_FAILED, text), via)]
        if name != self.stream:
            text = f'This connection was offered "{self.stream}" and can watch nothing else.'
            return [Send(messages.stream_error(PLAY_FAILED, text), via)]
        if self._started:
            return [Send(messages.play_starting(name), via)]
        self._waiting = via
        # Before media can flow there is nothing to start; if it never can, the client hears of that instead.
        return self._start(via) if self._up else []

    def _start(self, via: Via) -> list[Effect]:
        name = self.stream or ""
        if not self._streams.is_live(self.room, name):
            return self._decline(ConnectError.REJECTED, NOT_FOUND, _unknown(name), via)
        self._started = True
        return [Send(messages.play_starting(name), via), Playing(name), *self._notices()]

    def _call(self, message: ClientMessage, via: Via) -> list[Effect]:
        call = read_call(message)
        if call is None:
            return []
        if call.method == "getLiveStreams":
            return [Send(messages.adapter_reply(call.ticket, self._streams.live(self.room)), via)]
        if call.method != "switchStreams":
            return [Send(messages.adapter_error(call.ticket, "This origin has no such method."), via)]
        path = read_path(call)
        if path is None or not path.strip("/"):
            return [Send(messages.adapter_error(call.ticket, "switchStreams has no path of a stream."), via)]
        if not self._started or self._over:
            return [Send(messages.adapter_error(call.ticket, "There is no subscription to switch."), via)]
        room, _, name = path.strip("/").rpartition("/")
        wanted = SwitchTo(room or self.room, name, call.ticket, via)
        if not self._streams.is_live(wanted.room, wanted.stream):
            return self.not_switched(wanted, _unknown(path))
        return [wanted]

    def _decline(self, error: ConnectError, code: str, reason: str, via: Via) -> list[Effect]:
        self._over = True
        return [Send(messages.stream_error(code, reason), via), Refused(error)]

    def _notices(self) -> list[Effect]:
        """Announce the data channel, once, after the start and when it is really open."""
        if not self._started or self._over or self.switched or self._channel is None or self._said_channel:
            return []
        self._said_channel = True
        return [Send(messages.data_channel_available(self._channel), Via.SOCKET)]

    @property
    def _current(self) -> Via:
        return Via.CHANNEL if self.switched else Via.SOCKET


def _unknown(name: str) -> str:
    return f"Stream {name[:_SHOWN]} does not exist."
