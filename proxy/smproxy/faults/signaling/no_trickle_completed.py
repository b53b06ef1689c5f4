"""``no-trickle-completed``: the end of candidates is never told."""

from collections.abc import Sequence
from random import Random

from smproxy.faults.kind import FaultKind, Room, Values
from smproxy.faults.signaling_fault import Message, SignalingFault
from smproxy.faults.stage import TRICKLE_CODES


class NoTrickleCompleted(SignalingFault):
    """Keeps one message back."""

    def __init__(self, values: Values, rng: Random) -> None:
        pass

    def from_origin(self, message: Message) -> Sequence[Message]:
        """Keep the end of candidates back."""
        if message.code not in TRICKLE_CODES:
            return (message,)
        self.session.acted()
        return ()


FAULT = FaultKind(
    name="no-trickle-completed",
    room=Room.SIGNALING,
    effect="`NetConnection.ICE.TrickleCompleted` is withheld: the transport comes up, and the client never says "
    "`publish`.",
    publish="stays pending",
    make=NoTrickleCompleted,
)
