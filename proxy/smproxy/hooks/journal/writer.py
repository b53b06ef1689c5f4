"""What writes the journal: events, marks and whatever else is asked for, in turns.

What comes while a turn is taken is written together in the next one. A thread takes them
(:mod:`smproxy.hooks.journal.writer_thread`).
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from smproxy.hooks.event import Stored
from smproxy.hooks.journal.store import BATCH, STEP, Store
from smproxy.hooks.journal.types import Mark
from smproxy.hooks.throttled_log import ThrottledLog
from smproxy.signaling.clock import Clock

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Events and marks that are kept in memory while the file cannot be written; beyond, the oldest are given up.
MAX_WAITING = 20_000

#: Events that may wait for a disk that neither writes nor fails; beyond, new ones are dropped.
MAX_QUEUED = 100_000

#: Seconds between attempts to write while writing fails.
RETRY = 0.5

#: Seconds for which a commit waits for more to come: usually, and while much comes.
LINGER, BUSY_LINGER = 0.001, 0.005

#: Events in one commit that are much.
BUSY = 8

#: Seconds between looks at what can be deleted.
COMPACTION = 1.0


@contextlib.contextmanager
def _taken(waiting: deque[T], count: int) -> Iterator[list[T]]:
    """Take the first so many out of what waits; they wait again when they could not be written.

    They are not iterated over where they are: the event loop appends to them at any moment, which ends an iteration.
    """
    batch = [waiting.popleft() for _ in range(count)]
    try:
        yield batch
    except BaseException:
        waiting.extendleft(reversed(batch))
        raise


class Writer:
    """Writes events, marks and whatever else is asked for, in this order, until it is stopped.

    ``take_turn`` belongs to one thread, the rest to the event loop; ``on_work`` is called when a turn is to be taken at once.
    ``hand_on`` is called in a turn with events that are written, or that cannot be written for now, in the order in which
    they were given. Nothing here raises into the caller; ``call`` tells its own.
    """

    def __init__(
        self,
        store: Store,
        *,
        hand_on: Callable[[Sequence[Stored]], None],
        explain: Callable[[sqlite3.Error], str],
        clock: Clock,
    ) -> None:
        self._store = store
        self._hand_on = hand_on
        self._explain = explain
        self._clock = clock
        self.on_work: Callable[[], None] = lambda: None
        self._events: deque[Stored] = deque()
        self._marks: deque[Mark] = deque()
        self._calls: deque[tuple[Callable[[Store], Any], Callable[[Any, BaseException | None], None]]] = deque()
        self._unwritten: deque[Stored] = deque()  # handed on already
        self._writing = 0
        self._stopping = False
        self._busy = False
        self._retry_at = 0.0
        self._compact_at = 0.0
        self._troubles = ThrottledLog(logger, clock.monotonic)
        self._losses = ThrottledLog(logger, clock.monotonic)
        self.healthy = True
        self.committed = self.failures = self.lost = self.forced = 0
        self.size = store.size()
        self.last_error: str | None = None

    @property
    def waiting(self) -> int:
        """How many events are not written yet."""
        return len(self._events) + self._writing + len(self._unwritten)

    @property
    def events(self) -> int:
        """How many events the file holds."""
        return self._store.events

    def add(self, event: Stored) -> None:
        """Write an event soon."""
        if len(self._events) >= MAX_QUEUED:
            self.lost += 1
            self._losses.warning(
                "the hook journal's disk does not keep up: event %s of session %d is dropped (%d events so far)",
                event.event.uuid, event.event.session, self.lost, level=logging.ERROR, extra=event.event.about,
            )  # fmt: skip
            return
        self._events.append(event)
        self.on_work()

    def mark(self, mark: Mark) -> None:
        """Write a mark with the next events, or in the next turn."""
        self._marks.append(mark)

    def wake(self) -> None:
        """Write now what there is."""
        self.on_work()

    def call(self, work: Callable[[Store], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        """Do ``work`` after all that was given before; ``done`` is called in the turn."""
        self._calls.append((work, done))
        self.on_work()

    def unwritten(self, after: int, limit: int) -> tuple[list[Stored], int]:
        """Return events that could not be written so far, and the highest id among all of them.

        To be used in a ``call``.
        """
        waiting = (stored for stored in self._unwritten if stored.id > after)
        return list(islice(waiting, limit)), self._unwritten[-1].id if self._unwritten else 0

    def stop(self) -> None:
        """Write what there is and end: take turns until one returns ``False``."""
        self._stopping = True
        self.on_work()

    @property
    def patience(self) -> float:
        """The seconds after which a turn is to be taken although nobody asks for it."""
        if not self.healthy:
            return RETRY
        return 0.0 if self._events else COMPACTION

    @property
    def linger(self) -> float:
        """The seconds to wait before a turn, for more to come that is written with it."""
        if self._stopping or self._calls or not self.healthy:
            return 0.0
        return BUSY_LINGER if self._busy else LINGER

    def take_turn(self) -> bool:
        """Write what there is; return whether there will be another turn."""
        stopping = self._stopping
        calls = len(self._calls)
        try:
            self._cycle(final=stopping)
            for _ in range(calls):
                self._do(*self._calls.popleft())
        except Exception:
            # A mistake of ours. What it was about would fail again, so it is not kept.
            logger.exception("the hook journal's thread failed")
            self._pass_on()
            self.lost += len(self._unwritten)
            self._unwritten.clear()
            self._marks.clear()
        if stopping and not self._calls and not self._events:
            if self._unwritten:
                logger.error("%d hook events were never journalled: %s", len(self._unwritten), self.last_error)
            return False
        return True

    def _cycle(self, *, final: bool) -> None:
        """Write all that was there when it began, then delete a little of what is too old."""
        now, committed = self._clock.monotonic(), self.committed
        if not self.healthy:
            self._pass_on()
            if now < self._retry_at and not final:
                return
        try:
            self._write_unwritten()
            self._write_events()
            self._write_marks()
            self._recovered()
            # As much is deleted as was written, else a flood would outgrow the limits.
            for _ in range(1 + (self.committed - committed) // STEP):
                self._compact(now)
        except sqlite3.Error as error:
            self._in_trouble(error)

    def _write_unwritten(self) -> None:
        while self._unwritten:
            batch = list(islice(self._unwritten, BATCH))
            self._store.insert(batch)
            for _ in batch:
                self._unwritten.popleft()
            self.committed += len(batch)

    def _write_events(self) -> None:
        left = len(self._events)
        self._busy = left >= BUSY
        while left > 0:
            with _taken(self._events, min(left, BATCH)) as batch:
                self._writing = len(batch)
                try:
                    self._store.insert(batch)
                finally:
                    self._writing = 0
            left -= len(batch)
            self.committed += len(batch)
            self._hand_on(batch)

    def _write_marks(self) -> None:
        left = len(self._marks)
        while left > 0:
            with _taken(self._marks, min(left, BATCH)) as batch:
                self._store.mark(batch)
            left -= len(batch)

    def _compact(self, now: float) -> None:
        if now < self._compact_at and self._store.events <= self._store.enough:
            return
        deleted, forced = self._store.compact(self._clock.wall_ms())
        self.size = self._store.size()
        if not deleted:
            self._compact_at = now + COMPACTION
        if forced:
            self.forced += forced
            self._losses.warning(
                "the hook journal is too big: deleted %d events that were still needed (%d so far): receivers do not take "
                "them, or their sessions still live", forced, self.forced, level=logging.ERROR,
            )  # fmt: skip

    def _in_trouble(self, error: sqlite3.Error) -> None:
        self.healthy = False
        self.failures += 1
        self.last_error = self._explain(error)
        self._retry_at = self._clock.monotonic() + RETRY
        if self._store.connection.in_transaction:
            self._store.connection.rollback()
        self._troubles.warning(
            "%s; hooks go on from memory until then, and would not survive a crash",
            self.last_error,
            level=logging.ERROR,
        )
        self._pass_on()

    def _pass_on(self) -> None:
        """Keep what cannot be written for now, as much of it as there may be, and hand all of it on."""
        passed: list[Stored] = []
        for _ in range(len(self._events)):
            stored = self._events.popleft()
            self._unwritten.append(stored)
            passed.append(stored)
        lost = 0
        while len(self._unwritten) > MAX_WAITING:
            self._unwritten.popleft()
            lost += 1
        while len(self._marks) > MAX_WAITING:
            self._marks.popleft()
        if lost:
            self.lost += lost
            self._losses.warning(
                "%d hook events could not be journalled at all (%d so far)", lost, self.lost, level=logging.ERROR
            )
        # Last: whoever is handed an event finds the counts right.
        for start in range(0, len(passed), BATCH):
            self._hand_on(passed[start : start + BATCH])

    def _recovered(self) -> None:
        if not self.healthy:
            self.healthy = True
            logger.warning("the hook journal can be written again")

    def _do(self, work: Callable[[Store], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        try:
            result = work(self._store)
        except BaseException as error:
            done(None, error)
        else:
            done(result, None)
