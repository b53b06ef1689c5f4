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

from smproxy.hooks.event import EncodedEvent, Stored

#: What holds events together: a session's number, or a customer scope and a stream, for a subscriber with its peer.
_Key = int | tuple[str | None, str, str | None]


class OrderingGroup:
    """Events that follow each other, oldest first, and how often the first was tried."""

    __slots__ = ("attempts", "busy", "events", "keys", "since")

    def __init__(self) -> None:
        self.events: deque[Stored] = deque()
        #: By which keys the group is found, and how many of its events have each.
        self.keys: dict[_Key, int] = {}
        self.attempts = 0
        #: When the first attempt at the first event was made; means nothing while ``attempts`` is 0.
        self.since = 0.0
        self.busy = False


class OrderedQueue:
    """The groups of one sink.

    ``len()`` is the number of events that are not yet settled, those under way included.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._by_key: dict[_Key, OrderingGroup] = {}
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
        keys = _keys(stored.event)
        group = None
        for key in keys:
            if (group := self._by_key.get(key)) is not None:
                break
        else:
            group = OrderingGroup()
            self._groups[group] = None
            self._ready.append(group)
        assert group is not None
        for key in keys:
            # A stream's key may belong to another group by now; the session's own order goes first.
            if self._by_key.setdefault(key, group) is group:
                group.keys[key] = group.keys.get(key, 0) + 1
        group.events.append(stored)
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
        self._let_go(group, group.events.popleft())
        group.attempts = 0
        group.busy = False
        self.busy -= 1
        if group.events:
            self._ready.append(group)
        else:
            self._remove(group)

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
            under_way = [group.events.popleft()] if group.busy else []
            while group.events:
                stored = group.events.popleft()
                self._let_go(group, stored)
                removed.append(stored)
            group.events.extend(under_way)
            if not under_way:
                self._remove(group)
        self._ready.clear()
        self._waiting.clear()
        return removed

    def _let_go(self, group: OrderingGroup, stored: Stored) -> None:
        """An event leaves its group: later ones need not follow it there."""
        self._size -= 1
        for key in _keys(stored.event):
            if (count := group.keys.get(key)) is None:
                continue
            if count > 1:
                group.keys[key] = count - 1
            else:
                del group.keys[key], self._by_key[key]

    def _remove(self, group: OrderingGroup) -> None:
        for key in group.keys:
            del self._by_key[key]
        del self._groups[group]


def _keys(event: EncodedEvent) -> tuple[_Key, ...]:
    stream = event.context.stream
    if stream is None:
        return (event.session,)
    return event.session, (event.customer_scope, stream, event.context.watcher)
