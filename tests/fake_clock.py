"""Time that tests decide about."""

from __future__ import annotations

from smproxy.signaling.clock import Clock


class FakeTime:
    """A time in seconds that stands still until ``now`` is set, or goes on by ``step`` with each look."""

    def __init__(self, now: float = 1000.0, *, step: float = 0.0) -> None:
        self.now = now
        self._step = step

    def __call__(self) -> float:
        self.now += self._step
        return self.now

    @property
    def clock(self) -> Clock:
        """Wall clock and monotonic clock of this time."""
        return Clock(wall=self, monotonic=self)
