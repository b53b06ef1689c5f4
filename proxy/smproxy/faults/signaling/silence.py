"""``silence``: the server falls silent."""

from collections.abc import Sequence

from smproxy.faults.signaling_fault import Message, Side, SignalingFault
from smproxy.faults.stage import STAGES, stage_of, stage_parameter


class Silence(SignalingFault):
    """Withhold all that the origin sends from a stage on."""

    name = "silence"
    effect = "From a stage on the client hears nothing more; the socket stays open."
    publish = "stays pending"

    stage = stage_parameter("connect", STAGES, "the first message that is answered by, or is, silence")

    _silent = False

    def from_client(self, message: Message) -> Sequence[Message]:
        """Watch for the stage."""
        self._watch(message, "client")
        return (message,)

    def from_origin(self, message: Message) -> Sequence[Message]:
        """Withhold it once the stage has come."""
        self._watch(message, "origin")
        return () if self._silent else (message,)

    def _watch(self, message: Message, sender: Side) -> None:
        if not self._silent and stage_of(message, sender) == self.stage:
            self._silent = True
            self.session.acted(f"from {self.stage} on")
