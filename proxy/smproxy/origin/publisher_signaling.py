"""A publisher's signaling, and any client's until its role is known. Sans-I/O.

The vendor SDK waits without a time-out for most replies, so every message that expects one gets one, on the transport on
which it came, whatever the state; and nothing that an SDK would take for a failure is ever sent unasked.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import UNSET

from smproxy.origin.client_requests import UNNAMEABLE, nameable, read_publisher_message
from smproxy.origin.effects import (
    BecomeSubscriber,
    Effect,
    EndStream,
    FreeName,
    Refuse,
    Send,
    SetKeyFrameInterval,
    StartStream,
    TakeOffer,
    Via,
)
from smproxy.origin.role_signaling import RoleSignaling
from smproxy.origin.source import Source
from smproxy.origin.streams import Streams
from smproxy.signaling import messages
from smproxy.signaling.messages import ClientMessage
from smproxy.signaling.payloads import ConnectError
from smproxy.signaling.redaction import Redactor

DEFAULT_KEY_FRAME_INTERVAL = 3.0
_KEY_FRAME_RATE = (500, 60_000)
MODES = frozenset({"live", "record", "append"})

INVALID_OFFER = "NetStream.Publish.InvalidSDP"
BAD_NAME = "NetStream.Publish.BadName"
PUBLISH_FAILED = "NetStream.Publish.Failed"
PUBLISH_DENIED = "NetStream.Publish.Denied"
PLAY_FAILED = "NetStream.Play.Failed"


class PublisherSignaling(RoleSignaling):
    """The signaling of a client that publishes, or has not said yet what it does.

    It stands for its client in the table of names. Which role a client takes is known when it asks for an offer, or makes
    one; questions decide nothing. A subscriber is handed over with :class:`BecomeSubscriber`.
    """

    FAILED = PUBLISH_FAILED
    INVALID_SDP = INVALID_OFFER

    def __init__(self, *, scope: str, client_id: str, streams: Streams, redactor: Redactor | None = None) -> None:
        super().__init__(scope=scope, streams=streams, redactor=redactor)
        #: Ends the session, before it returns, because another client takes the name over.
        self.on_displaced: Callable[[], None] = _nothing
        #: The last answer was that there is nothing to watch.
        self.denied = False
        self._client_id = client_id
        self._offered = self._answered = False
        self._media = self._available_sent = False
        self._source: Source | None = None

    # events -----------------------------------------------------------------------------------------------------------

    def opened(self) -> list[Effect]:
        """Greet; the SDK sends nothing before."""
        return [Send(messages.connect_status(messages.CONNECT_SUCCESS), Via.SOCKET)]

    def let_go(self) -> None:
        """Drop the session, which is gone."""
        self.on_displaced = _nothing

    def displaced(self) -> None:
        """End: another client takes the name over."""
        self.on_displaced()

    def answered(self, sdp: str, source: Source | None = None) -> list[Effect]:
        """Send the answer. It has all candidates, so the notice of complete trickling follows.

        ``source`` is what can be watched once the client publishes.
        """
        self._answered = True
        self._source = source
        return [
            Send(messages.answer(sdp), Via.SOCKET),
            Send(messages.connect_status(messages.TRICKLE_COMPLETED), Via.SOCKET),
        ]

    def name_refused(self, error: ConnectError) -> list[Effect]:
        """Refuse the client: the cluster does not give it the name."""
        if error is ConnectError.NAME_IN_USE:
            return self._refuse(error, BAD_NAME, in_use(self.stream or ""), Via.SOCKET)
        if error is ConnectError.REJECTED:
            return self._refuse(error, PUBLISH_DENIED, NO_PUBLISHERS, Via.SOCKET)
        return self.refused(error, NO_REGISTRY)

    def connected(self) -> list[Effect]:
        """Note that the transport is up; this client waits for its first media instead."""
        return []

    def media_came(self) -> list[Effect]:
        """Note that media flows, or that nothing but a data channel was offered and that is up."""
        self._media = True
        return self._notices()

    # messages ---------------------------------------------------------------------------------------------------------

    def take(self, message: ClientMessage, via: Via) -> list[Effect]:
        """Take a message.

        No SDK sends two verbs in one message. Of a client that does, the first in this order counts and the others are
        ignored. switchChannel is the first, and offers stand before playback, because the manager reads along in the same
        order: it and the origin must never disagree on whether a client has left its socket.
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
        return self._take_common(message, via)

    def _take_own(self, message: ClientMessage) -> list[Effect] | None:
        # What comes before the stream is live is for those who will watch it, too.
        return None if message.send is UNSET else self._understood("send", read_publisher_message(message.send))

    def _play(self, message: ClientMessage, via: Via) -> list[Effect]:
        if self._offered or self._over or via is Via.CHANNEL:
            text = "This connection publishes or was refused; a subscriber needs one of its own."
            return [self._error(PLAY_FAILED, text, via)]
        self._over = True
        return [BecomeSubscriber(message, via)]

    def _availability(self, name: str, bundled: bool, via: Via) -> list[Effect]:
        if not bundled and name != self._client_id:
            live = self._streams.is_live(self.scope, name)
            self.denied = not live
            return [Send(messages.availability(live), via)]
        taken = self._streams.taken_by_another(self.scope, name, self)
        effects: list[Effect] = [Send(messages.availability(taken), via)]
        # Without ``bundle`` it may be a subscriber whose id was set to the name of what it wants to watch.
        if taken and bundled and not self._offered and not self._over:
            # The SDK gives up here but leaves its socket open.
            self._over = True
            effects.append(Refuse(ConnectError.NAME_IN_USE))
        return effects

    def _offer(self, name: str, message: ClientMessage, via: Via) -> list[Effect]:
        if self._offered:
            return [self._error(PUBLISH_FAILED, "An offer was made on this connection already.", via)]
        if self._over:
            return [self._error(PUBLISH_FAILED, "This connection was refused already.", via)]
        if self.draining:
            return self._refuse(ConnectError.REJECTED, PUBLISH_DENIED, "This origin takes no new streams.", via)
        if not nameable(name):
            return self._refuse(ConnectError.REJECTED, BAD_NAME, UNNAMEABLE, via)
        data = message.data
        if data is UNSET or data.sdp is UNSET or data.sdp.type != "offer":
            return self._refuse(ConnectError.INVALID_SDP, INVALID_OFFER, "handleOffer has no SDP offer.", via)
        if not self._streams.claim(self.scope, name, self):
            return self._refuse(ConnectError.NAME_IN_USE, BAD_NAME, in_use(name), via)
        self.stream = name
        self._offered = True
        return [TakeOffer(data.sdp.sdp, _wish(message.video_encoding), _wish(message.audio_encoding))]

    def _publish(self, name: str, message: ClientMessage, via: Via) -> list[Effect]:
        if self._over or not self._answered or self.stream is None:
            text = "publish came without an offer." if not self._over else "This connection was refused already."
            return [self._error(PUBLISH_FAILED, text, via)]
        if self._started and name != self.stream:
            text = f'This connection publishes "{self.stream}" already.'
            return [self._error(PUBLISH_FAILED, text, via)]
        if name != self.stream:
            # The SDK gives up on either error, so the attempt is over as it is when an offer's name is taken.
            if not nameable(name):
                return self._refuse(ConnectError.REJECTED, BAD_NAME, UNNAMEABLE, via)
            if not self._streams.claim(self.scope, name, self):
                return self._refuse(ConnectError.NAME_IN_USE, BAD_NAME, in_use(name), via)
            self._streams.free(self.scope, self.stream, self)
            self.stream = name
        effects: list[Effect] = [Send(messages.publish_starting(name), via)]
        effects.append(SetKeyFrameInterval(key_frame_interval(_number(message.key_framerate))))
        if not self._started:
            self._started = True
            self._streams.go_live(self.scope, name, self, self._source)
            mode = message.mode if message.mode is not UNSET and message.mode in MODES else "live"
            effects.append(StartStream(name, mode))
        return effects + self._notices()

    def _unpublish(self, name: str, via: Via) -> list[Effect]:
        stopping = Send(messages.unpublish_stopping(name or self.stream or ""), via)
        if self._over:
            return [stopping]
        self._over = True
        return [FreeName(), stopping, EndStream()]

    def _notices(self) -> list[Effect]:
        """Send what the client waits for once it publishes; each notice once and in this order."""
        effects: list[Effect] = []
        if not self._started or self._over or self.stream is None:
            return effects
        if self._media and not self._available_sent:
            self._available_sent = True
            effects.append(Send(messages.publish_available(self.stream), self.current))
        return effects + self._announce_channel()


#: The reason of a refusal: whose the name is cannot be known now.
NO_REGISTRY = "The cluster's registry does not answer, so no name can be given: try again later."
#: The reason of a refusal at an edge.
NO_PUBLISHERS = "This node is an edge, which takes no publishers: publish at an origin."


def _nothing() -> None:
    pass


def in_use(name: str) -> str:
    """Return the reason of a refusal: the name is taken."""
    return f"Stream with name {name} already has a broadcast session."


def _wish(encoding: str | msgspec.UnsetType) -> str | None:
    return None if encoding is UNSET else encoding[:32]


def _number(value: float | msgspec.UnsetType | None) -> float | None:
    return None if value is UNSET else value


def key_frame_interval(milliseconds: float | None) -> float:
    """Return the time between key frames in seconds that a client gets for its ``keyFramerate``."""
    if milliseconds is None:
        return DEFAULT_KEY_FRAME_INTERVAL
    low, high = _KEY_FRAME_RATE
    return min(max(milliseconds, low), high) / 1000
