"""``close``: the socket is closed at a stage."""

from collections.abc import Sequence
from random import Random

from smproxy.faults.kind import FaultKind, Parameter, Room, Values, close_code
from smproxy.faults.signaling_fault import Message, OnSocket, Side
from smproxy.faults.stage import STAGES_AND_LIVE, stage_of, stage_parameter
from smproxy.signaling.messages import DATA_CHANNEL_AVAILABLE


class CloseAtStage(OnSocket):
    """Closes in place of a message."""

    def __init__(self, values: Values, rng: Random) -> None:
        self._stage = values["stage"]
        self._code, self._reason, self._after = values["code"], values["reason"], values["after"]
        self._due = False

    def from_client(self, message: Message) -> Sequence[Message]:
        """Strike if it is the stage."""
        return self._look(message, "client")

    def from_origin(self, message: Message) -> Sequence[Message]:
        """Strike if it is the stage; a client that is live stays on its socket until then."""
        if message.code == DATA_CHANNEL_AVAILABLE:
            return ()
        return self._look(message, "origin")

    def _look(self, message: Message, sender: Side) -> Sequence[Message]:
        if self._due:
            return (message,) if self._stage == "live" else ()
        stage = stage_of(message, sender)
        live = self._stage == "live" and stage == "starting"
        if stage != self._stage and not live:
            return (message,)
        self._due = True
        self.session.later(self._after, self._close)
        return (message,) if live else ()

    def _close(self) -> None:
        self.session.acted(f"at {self._stage} with {self._code}")
        self.session.close(self._code, self._reason)


FAULT = FaultKind(
    name="close",
    room=Room.SIGNALING,
    effect="The socket is closed in place of a message, or after the stream is live (the client is then kept on its "
    "socket). 1006 cuts the connection without a Close frame.",
    publish="stays pending; with `stage=live` it has resolved, and the page loses its connection",
    parameters=(
        stage_parameter("publish", STAGES_AND_LIVE, "the message that is not let through"),
        close_code(1011, cut=True),
        Parameter("reason", "closed by a fault", "reason in the Close frame"),
        Parameter("after", 0.0, "seconds from the stage to the close"),
    ),
    make=CloseAtStage,
)
