"""The queue of one sink: a lane per session, kept without I/O and without a clock.

A lane is at one place at a time: ready for a worker, in a worker's hands, or waiting for its next attempt. Only the first event
of a lane is ever tried, so that a session's events stay in order. Sessions of one publisher's stream, or of one
subscriber of it, that have events here at the same
time share a lane: the end of one is told before the beginning of the next. A lane that is empty no longer exists.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator

from smproxy.hooks.event import EncodedEvent, Stored

#: What holds events together: a session's number, or a customer scope and a stream, for a subscriber with its peer.
_Key = int | tuple[str | None, str, str | None]


class Lane:
    """The events of a session that a sink has not yet had, oldest first, and how often the first was tried."""

    __slots__ = ("attempts", "busy", "events", "keys", "since")

    def __init__(self) -> None:
        self.events: deque[Stored] = deque()
        #: By which keys the lane is found, and how many of its events have each.
        self.keys: dict[_Key, int] = {}
        self.attempts = 0
        #: When the first attempt at the first event was made; means nothing while ``attempts`` is 0.
        self.since = 0.0
        self.busy = False


class Lanes:
    """All lanes of one sink. ``len()`` is the number of events that are not yet settled, those under way included."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._by_key: dict[_Key, Lane] = {}
        self._lanes: dict[Lane, None] = {}
        self._ready: deque[Lane] = deque()
        self._waiting: list[tuple[float, int, Lane]] = []
        self._turn = 0
        #: How many lanes are in a worker's hands.
        self.busy = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes)

    @property
    def lanes(self) -> int:
        """How many lanes there are."""
        return len(self._lanes)

    @property
    def ready(self) -> int:
        """How many lanes a worker could take now."""
        return len(self._ready)

    @property
    def waiting(self) -> int:
        """How many lanes wait for their next attempt."""
        return len(self._waiting)

    @property
    def room(self) -> int:
        """How many events can be added."""
        return self._limit - self._size

    def push(self, stored: Stored) -> bool:
        """Add an event at the end of its lane; ``False`` when there is no room."""
        if self._size >= self._limit:
            return False
        keys = _keys(stored.event)
        lane = None
        for key in keys:
            if (lane := self._by_key.get(key)) is not None:
                break
        else:
            lane = Lane()
            self._lanes[lane] = None
            self._ready.append(lane)
        assert lane is not None
        for key in keys:
            # A stream's key may belong to another lane by now; the session's own order goes first.
            if self._by_key.setdefault(key, lane) is lane:
                lane.keys[key] = lane.keys.get(key, 0) + 1
        lane.events.append(stored)
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
        self._let_go(lane, lane.events.popleft())
        lane.attempts = 0
        lane.busy = False
        self.busy -= 1
        if lane.events:
            self._ready.append(lane)
        else:
            self._remove(lane)

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

    def drain(self) -> list[Stored]:
        """Remove and return every event that is not in a worker's hands."""
        removed: list[Stored] = []
        for lane in list(self._lanes):
            under_way = [lane.events.popleft()] if lane.busy else []
            while lane.events:
                stored = lane.events.popleft()
                self._let_go(lane, stored)
                removed.append(stored)
            lane.events.extend(under_way)
            if not under_way:
                self._remove(lane)
        self._ready.clear()
        self._waiting.clear()
        return removed

    def _let_go(self, lane: Lane, stored: Stored) -> None:
        """An event leaves its lane: later ones need not follow it there."""
        self._size -= 1
        for key in _keys(stored.event):
            if (count := lane.keys.get(key)) is None:
                continue
            if count > 1:
                lane.keys[key] = count - 1
            else:
                del lane.keys[key], self._by_key[key]

    def _remove(self, lane: Lane) -> None:
        for key in lane.keys:
            del self._by_key[key]
        del self._lanes[lane]


def _keys(event: EncodedEvent) -> tuple[_Key, ...]:
    stream = event.context.stream
    if stream is None:
        return (event.session,)
    return event.session, (event.customer_scope, stream, event.context.watcher)
