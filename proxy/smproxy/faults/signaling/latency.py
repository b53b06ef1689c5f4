"""``latency``: signaling takes its time."""

from random import Random

from smproxy.faults.kind import FaultKind, Parameter, Room, Values
from smproxy.faults.signaling_fault import Side, SignalingFault


class Latency(SignalingFault):
    """Delays everything on the socket, Close frames and pings too."""

    def __init__(self, values: Values, rng: Random) -> None:
        self._mean, self._jitter, self._sender = values["ms"] / 1000, values["jitter"] / 1000, values["sender"]
        self._rng = rng
        self._told = False

    def delay(self, sender: Side) -> float:
        """Return how long this takes."""
        if self._sender not in {"both", sender}:
            return 0.0
        if not self._told:
            self._told = True
            self.session.acted()
        seconds: float = max(0.0, self._mean + self._rng.uniform(-self._jitter, self._jitter))
        return seconds


FAULT = FaultKind(
    name="latency",
    room=Room.SIGNALING,
    effect="What comes on the socket goes on later, in order. Media and the data channel are not delayed.",
    publish="resolves, later",
    parameters=(
        Parameter("ms", 200, "milliseconds in each direction", 0, 60_000),
        Parameter("jitter", 0, "milliseconds by which it varies up and down", 0, 60_000),
        Parameter("sender", "both", "whose messages", choices=("both", "client", "origin")),
    ),
    make=Latency,
)
