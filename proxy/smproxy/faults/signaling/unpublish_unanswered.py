"""``unpublish-unanswered``: the end of the stream is never confirmed."""

from collections.abc import Sequence
from random import Random

from smproxy.faults.kind import FaultKind, Room, Values
from smproxy.faults.signaling_fault import Message, OnSocket


class UnpublishUnanswered(OnSocket):
    """Keeps the confirmation back."""

    def __init__(self, values: Values, rng: Random) -> None:
        pass

    def from_origin(self, message: Message) -> Sequence[Message]:
        """Keep it back, on the socket, which the client does not leave."""
        if message.says_stopping:
            self.session.acted()
            return ()
        return super().from_origin(message)


FAULT = FaultKind(
    name="unpublish-unanswered",
    room=Room.SIGNALING,
    effect='"NAME stopping" is withheld, and the client kept on its socket; the stream ends at the origin and in the '
    "hooks.",
    publish="resolves; `unpublish()` stays pending",
    make=UnpublishUnanswered,
)
