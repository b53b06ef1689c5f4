"""A subscriber's signaling: messages in, effects out. Sans-I/O.

As with publishers, the vendor SDK waits without a time-out for most replies, and takes each ``TrickleCompleted`` as the
signal to subscribe; so everything that it waits for is sent, on the transport where it listens, and once.
"""

from __future__ import annotations

from msgspec import UNSET

from smproxy.origin.client_requests import Call, read_path, read_standby
from smproxy.origin.effects import (
    Effect,
    MakeOffer,
    PublisherMessage,
    Send,
    StartPlayback,
    SwitchTo,
    TakeAnswer,
    Via,
)
from smproxy.origin.role_signaling import RoleSignaling
from smproxy.origin.streams import Streams
from smproxy.signaling import messages
from smproxy.signaling.messages import ClientMessage
from smproxy.signaling.payloads import ConnectError
from smproxy.signaling.redaction import Redactor

PLAY_FAILED = "NetStream.Play.Failed"
PLAY_DENIED = "NetStream.Play.Denied"
NOT_FOUND = "NetStream.Play.StreamNotFound"
INVALID_ANSWER = "NetStream.Play.InvalidSDP"
#: Characters of a name that is not known, as far as a refusal repeats it.
_SHOWN = 100


class SubscriberSignaling(RoleSignaling):
    """The signaling of a client that watches.

    ``stream`` is what the client asked for; what it is shown may be another stream after a switch.
    """

    FAILED = PLAY_FAILED
    INVALID_SDP = INVALID_ANSWER

    def __init__(self, *, scope: str, streams: Streams, redactor: Redactor | None = None) -> None:
        super().__init__(scope=scope, streams=streams, redactor=redactor)
        #: An offer was asked for, was sent, and was answered.
        self._asked = self._offered = self._accepted = False
        self._up = self._unpublished = False
        #: The client's SDK is from before 8: it does not say whether it wants a data channel.
        self._early = False
        #: Where ``subscribe`` came, until it is answered.
        self._waiting: Via | None = None
        self._metadata: dict[str, str | int | float] = {}

    # events -----------------------------------------------------------------------------------------------------------

    def offered(self, sdp: str) -> list[Effect]:
        """Send the offer, with all candidates in it."""
        self._offered = True
        return [Send(messages.offer(sdp), Via.SOCKET)]

    def answered(self, sdp: str) -> list[Effect]:
        """Send the answer to the client's offer; the vendor's SDK makes none on a WebSocket."""
        raise NotImplementedError

    def watched_by(self, count: int) -> None:
        """Note how many watch the stream."""

    def accepted(self) -> list[Effect]:
        """Send that trickling is complete. The SDK sends ``subscribe`` each time it gets that."""
        if self._accepted:
            return []
        self._accepted = True
        return [Send(messages.connect_status(messages.TRICKLE_COMPLETED), Via.SOCKET)]

    def connected(self) -> list[Effect]:
        """Note that ICE and DTLS are up; a client that wants to watch waits for it."""
        self._up = True
        return [] if self._waiting is None or self._over else self._start(self._waiting)

    def metadata_changed(self, metadata: dict[str, str | int | float]) -> list[Effect]:
        """Send what changed of the stream's metadata."""
        if not self._started or self._over or metadata == self._metadata:
            return []
        self._metadata = metadata
        return [Send(messages.metadata(metadata), self.current)]

    def publisher_sent(self, message: PublisherMessage, sender: str) -> list[Effect]:
        """Pass on a message of the publisher, in the form that the client understands."""
        if not self._started or self._over:
            return []
        if self._early:
            text = messages.publisher_invoked(message.method, message.data)
        else:
            text = messages.publisher_said(message.method, message.data, sender)
        return [Send(text, self.current)]

    def unpublished(self) -> list[Effect]:
        """Send that the stream ended; later SDKs leave on it, older ones stay."""
        if not self._started or self._over:
            return []
        self._metadata = {}
        self._unpublished = True
        via = self.current
        return [Send(messages.unpublish_notify(channel=via is Via.CHANNEL), via)]

    def published(self) -> list[Effect]:
        """Send that the stream is there again."""
        if not self._started or self._over:
            return []
        self._unpublished = False
        return [Send(messages.connect_status(messages.PLAY_PUBLISH_NOTIFY), self.current)]

    def cannot_show(self, reason: str) -> list[Effect]:
        """Send why nothing is shown of a track: the stream was published again in another codec."""
        return [] if self._over else [self._error(PLAY_FAILED, reason, self.current)]

    def switched_to(self, wanted: SwitchTo) -> list[Effect]:
        """Send that another stream is shown: the reply to the ticket, and the notice."""
        self._unpublished = False
        reply = {"path": f"{wanted.scope}/{wanted.stream}"}
        return [
            Send(messages.adapter_reply(wanted.ticket, reply), wanted.via),
            Send(messages.stream_switched(), wanted.via),
        ]

    def not_switched(self, wanted: SwitchTo, reason: str) -> list[Effect]:
        """Send why the stream was not switched; the one before goes on."""
        return [Send(messages.adapter_error(wanted.ticket, reason), wanted.via)]

    # messages ---------------------------------------------------------------------------------------------------------

    def take(self, message: ClientMessage, via: Via) -> list[Effect]:
        """Take a message; of several verbs the first in this order counts, as with publishers."""
        if message.switch_channel is not UNSET:
            return self._switch_channel(via)
        if message.handle_offer is not UNSET or message.publish is not UNSET:
            text = "This connection watches a stream; a publisher needs one of its own."
            return [self._error(PLAY_FAILED, text, via)]
        if message.request_offer is not UNSET:
            return self._request(message.request_offer, message, via)
        if message.handle_answer is not UNSET:
            return self._answer(message, via)
        if message.subscribe is not UNSET:
            return self._subscribe(message.subscribe, via)
        if message.is_available is not UNSET:
            return [Send(messages.availability(self._streams.is_live(self.scope, message.is_available)), via)]
        return self._take_common(message, via)

    def _take_own(self, message: ClientMessage) -> list[Effect] | None:
        # Not send: a subscriber has nobody to send it to.
        return None if message.standby is UNSET else self._understood("standby", read_standby(message.standby))

    def _switch_channel(self, via: Via) -> list[Effect]:
        if self.switched or via is not Via.SOCKET or not self._accepted:
            return []
        self.switched = True
        # What was sent on the socket while the client was leaving it was lost.
        self._metadata = {}
        gone = self._unpublished and self._channel is not None and not self._over
        return [Send(messages.unpublish_notify(channel=True), Via.CHANNEL)] if gone else []

    def _request(self, name: str, message: ClientMessage, via: Via) -> list[Effect]:
        if self._asked or self._over:
            text = "An offer was asked for on this connection already."
            return [self._error(PLAY_FAILED, text, via)]
        if self.draining:
            return self._refuse(ConnectError.REJECTED, PLAY_DENIED, "This origin takes no new subscribers.", via)
        if not self._streams.is_live(self.scope, name):
            return self._refuse(ConnectError.REJECTED, NOT_FOUND, _unknown(name), via)
        self._asked = True
        self.stream = name
        self._early = message.datachannel is UNSET
        return [MakeOffer(name, message.datachannel is True)]

    def _answer(self, message: ClientMessage, via: Via) -> list[Effect]:
        if self._over or self._accepted:
            return []
        if not self._offered:
            return [self._error(PLAY_FAILED, "handleAnswer came without an offer.", via)]
        data = message.data
        if data is UNSET or data.sdp is UNSET or data.sdp.type != "answer":
            return self._refuse(ConnectError.INVALID_SDP, INVALID_ANSWER, "handleAnswer has no SDP answer.", via)
        return [TakeAnswer(data.sdp.sdp)]

    def _subscribe(self, name: str, via: Via) -> list[Effect]:
        if self._over or not self._accepted:
            text = "This connection is over." if self._over else "subscribe came without an answer to an offer."
            return [self._error(PLAY_FAILED, text, via)]
        if name != self.stream:
            text = f'This connection was offered "{self.stream}" and can watch nothing else.'
            return [self._error(PLAY_FAILED, text, via)]
        if self._started:
            return [Send(messages.play_starting(name), via)]
        self._waiting = via
        # Before media can flow there is nothing to start; if it never can, the client gets an error instead.
        return self._start(via) if self._up else []

    def _start(self, via: Via) -> list[Effect]:
        name = self.stream or ""
        if not self._streams.is_live(self.scope, name):
            return self._refuse(ConnectError.REJECTED, NOT_FOUND, _unknown(name), via)
        self._started = True
        return [Send(messages.play_starting(name), via), StartPlayback(name), *self._notices()]

    def _call(self, call: Call, via: Via) -> list[Effect]:
        if call.method != "switchStreams":
            return super()._call(call, via)
        path = read_path(call)
        if path is None or not path.strip("/"):
            return [Send(messages.adapter_error(call.ticket, "switchStreams has no path of a stream."), via)]
        if not self._started or self._over:
            return [Send(messages.adapter_error(call.ticket, "There is no subscription to switch."), via)]
        scope, _, name = path.strip("/").rpartition("/")
        wanted = SwitchTo(scope or self.scope, name, call.ticket, via)
        if not self._streams.is_live(wanted.scope, wanted.stream):
            return self.not_switched(wanted, _unknown(path))
        return [wanted]

    def _notices(self) -> list[Effect]:
        """Announce the data channel after the start, when it is open."""
        return self._announce_channel() if self._started and not self._over else []


def _unknown(name: str) -> str:
    return f"Stream {name[:_SHOWN]} does not exist."
