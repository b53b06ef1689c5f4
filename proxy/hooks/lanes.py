"""The queue of one sink: a lane per session, kept without I/O and without a clock.

A lane is at one place at a time: ready for a worker, in a worker's hands, or waiting for its next attempt. Only the first event
of a lane is ever tried, so that a session's events stay in order. A lane that is empty no longer exists.
"""

from __future__ import annotations

import heapq
from collections import deque

from proxy.hooks.event import EncodedEvent


class Lane:
    """The events of one session that a sink has not yet had, oldest first, and how often the first was tried."""

    __slots__ = ("attempts", "busy", "events", "since")

    def __init__(self) -> None:
        self.events: deque[EncodedEvent] = deque()
        self.attempts = 0
        #: When the first attempt at the first event was made; means nothing while ``attempts`` is 0.
        self.since = 0.0
        self.busy = False


class Lanes:
    """All lanes of one sink. ``len()`` is the number of events that are not yet settled, those under way included."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._lanes: dict[int, Lane] = {}
        self._ready: deque[Lane] = deque()
        self._waiting: list[tuple[float, int, Lane]] = []
        self._turn = 0
        #: How many lanes are in a worker's hands.
        self.busy = 0

    def __len__(self) -> int:
        return self._size

    @property
    def lanes(self) -> int:
        """How many sessions have events here."""
        return len(self._lanes)

    @property
    def ready(self) -> int:
        """How many lanes a worker could take now."""
        return len(self._ready)

    def push(self, event: EncodedEvent) -> bool:
        """Add an event at the end of its lane; ``False`` when there is no room."""
        if self._size >= self._limit:
            return False
        lane = self._lanes.get(event.session)
        if lane is None:
            lane = self._lanes[event.session] = Lane()
            self._ready.append(lane)
        lane.events.append(event)
        self._size += 1
        return True

    def take(self) -> Lane | None:
        """Hand out the lane that has been ready for longest; give it back with :meth:`settle` or :meth:`defer`."""
        if not self._ready:
            return None
        lane = self._ready.popleft()
        lane.busy = True
        self.busy += 1
        return lane

    def settle(self, lane: Lane) -> None:
        """The first event of ``lane`` is done with; the next one may go."""
        event = lane.events.popleft()
        self._size -= 1
        lane.attempts = 0
        lane.busy = False
        self.busy -= 1
        if lane.events:
            self._ready.append(lane)
        else:
            del self._lanes[event.session]

    def defer(self, lane: Lane, due: float) -> None:
        """Try the first event of ``lane`` again at the time ``due``."""
        lane.busy = False
        self.busy -= 1
        self._turn += 1
        heapq.heappush(self._waiting, (due, self._turn, lane))

    def promote(self, now: float) -> None:
        """Make ready every lane whose time has come."""
        while self._waiting and self._waiting[0][0] <= now:
            self._ready.append(heapq.heappop(self._waiting)[2])

    def next_due(self) -> float | None:
        """When :meth:`promote` has something to do next."""
        return self._waiting[0][0] if self._waiting else None

    def drain(self) -> list[EncodedEvent]:
        """Remove and return every event that is not in a worker's hands."""
        removed: list[EncodedEvent] = []
        for session, lane in list(self._lanes.items()):
            under_way = [lane.events.popleft()] if lane.busy else []
            removed.extend(lane.events)
            lane.events.clear()
            lane.events.extend(under_way)
            if not under_way:
                del self._lanes[session]
        self._ready.clear()
        self._waiting.clear()
        self._size -= len(removed)
        return removed
