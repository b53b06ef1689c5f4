"""``bandwidth``: notices that the uplink is too narrow."""

from collections.abc import Sequence
from random import Random

from smproxy.faults.kind import FaultKind, Parameter, Room, Values
from smproxy.faults.signaling_fault import Message, OnSocket
from smproxy.signaling import messages

CODES = {
    "insufficient": "NetConnection.Publish.InsufficientBW",
    "recovering": "NetConnection.Publish.RecoveringBW",
    "sufficient": "NetConnection.Publish.SufficientBW",
}


class Bandwidth(OnSocket):
    """Adds notices after the start."""

    def __init__(self, values: Values, rng: Random) -> None:
        wanted = values["notice"]
        self._codes = list(CODES.values()) if wanted == "all" else [CODES[wanted]]
        self._after, self._every = values["after"], values["every"]

    def from_origin(self, message: Message) -> Sequence[Message]:
        """Wait for the start."""
        if message.says_starting:
            self.session.later(self._after, self._tell)
        return super().from_origin(message)

    def _tell(self) -> None:
        code = self._codes.pop(0)
        self.session.acted(code)
        self.session.send("client", messages.connect_status(code))
        if self._codes:
            self.session.later(self._every, self._tell)


FAULT = FaultKind(
    name="bandwidth",
    room=Room.SIGNALING,
    effect="After the start the client, which is kept on its socket, gets notices of its bandwidth; media is not "
    "touched.",
    publish="resolves; the events `Publish.InsufficientBW`, `.RecoveringBW`, `.SufficientBW` follow",
    parameters=(
        Parameter("notice", "all", "which; `all`: one after the other", choices=("all", *CODES)),
        Parameter("after", 1.0, "seconds from the start to the first"),
        Parameter("every", 1.0, "seconds between two"),
    ),
    make=Bandwidth,
)
