"""``silence``: the server falls silent."""

from collections.abc import Sequence
from random import Random

from smproxy.faults.kind import FaultKind, Room, Values
from smproxy.faults.signaling_fault import Message, Side, SignalingFault
from smproxy.faults.stage import STAGES, stage_of, stage_parameter


class Silence(SignalingFault):
    """Keeps all that the origin says from a stage on."""

    def __init__(self, values: Values, rng: Random) -> None:
        self._stage = values["stage"]
        self._silent = False

    def from_client(self, message: Message) -> Sequence[Message]:
        """Watch for the stage."""
        self._watch(message, "client")
        return (message,)

    def from_origin(self, message: Message) -> Sequence[Message]:
        """Keep it back once the stage has come."""
        self._watch(message, "origin")
        return () if self._silent else (message,)

    def _watch(self, message: Message, sender: Side) -> None:
        if not self._silent and stage_of(message, sender) == self._stage:
            self._silent = True
            self.session.acted(f"from {self._stage} on")


FAULT = FaultKind(
    name="silence",
    room=Room.SIGNALING,
    effect="From a stage on the client hears nothing more; the socket stays open.",
    publish="stays pending",
    parameters=(stage_parameter("connect", STAGES, "the first message that is answered by, or is, silence"),),
    make=Silence,
)
