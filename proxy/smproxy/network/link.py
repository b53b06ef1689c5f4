"""One direction of a network path: decides of each datagram when it arrives, if it does."""

from __future__ import annotations

import random
from dataclasses import dataclass

from smproxy.network.conditions import Conditions

#: Bytes of the IPv4 and UDP headers, which take their part of the rate.
HEADERS = 28
#: How much later than its neighbours a reordered datagram comes, in seconds: at least, and at most.
_REORDERED = (0.005, 0.030)
#: Seconds until TCP sends again what was lost: at least (as Linux has it), and else two round trips.
_RETRANSMISSION = 0.2


@dataclass(slots=True)
class LinkCounts:
    """How many datagrams a link took, and what became of them."""

    offered: int = 0
    #: Lost by ``loss``, by an ``outage``, and because the queue was full.
    lost: int = 0
    outage: int = 0
    overflow: int = 0
    duplicated: int = 0
    reordered: int = 0


class NetworkLink:
    """One direction of a path, on the clock of its caller.

    The same random numbers give the same fate to the datagrams, one by one, whatever their sizes and times are: loss,
    duplicates and reordering depend on the seed alone; what the rate does depends on the traffic, too.
    """

    def __init__(self, conditions: Conditions, rng: random.Random, *, exempt: str = "", udp_only: bool = False) -> None:
        self.counts = LinkCounts()
        #: The address whose datagrams do not go over this link; empty: there is none.
        self.exempt = exempt
        #: What comes over TCP does not go over this link.
        self.udp_only = udp_only
        self._rng = rng
        self._bad = False
        #: When the last bit of what was taken so far has been sent, and when the latest datagram arrives.
        self._free = 0.0
        self._latest = 0.0
        self._since: float | None = None
        self._conditions = conditions

    @property
    def conditions(self) -> Conditions:
        """The conditions of now."""
        return self._conditions

    def change(self, conditions: Conditions) -> None:
        """Go on with other conditions; what is on its way keeps its time."""
        self._conditions = conditions
        self._since = None

    def offer(self, size: int, now: float) -> tuple[float, ...]:
        """Take a datagram of so many bytes; return when it arrives: never, once or twice.

        ``now`` and what is returned are seconds of one monotonic clock.
        """
        counts, conditions, rng = self.counts, self._conditions, self._rng
        counts.offered += 1
        # Always as many numbers: a datagram's fate does not depend on that of another.
        loss, jitter, reorder, duplicate, how_late = (rng.random() for _ in range(5))
        if self._since is None:
            self._since = now
        if self._loses(loss):
            counts.lost += 1
            return ()
        if conditions.outage and self._outage_left(now - self._since):
            counts.outage += 1
            return ()
        sent = now
        if conditions.rate:
            begin = max(now, self._free)
            if begin - now > conditions.queue / 1000:
                counts.overflow += 1
                return ()
            sent = self._free = begin + (size + HEADERS) * 8 / (conditions.rate * 1000)
        arrival = sent + (conditions.delay + jitter * conditions.jitter) / 1000
        if reorder * 100 < conditions.reorder:
            counts.reordered += 1
            least, most = _REORDERED
            return (arrival + least + how_late * (most - least),)
        arrival = self._latest = max(arrival, self._latest)
        if duplicate * 100 < conditions.duplicate:
            counts.duplicated += 1
            return (arrival, arrival)
        return (arrival,)

    def carry(self, size: int, now: float) -> tuple[float, ...]:
        """Take a part of a TCP stream of so many bytes; return when it arrives.

        It does once, and after all before it: what is lost is sent again and holds up what follows, as an outage and a full
        queue do. It never does when all is lost.
        """
        counts, conditions, rng = self.counts, self._conditions, self._rng
        counts.offered += 1
        loss, jitter, reorder, _, how_late = (rng.random() for _ in range(5))
        if self._since is None:
            self._since = now
        lost = self._loses(loss)
        if conditions.loss >= 100:
            counts.lost += 1
            return ()
        sent = now
        if conditions.outage and (left := self._outage_left(now - self._since)):
            counts.outage += 1
            sent += left
        if conditions.rate:
            sent = self._free = max(sent, self._free) + (size + HEADERS) * 8 / (conditions.rate * 1000)
        arrival = sent + (conditions.delay + jitter * conditions.jitter) / 1000
        if lost:
            counts.lost += 1
            arrival += max(_RETRANSMISSION, 4 * conditions.delay / 1000)
        elif reorder * 100 < conditions.reorder:
            counts.reordered += 1
            least, most = _REORDERED
            arrival += least + how_late * (most - least)
        arrival = self._latest = max(arrival, self._latest)
        return (arrival,)

    def _loses(self, drawn: float) -> bool:
        """Go on to the next state of Gilbert's model; return whether it is the bad one."""
        part, length = self._conditions.loss / 100, max(self._conditions.burst, 1.0)
        if part >= 1:
            return True
        if self._bad:
            self._bad = part > 0 and drawn >= 1 / length
        else:
            # From bad to good with 1/length; this much from good to bad makes `part` of all datagrams bad ones.
            self._bad = drawn < part / (length * (1 - part))
        return self._bad

    def _outage_left(self, elapsed: float) -> float:
        """Return the seconds until the outage is over, 0 when there is none now."""
        outage, every = self._conditions.outage / 1000, self._conditions.every
        if every:
            phase = elapsed % every
            return every - phase if phase >= every - outage else 0.0
        return max(0.0, outage - elapsed)
