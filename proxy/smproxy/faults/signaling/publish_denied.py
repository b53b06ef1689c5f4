"""``publish-denied``: the user may not publish."""

from collections.abc import Sequence
from random import Random

from msgspec import UNSET

from smproxy.faults.kind import FaultKind, Parameter, Room, Values
from smproxy.faults.signaling_fault import Message, SignalingFault
from smproxy.signaling import messages
from smproxy.signaling.payloads import ConnectError


class PublishDenied(SignalingFault):
    """Answers ``publish`` for the origin, which does not see it."""

    def __init__(self, values: Values, rng: Random) -> None:
        self._error = messages.stream_error(values["code"], values["message"])

    def from_client(self, message: Message) -> Sequence[Message]:
        """Refuse to start the stream."""
        if message.client.publish is UNSET:
            return (message,)
        self.session.acted()
        self.session.send("client", self._error)
        self.session.refused(ConnectError.REJECTED)
        return ()


FAULT = FaultKind(
    name="publish-denied",
    room=Room.SIGNALING,
    effect="`publish` is answered with an error and never reaches the origin. Hook: `connect_error`, error 3; with a "
    "transport that is up already, `disconnected` when the client leaves.",
    publish="rejects with the message, then sends `unpublish`",
    parameters=(
        Parameter("code", "NetStream.Publish.Denied", "code of the error"),
        Parameter("message", "Not allowed to publish.", "its text"),
    ),
    make=PublishDenied,
)
