"""``offer-error``: the offer cannot be used."""

from collections.abc import Sequence
from random import Random

from msgspec import UNSET

from smproxy.faults.kind import FaultKind, Parameter, Room, Values
from smproxy.faults.signaling_fault import Message, SignalingFault
from smproxy.signaling import messages
from smproxy.signaling.payloads import ConnectError


class OfferError(SignalingFault):
    """Answers an offer for the origin, which does not see it."""

    def __init__(self, values: Values, rng: Random) -> None:
        self._error = messages.stream_error(values["code"], values["message"])

    def from_client(self, message: Message) -> Sequence[Message]:
        """Refuse the offer."""
        if message.client.handle_offer is UNSET:
            return (message,)
        self.session.acted()
        self.session.send("client", self._error)
        self.session.refused(ConnectError.INVALID_SDP)
        return ()


FAULT = FaultKind(
    name="offer-error",
    room=Room.SIGNALING,
    effect="`handleOffer` is answered with an error and never reaches the origin. Hook: `connect_error`, error 0.",
    publish="rejects with the message",
    parameters=(
        Parameter("code", "NetStream.Publish.InvalidSDP", "code of the error"),
        Parameter("message", "The offer cannot be used.", "its text"),
    ),
    make=OfferError,
)
