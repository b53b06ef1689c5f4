"""``no-starting``: the start of the stream is never told."""

from collections.abc import Sequence
from random import Random

from smproxy.faults.kind import FaultKind, Room, Values
from smproxy.faults.signaling_fault import Message, OnSocket


class NoStarting(OnSocket):
    """Keeps one message back."""

    def __init__(self, values: Values, rng: Random) -> None:
        pass

    def from_origin(self, message: Message) -> Sequence[Message]:
        """Keep the start back, and the notice that would come after it."""
        if message.says_starting:
            self.session.acted()
            return ()
        return super().from_origin(message)


FAULT = FaultKind(
    name="no-starting",
    room=Room.SIGNALING,
    effect='"NAME starting" is withheld; the origin has the stream and its media, and the hooks tell of them.',
    publish="stays pending",
    make=NoStarting,
)
