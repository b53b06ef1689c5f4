"""``bandwidth``: notices that the uplink is too narrow."""

from collections.abc import Sequence

from smproxy.faults.parameter import Parameter
from smproxy.faults.signaling_fault import Message, SocketFault
from smproxy.signaling import messages

CODES = {
    "insufficient": "NetConnection.Publish.InsufficientBW",
    "recovering": "NetConnection.Publish.RecoveringBW",
    "sufficient": "NetConnection.Publish.SufficientBW",
}


class Bandwidth(SocketFault):
    """Add notices after the start."""

    name = "bandwidth"
    effect = (
        "After the start the client, which is kept on its socket, gets notices of its bandwidth; media is not touched."
    )
    publish = "resolves; the events `Publish.InsufficientBW`, `.RecoveringBW`, `.SufficientBW` follow"

    notice = Parameter("all", "which; `all`: one after the other", choices=("all", *CODES))
    after = Parameter(1.0, "seconds from the start to the first")
    every = Parameter(1.0, "seconds between two")

    def from_origin(self, message: Message) -> Sequence[Message]:
        """Wait for the start."""
        if message.says_starting:
            codes = list(CODES.values()) if self.notice == "all" else [CODES[self.notice]]
            self.session.later(self.after, lambda: self._send(codes))
        return super().from_origin(message)

    def _send(self, codes: list[str]) -> None:
        code, *more = codes
        self.session.acted(code)
        self.session.send("client", messages.connect_status(code))
        if more:
            self.session.later(self.every, lambda: self._send(more))
