"""The part of a sink's queue that is only in the journal, read back as there is room.

A sink is either level, and gets each event as it is journalled, or behind, and gets events from the journal, in the order of
their ids, as its queue has room. It is behind when it starts and when its queue was full; it is level again when it was given
all that the journal holds. It never skips, and gives nothing twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from smproxy.hooks.event import Stored
from smproxy.hooks.journal.types import JournalError, Mark, Page
from smproxy.hooks.ordered_queue import OrderedQueue
from smproxy.hooks.throttled_log import ThrottledLog

logger = logging.getLogger(__name__)

#: Events that are read at a time.
PAGE = 500

#: Seconds to wait when the journal cannot be read, or does not hold yet what was published.
PAUSE = 0.25

#: Seconds in which the dispatcher has seen what the journal holds already.
MOMENT = 0.002


class Ledger(Protocol):
    """What delivery needs of a journal."""

    def mark(self, mark: Mark) -> None:
        """Note what became of an event at a sink."""
        ...

    async def pending(self, sink: str, after: int, limit: int) -> Page:
        """Return the oldest pending events of a sink that come after the id ``after``."""
        ...

    async def count_pending(self, sink: str) -> int:
        """Return how many events a sink has not settled."""
        ...

    async def newest(self) -> int:
        """Return the highest id of an event, 0 when there is none."""
        ...

    async def fetch(self, ids: Sequence[int]) -> tuple[Stored, ...]:
        """Return the events with these ids that are still kept."""
        ...


class OutboxReader:
    """Reads back for one sink.

    ``give`` takes an event if there is room; ``level`` is told when nothing is left to read.
    """

    def __init__(
        self,
        ledger: Ledger,
        sink: str,
        queue: OrderedQueue,
        *,
        give: Callable[[Stored], bool],
        level: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._sink = sink
        self._queue = queue
        self._give = give
        self._level = level
        self._behind = True
        self._cursor = 0
        self._newest = 0
        self._seen = 0
        self._copies: dict[int, int] = {}
        self._waiting = 0
        self._again: deque[int] = deque()
        self._task: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._troubles = ThrottledLog(logger, asyncio.get_running_loop().time)

    @property
    def left(self) -> int:
        """How many events are still to be read back."""
        return max(self._waiting, int(self._behind and self._cursor < self._newest)) + len(self._again)

    async def start(self) -> None:
        """Begin with what was pending before."""
        self._seen = max(await self._ledger.newest(), self._seen)  # one may have come while it was asked
        waiting = await self._ledger.count_pending(self._sink)
        if not waiting and not self._newest:
            self._behind = False  # nothing is pending, and nothing came while that was asked
            return
        if self._behind:
            self._waiting = waiting
        self._run()

    def direct(self, stored: Stored, copies: int = 1) -> bool:
        """Return whether an event that was journalled just now goes straight into the queue.

        Else it is read back later.

        It is then given as often as there are ``copies``, which may be 0.
        """
        self._seen = stored.id
        if self._behind:
            if copies != 1:
                self._copies[stored.id] = copies
            self._newest = stored.id
            self._waiting += 1
            self._run()
            return False
        self._cursor = stored.id
        return True

    def fall_behind(self, stored: Stored) -> None:
        """There was no room for an event after all."""
        self._behind = True
        self._cursor = stored.id - 1
        self._newest = stored.id
        self._waiting = 1
        self._run()

    def again(self, ids: Sequence[int]) -> None:
        """Give these events once more, after those that are to be given once more already."""
        self._again.extend(ids)
        self._run()

    def forget(self, upto: int) -> None:
        """Events up to this id are no longer to be given."""
        self._cursor = max(self._cursor, upto)
        self._waiting = 0
        self._again = deque(number for number in self._again if number > upto)

    def made_room(self) -> None:
        """An event left the queue."""
        if self._task is not None and not self._room.is_set() and self._queue.room >= self._enough():
            self._room.set()

    async def stop(self) -> None:
        """Read no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _enough(self) -> int:
        """The least free places at which the journal is read."""
        return min(PAGE, max(1, (self._queue.room + len(self._queue)) // 2))

    def _run(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._read_back())
            self._task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        if self._task is task:
            self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("hook sink %s: reading back from the journal failed", self._sink, exc_info=error)

    async def _read_back(self) -> None:
        """Read until the sink is level and nothing is to be given again."""
        while self._behind or self._again:
            while self._queue.room < self._enough():
                self._room.clear()
                await self._room.wait()
            room = min(PAGE, self._queue.room)
            try:
                progress = await (self._read_again(room) if self._again else self._read_on(room))
            except JournalError as error:
                self._troubles.warning("hook sink %s: cannot read back: %s", self._sink, error)
                progress = False
            if not progress and (self._behind or self._again):
                await asyncio.sleep(PAUSE)
        self._task = None
        self._level()

    async def _read_again(self, room: int) -> bool:
        queue = self._again
        ids = [queue[place] for place in range(min(room, len(queue)))]
        events = {stored.id: stored for stored in await self._ledger.fetch(ids)}
        if self._again is not queue:
            return True  # it was forgotten meanwhile
        for _ in ids:
            self._again.popleft()
        # New events may have taken the room meanwhile.
        asked = [number for number in dict.fromkeys(ids) if number in events]
        refused = [number for number in asked if not self._give(events[number])]
        self._again.extendleft(reversed(refused))
        return True

    async def _read_on(self, room: int) -> bool:
        page = await self._ledger.pending(self._sink, self._cursor, room)
        for stored in page.events:
            if stored.id > self._seen:  # whether it is to be given at all is not decided yet
                await asyncio.sleep(MOMENT)
                return True
            copies = self._copies.get(stored.id, 1)
            if copies and not self._give(stored):
                return True  # copies of others, or what was given again, took its room
            self._copies.pop(stored.id, None)
            self._cursor = max(self._cursor, stored.id)
            self._waiting -= 1
            for _ in range(copies - 1):
                self._give(stored)
        if not page.complete:
            return True
        if page.last >= self._newest:
            # Nothing was offered that the journal did not hold: from here on each event comes by itself.
            self._behind = False
            self._copies.clear()
            self._cursor = max(self._cursor, page.last)
            self._waiting = 0
        return bool(page.events)
