"""``no-trickle-completed``: the end of candidates never comes."""

from collections.abc import Sequence

from smproxy.faults.signaling_fault import Message, SignalingFault
from smproxy.faults.stage import TRICKLE_CODES


class NoTrickleCompleted(SignalingFault):
    """Withhold one message."""

    name = "no-trickle-completed"
    effect = (
        "`NetConnection.ICE.TrickleCompleted` is withheld: the transport comes up, and the client never says `publish`."
    )
    publish = "stays pending"

    def from_origin(self, message: Message) -> Sequence[Message]:
        """Withhold the end of candidates."""
        if message.code not in TRICKLE_CODES:
            return (message,)
        self.session.acted()
        return ()
