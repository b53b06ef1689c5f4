"""``close``: the socket is closed at a stage."""

from collections.abc import Sequence

from smproxy.faults.parameter import Parameter, close_code
from smproxy.faults.signaling_fault import Message, Side, SocketFault
from smproxy.faults.stage import STAGES_AND_LIVE, stage_of, stage_parameter
from smproxy.signaling.messages import DATA_CHANNEL_AVAILABLE


class CloseAtStage(SocketFault):
    """Close in place of a message."""

    name = "close"
    effect = (
        "The socket is closed in place of a message, or after the stream is live (the client is then kept on its "
        "socket). 1006 cuts the connection without a Close frame."
    )
    publish = "stays pending; with `stage=live` it has resolved, and the page loses its connection"

    stage = stage_parameter("publish", STAGES_AND_LIVE, "the message that is not let through")
    code = close_code(1011, cut=True)
    reason = Parameter("closed by a fault", "reason in the Close frame")
    after = Parameter(0.0, "seconds from the stage to the close")

    _due = False

    def from_client(self, message: Message) -> Sequence[Message]:
        """Close if it is the stage."""
        return self._take(message, "client")

    def from_origin(self, message: Message) -> Sequence[Message]:
        """Close if it is the stage; a client that is live stays on its socket until then."""
        if message.code == DATA_CHANNEL_AVAILABLE:
            return ()
        return self._take(message, "origin")

    def _take(self, message: Message, sender: Side) -> Sequence[Message]:
        if self._due:
            return (message,) if self.stage == "live" else ()
        stage = stage_of(message, sender)
        live = self.stage == "live" and stage == "starting"
        if stage != self.stage and not live:
            return (message,)
        self._due = True
        self.session.later(self.after, self._close)
        return (message,) if live else ()

    def _close(self) -> None:
        self.session.acted(f"at {self.stage} with {self.code}")
        self.session.close(self.code, self.reason)
