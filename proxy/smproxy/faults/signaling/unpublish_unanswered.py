"""``unpublish-unanswered``: the end of the stream is never confirmed."""

from collections.abc import Sequence

from smproxy.faults.signaling_fault import Message, SocketFault


class UnpublishUnanswered(SocketFault):
    """Withhold the confirmation."""

    name = "unpublish-unanswered"
    effect = '"NAME stopping" is withheld, and the client kept on its socket; the stream ends at the origin and in the hooks.'
    publish = "resolves; `unpublish()` stays pending"

    def from_origin(self, message: Message) -> Sequence[Message]:
        """Withhold it, on the socket, which the client does not leave."""
        if message.says_stopping:
            self.session.acted()
            return ()
        return super().from_origin(message)
