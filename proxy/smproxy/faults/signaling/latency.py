"""``latency``: signaling takes its time."""

from smproxy.faults.exchange_fault import ExchangeFault, HttpExchange, Sender
from smproxy.faults.parameter import Parameter
from smproxy.faults.signaling_fault import Side, SignalingFault


class Latency(SignalingFault, ExchangeFault):
    """Delay everything on the socket, Close frames and pings too."""

    name = "latency"
    effect = "What comes on the socket goes on later, in order. Media and the data channel are not delayed."
    whip = "requests (`sender=client`) and answers are held"
    publish = "resolves, later"

    ms = Parameter(200, "milliseconds in each direction", 0, 60_000)
    jitter = Parameter(0, "milliseconds by which it varies up and down", 0, 60_000)
    sender = Parameter("both", "whose messages", choices=("both", "client", "origin"))

    def delay(self, sender: Side) -> float:
        """Draw how long this takes."""
        if self.sender not in {"both", sender}:
            return 0.0
        self.session.acted()
        return self._draw()

    def hold(self, exchange: HttpExchange, sender: Sender) -> float:
        """Draw how long a request or its answer takes."""
        if self.sender not in {"both", sender}:
            return 0.0
        self.http.acted()
        return self._draw()

    def _draw(self) -> float:
        mean, jitter = self.ms / 1000, self.jitter / 1000
        return max(0.0, mean + self.rng.uniform(-jitter, jitter))
