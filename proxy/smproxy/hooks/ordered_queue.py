"""The queue of one sink, which keeps the events of a session in order.

Without I/O and without a clock.

Events that must follow each other form a group. A group is at one place at a time: ready for a worker, in a worker's hands, or
waiting for its next attempt; only its first event is ever tried. Sessions of one publisher's stream, or of one subscriber of
it, that have events here at the same time share a group: the end of one is sent before the beginning of the next. A group
that is empty no longer exists.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from typing import TypeAlias

from smproxy.hooks.event import EncodedEvent, Stored

#: What holds events together: a session's number, or a customer scope and a stream, for a subscriber with its peer.
_Key = int | tuple[str | None, str, str | None]


class OrderingGroup:
    """Events that follow each other, and how often the first was tried."""

    __slots__ = ("attempts", "busy", "first", "places", "since")

    def __init__(self, first: Stored) -> None:
        #: The oldest event.
        self.first = first
        #: All of them, oldest first.
        self.places: deque[_Place] = deque()
        self.attempts = 0
        #: When the first attempt at the first event was made; means nothing while ``attempts`` is 0.
        self.since = 0.0
        self.busy = False


#: An event in a group, and the keys by which later ones find the group while it is there.
_Place: TypeAlias = tuple[Stored, OrderingGroup, tuple[_Key, ...]]


class OrderedQueue:
    """The groups of one sink.

    ``len()`` is the number of events that are not yet settled, those under way included.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        #: The last event with each key in the group that later ones join. So there is nothing to count.
        self._by_key: dict[_Key, _Place] = {}
        self._groups: dict[OrderingGroup, None] = {}
        self._ready: deque[OrderingGroup] = deque()
        self._waiting: list[tuple[float, int, OrderingGroup]] = []
        self._turn = 0
        #: How many groups are in a worker's hands.
        self.busy = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[OrderingGroup]:
        return iter(self._groups)

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return len(self._groups)

    @property
    def ready(self) -> int:
        """How many groups a worker could take now."""
        return len(self._ready)

    @property
    def waiting(self) -> int:
        """How many groups wait for their next attempt."""
        return len(self._waiting)

    @property
    def room(self) -> int:
        """How many events can be added."""
        return self._limit - self._size

    def push(self, stored: Stored) -> bool:
        """Add an event at the end of its group; ``False`` when there is no room."""
        if self._size >= self._limit:
            return False
        by_key = self._by_key
        keys = _keys(stored.event)
        for key in keys:
            if (last := by_key.get(key)) is not None:
                group = last[1]
                break
        else:
            group = OrderingGroup(stored)
            self._groups[group] = None
            self._ready.append(group)
        place = stored, group, keys
        for key in keys:
            # A stream's key may belong to another group by now; the session's own order goes first.
            if (last := by_key.get(key)) is None or last[1] is group:
                by_key[key] = place
        group.places.append(place)
        self._size += 1
        return True

    def take(self) -> OrderingGroup | None:
        """Hand out the group that has been ready for longest.

        Give it back with :meth:`settle` or :meth:`defer`.
        """
        if not self._ready:
            return None
        group = self._ready.popleft()
        group.busy = True
        self.busy += 1
        return group

    def settle(self, group: OrderingGroup) -> None:
        """The first event of ``group`` is done with; the next one may go."""
        places = group.places
        self._let_go(places.popleft())
        group.attempts = 0
        group.busy = False
        self.busy -= 1
        if places:
            group.first = places[0][0]
            self._ready.append(group)
        else:
            del self._groups[group]

    def defer(self, group: OrderingGroup, due: float) -> None:
        """Try the first event of ``group`` again at the time ``due``."""
        group.busy = False
        self.busy -= 1
        self._turn += 1
        heapq.heappush(self._waiting, (due, self._turn, group))

    def promote(self, now: float) -> None:
        """Make ready every group whose time has come."""
        while self._waiting and self._waiting[0][0] <= now:
            self._ready.append(heapq.heappop(self._waiting)[2])

    def next_due(self) -> float | None:
        """When :meth:`promote` has something to do next."""
        return self._waiting[0][0] if self._waiting else None

    def drain(self) -> list[Stored]:
        """Remove and return every event that no worker is sending."""
        removed: list[Stored] = []
        for group in list(self._groups):
            under_way = group.places.popleft() if group.busy else None
            for place in group.places:
                self._let_go(place)
                removed.append(place[0])
            group.places.clear()
            if under_way is None:
                del self._groups[group]
                continue
            group.places.append(under_way)
            for key in under_way[2]:
                self._by_key.setdefault(key, under_way)
        self._ready.clear()
        self._waiting.clear()
        return removed

    def _let_go(self, place: _Place) -> None:
        """An event leaves its group: later ones need not follow it there."""
        self._size -= 1
        for key in place[2]:
            if self._by_key.get(key) is place:
                del self._by_key[key]


def _keys(event: EncodedEvent) -> tuple[_Key, ...]:
    stream = event.context.stream
    if stream is None:
        return (event.session,)
    return event.session, (event.customer_scope, stream, event.context.watcher)
