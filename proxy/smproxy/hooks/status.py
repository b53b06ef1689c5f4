"""Reports about deliveries: states of sinks, results of attempts, dead letters."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.journal.types import AttemptRecord, State

#: Upper bounds of the latencies that are counted apart, in seconds; longer ones are counted behind the last.
LATENCY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)

#: What a sink does at the moment. ``failing``: the last event that was settled was given up.
SinkState = Literal["idle", "delivering", "retrying", "failing", "disabled"]


class SinkStatus(msgspec.Struct, frozen=True, rename="camel"):
    """The state of one sink, and its counters since the start of the process.

    ``dropped`` events were refused for want of room or of the sink (with a journal there are none); ``dead`` ones were given
    up: after an attempt whose outcome was ``dead`` or ``disabled``, or without one while the sink is disabled. ``skipped`` have
    no place in its format. ``backlog``: not settled yet, in memory and in the journal; ``retrying``: sessions that wait for
    their next attempt. ``oldest``: seconds since the oldest event in memory happened. ``outcomes``: attempts by what came of
    them; after ``retry`` another follows. ``latency_sum`` and ``latency_count``: seconds from the event to its delivery;
    ``latency_counts``: how many were up to each of :data:`LATENCY_BOUNDS` from the one before, and how many were longer.
    """

    name: str
    state: SinkState
    backlog: int
    delivered: int
    attempts: int
    dropped: int
    dead: int
    disabled: bool
    last_error: str | None
    skipped: int = 0
    retrying: int = 0
    oldest: float | None = None
    outcomes: dict[str, int] = {}
    latency_sum: float = 0.0
    latency_count: int = 0
    latency_counts: list[int] = []


class DeliveryUpdate(msgspec.Struct, frozen=True, gc=False):
    """A change of one delivery: its new state, and the attempt that was made, if one was."""

    sink: str
    event: EncodedEvent
    state: State
    attempt: AttemptRecord | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a sink was not able to deliver. ``at``: Unix time in milliseconds."""

    sink: str
    event: EncodedEvent
    why: str
    attempts: int
    at: int


@dataclass(slots=True)
class Counters:
    """What a delivery counts for its :class:`SinkStatus`.

    ``latency``: seconds, summed over what was delivered.
    """

    delivered: int = 0
    attempts: int = 0
    dropped: int = 0
    dead: int = 0
    skipped: int = 0
    latency: float = 0.0
    latency_counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))
    last_error: str | None = None
    failing: bool = False
    outcomes: Counter[str] = field(default_factory=lambda: Counter(delivered=0, retry=0, dead=0, disabled=0))

    def count(self, result: str, why: str) -> None:
        """Count an attempt by its result; ``why`` is its error, if it is one."""
        self.attempts += 1
        self.outcomes[result] += 1
        self.last_error = why or self.last_error

    def deliver(self, latency: float) -> None:
        """Count a delivery, so many seconds after its event."""
        self.delivered += 1
        self.failing = False
        latency = max(0.0, latency)
        self.latency += latency
        self.latency_counts[bisect_left(LATENCY_BOUNDS, latency)] += 1

    def status(self, name: str, *, disabled: bool, backlog: int, retrying: int, oldest: float | None) -> SinkStatus:
        """Return the state of the sink ``name``."""
        return SinkStatus(
            name=name,
            state=self._state(disabled=disabled, retrying=retrying, backlog=backlog),
            backlog=backlog,
            delivered=self.delivered,
            attempts=self.attempts,
            dropped=self.dropped,
            dead=self.dead,
            disabled=disabled,
            last_error=self.last_error,
            skipped=self.skipped,
            retrying=retrying,
            oldest=oldest,
            outcomes=dict(self.outcomes),
            latency_sum=self.latency,
            latency_count=self.delivered,
            latency_counts=list(self.latency_counts),
        )

    def _state(self, *, disabled: bool, retrying: int, backlog: int) -> SinkState:
        """Put the counters into one word."""
        if disabled:
            return "disabled"
        if self.failing:
            return "failing"
        if retrying:
            return "retrying"
        return "delivering" if backlog else "idle"
