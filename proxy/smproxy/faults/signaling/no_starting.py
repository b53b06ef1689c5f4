"""``no-starting``: the start of the stream is never confirmed."""

from collections.abc import Sequence

from smproxy.faults.signaling_fault import Message, SocketFault


class NoStarting(SocketFault):
    """Withhold one message."""

    name = "no-starting"
    effect = '"NAME starting" is withheld; the origin has the stream and its media, and the hooks tell of them.'
    publish = "stays pending"

    def from_origin(self, message: Message) -> Sequence[Message]:
        """Withhold the start, and the notice that would come after it."""
        if message.says_starting:
            self.session.acted()
            return ()
        return super().from_origin(message)
