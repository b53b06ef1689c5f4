"""The conditions of a network path in one direction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace


class NetworkError(ValueError):
    """Conditions that cannot be; the text says what was given and what is allowed."""


#: The most that each condition may be; the least is 0.
MOST: Mapping[str, float] = {
    "delay": 10_000,
    "jitter": 10_000,
    "rate": 10_000_000,
    "queue": 60_000,
    "loss": 100,
    "burst": 1_000,
    "reorder": 100,
    "duplicate": 100,
    "outage": 3_600_000,
    "every": 3_600,
}


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a path does to datagrams, in one direction. The defaults do nothing.

    ``delay`` and ``jitter``: milliseconds; of the jitter a random part is added, and the order is kept.
    ``rate``: kbit/s, IP and UDP headers included; 0 for no limit. ``queue``: milliseconds that a datagram may wait for its turn
    at this rate; what would wait longer is dropped, as by a router whose buffer is full.
    ``loss``: percent, in bursts of ``burst`` datagrams on average (Gilbert's model: all is lost in the bad state).
    ``reorder``: percent that come later than those behind them. ``duplicate``: percent that come twice.
    ``outage``: milliseconds in which nothing passes: at once, or at the end of each ``every`` seconds.
    """

    delay: float = 0
    jitter: float = 0
    rate: float = 0
    queue: float = 200
    loss: float = 0
    burst: float = 1
    reorder: float = 0
    duplicate: float = 0
    outage: float = 0
    every: float = 0

    def changed(self, given: Mapping[str, float]) -> Conditions:
        """Return these conditions with those that are given.

        Raises:
            NetworkError: there is no such condition, or it cannot have the value.
        """
        for name, value in given.items():
            if name not in MOST:
                raise NetworkError(f"there is no condition {name[:100]!r}: those are {', '.join(MOST)}")
            if not (math.isfinite(value) and 0 <= value <= MOST[name]):
                raise NetworkError(f"{name}={value:g} is not usable: it takes a number from 0 to {MOST[name]:g}")
        return replace(self, **dict(given))

    def __str__(self) -> str:
        """Write what differs from a perfect path: ``delay=50 rate=1000``."""
        given = ((each.name, getattr(self, each.name)) for each in fields(self) if each.name != "queue" or self.rate)
        perfect = Conditions()
        return " ".join(f"{name}={value:g}" for name, value in given if value != getattr(perfect, name)) or "good"
