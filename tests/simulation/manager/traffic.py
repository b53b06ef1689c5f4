"""The model of what a fault does not match: untouched byte for byte, and in time."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.simulation.node.models.violation import broken

Sent = list[tuple[float, bytes]]


@dataclass
class Traffic:
    """All that one client and its origin have sent and got; seconds and bytes."""

    number: int
    id: str
    customer_scope: str
    role: str
    #: Seconds from one end to the other, through the manager.
    delay: float
    #: A fault was for it at some time.
    touched: bool = False
    #: Something else than its own ends has ended it: what was on its way is lost.
    broken: bool = False
    over: bool = False
    #: The origin has taken it.
    accepted: bool = False
    up: Sent = field(default_factory=list)
    up_got: Sent = field(default_factory=list)
    down: Sent = field(default_factory=list)
    down_got: Sent = field(default_factory=list)
    packets: Sent = field(default_factory=list)
    packets_got: Sent = field(default_factory=list)

    def check(self) -> None:
        """Check that what was sent came, as it was and when it had to."""
        if self.touched:
            return
        self._same("from client to origin", self.up, self.up_got, self.delay)
        self._same("from origin to client", self.down, self.down_got, self.delay)
        self._same("media", self.packets, self.packets_got, 0.0)

    def _same(self, what: str, sent: Sent, got: Sent, delay: float) -> None:
        name = f"client {self.number} ({self.id} of {self.customer_scope}), for which no fault is: {what}"
        for (sent_at, data), (got_at, came) in zip(sent, got, strict=False):
            if data != came:
                broken("faults", f"{name}: {came!r} came for {data!r}")
            if abs(got_at - sent_at - delay) > 1e-6:
                broken("faults", f"{name}: {data!r} took {got_at - sent_at:.4f} s, not {delay:.4f} s")
        if len(got) > len(sent) or (len(got) < len(sent) and not self.broken):
            broken("faults", f"{name}: {len(got)} came of {len(sent)}")
