"""What the signaling of both roles has in common: messages in, effects out. Sans-I/O."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from msgspec import UNSET

from smproxy.origin.client_requests import Call, ClientLog, read_call, read_mute, read_shared_object
from smproxy.origin.effects import Effect, LogClientLine, LogProblem, Refuse, Send, Via
from smproxy.origin.offer import InvalidOffer, Offer
from smproxy.origin.streams import Streams
from smproxy.signaling import messages
from smproxy.signaling.messages import ClientMessage, UnusableMessage
from smproxy.signaling.payloads import ConnectError
from smproxy.signaling.redaction import Redactor


class RoleSignaling(ABC):
    """One client's signaling, on its socket and later on its data channel.

    ``switched``: the client has left the socket for the data channel, so that the socket's end is not the stream's end.
    ``draining``: new streams and subscribers are refused.
    """

    #: Codes of errors: the negotiation failed, and the client's SDP cannot be used.
    FAILED: ClassVar[str]
    INVALID_SDP: ClassVar[str]

    def __init__(self, *, scope: str, streams: Streams, redactor: Redactor | None = None) -> None:
        self.scope = scope
        self.stream: str | None = None
        self.switched = False
        self.draining = False
        self._streams = streams
        #: Nothing more is started; questions are still answered.
        self._over = False
        #: The stream, or the watching of it, has started.
        self._started = False
        self._channel: str | None = None
        self._channel_announced = False
        #: Knows the secrets of the client's URL.
        self.redactor = redactor or Redactor()
        self._log = ClientLog(self.redactor)
        self._problems: set[str] = set()

    def receive(self, frame: str | bytes, via: Via) -> list[Effect]:
        """Take a frame. What is no JSON object is logged once, and what is not known is ignored."""
        if isinstance(frame, bytes):
            return []
        message = messages.read_client(frame)
        if message is None:
            return self._problem("", "a message that is no JSON object was ignored")
        return self._unusable(message, via) if isinstance(message, UnusableMessage) else self.take(message, via)

    def _unusable(self, message: UnusableMessage, via: Via) -> list[Effect]:
        """Answer a message with a value that cannot be taken with an error; what is live goes on."""
        effects = self._problem(message.key, f"the message {message.verb} cannot be used: {message.reason}")
        text = f"{message.verb}: {message.reason}"
        if self._over or self._started:
            return [*effects, self._error(self.FAILED, text, via)]
        if message.key == "data":
            return [*effects, *self._refuse(ConnectError.INVALID_SDP, self.INVALID_SDP, text, via)]
        return [*effects, *self._refuse(ConnectError.REJECTED, self.FAILED, text, via)]

    def _problem(self, key: str, text: str) -> list[Effect]:
        """Log a problem with the values of a key, once for each key."""
        if key in self._problems:
            return []
        self._problems.add(key)
        return [LogProblem(self.redactor.text(text))]

    def _understood(self, key: str, effects: Sequence[Effect]) -> list[Effect]:
        """Return the effects of a message that expects no answer; log that there are none."""
        return [*effects] or self._problem(
            key, f"the message {key} cannot be used: its value is of another form, or too long"
        )

    @abstractmethod
    def take(self, message: ClientMessage, via: Via) -> list[Effect]:
        """Take a message; of several verbs in it the first one in a fixed order counts."""

    def _take_common(self, message: ClientMessage, via: Via) -> list[Effect]:
        """Take a message that decides nothing; both roles take these last."""
        if message.call_adapter is not UNSET:
            return self._answer_call(message, via)
        if message.log is not UNSET:
            return [*self._log_line(message.log, message)]
        if self._over:
            return []
        if message.mute is not UNSET:
            return self._understood("mute", read_mute(message.mute))
        if (effects := self._take_own(message)) is not None:
            return effects
        if request := read_shared_object(message, via):
            return [request]
        # handleCandidate too: an ICE lite agent does not need the client's candidates.
        return []

    @abstractmethod
    def _take_own(self, message: ClientMessage) -> list[Effect] | None:
        """Take what only one role sends about its stream; no reply is expected.

        ``None``: it is something else.
        """

    def refused(self, error: ConnectError, reason: str) -> list[Effect]:
        """Refuse the client: its offer or answer cannot be taken, or none can be made."""
        code = self.INVALID_SDP if error is ConnectError.INVALID_SDP else self.FAILED
        return self._refuse(error, code, reason, Via.SOCKET)

    def check_offer(self, offer: Offer) -> None:  # noqa: B027 - most ask nothing
        """Check what only this kind of signaling asks of an offer.

        Raises:
            InvalidOffer: it is not met.
        """

    def invalid_offer(self, problem: InvalidOffer) -> list[Effect]:
        """Refuse the client: its offer cannot be taken."""
        return self.refused(ConnectError.INVALID_SDP, str(problem))

    def not_connected(self, reason: str) -> list[Effect]:
        """Send an error: no connection came about. The end of the attempt is the caller's to report."""
        self._over = True
        return [self._error(self.FAILED, f"No media connection could be made: {reason}", self.current)]

    def channel_opened(self, label: str) -> list[Effect]:
        """Note that the client's data channel is open."""
        if self._channel is not None:
            return []
        self._channel = label
        return self._notices()

    def kicked(self) -> list[Effect]:
        """Send that the connection is closed on the data channel; a socket's close needs no message."""
        self._over = True
        if not self.switched or self._channel is None:
            return []
        return [Send(messages.connect_status(messages.CONNECT_CLOSED), Via.CHANNEL)]

    def end(self) -> None:
        """Start nothing more; questions are still answered."""
        self._over = True

    @abstractmethod
    def _notices(self) -> list[Effect]:
        """Send what the client waits for and what is due now; each notice once."""

    def _announce_channel(self) -> list[Effect]:
        """Announce the data channel, once, and only to a client that may still switch to it."""
        if self._channel is None or self._channel_announced or self.switched:
            return []
        self._channel_announced = True
        return [Send(messages.data_channel_available(self._channel), Via.SOCKET)]

    def _answer_call(self, message: ClientMessage, via: Via) -> list[Effect]:
        """Answer a ``callAdapter`` request; one without a ticket expects no reply."""
        call = read_call(message)
        if call is None:
            return []
        if call.method == "getLiveStreams":
            return [Send(messages.adapter_reply(call.ticket, self._streams.live(self.scope)), via)]
        return self._call(call, via)

    def _call(self, call: Call, via: Via) -> list[Effect]:
        """Answer a call of a method that only one role has."""
        return [Send(messages.adapter_error(call.ticket, "This origin has no such method."), via)]

    def _log_line(self, level: str, message: ClientMessage) -> list[LogClientLine]:
        line = self._log.read(level, message)
        return [] if line is None else [line]

    def _error(self, code: str, reason: str, via: Via) -> Send:
        return Send(messages.stream_error(code, reason), via)

    def _refuse(self, error: ConnectError, code: str, reason: str, via: Via) -> list[Effect]:
        self._over = True
        return [self._error(code, reason, via), Refuse(error)]

    @property
    def has_channel(self) -> bool:
        """Whether the data channel is open, or was."""
        return self._channel is not None

    @property
    def current(self) -> Via:
        """The transport on which the client listens."""
        return Via.CHANNEL if self.switched else Via.SOCKET
