"""The journal: every hook event on disk before it is sent, and its deliveries.

It is an outbox in SQLite. One thread writes (:mod:`smproxy.hooks.journal.writer`), another answers questions; the event
loop does neither. An event that was handed on survives the death of the process at any moment.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from smproxy.hooks.event import EncodedEvent, Stored
from smproxy.hooks.journal import read
from smproxy.hooks.journal.file import FileLock, connect, connect_reader, explain
from smproxy.hooks.journal.store import Store
from smproxy.hooks.journal.types import (
    DeliveryRecord,
    JournalError,
    JournalQuery,
    JournalStatus,
    Mark,
    Page,
    Retention,
)
from smproxy.hooks.journal.writer import Writer
from smproxy.hooks.journal.writer_thread import WriterRun, WriterThread
from smproxy.signaling.clock import Clock

T = TypeVar("T")

#: Seconds after which marks are written although no event comes.
MARK_DELAY = 0.05

#: The journal's file within the data directory.
FILE_NAME = "hooks.db"


class Journal:
    """The journal of one instance.

    Made by :meth:`start`, ended by :meth:`stop`; all its methods belong to the event loop.
    """

    def __init__(
        self,
        path: Path | None,
        lock: FileLock | None,
        store: Store,
        clock: Clock,
        run: Callable[[Writer], WriterRun],
    ) -> None:
        self.path = path
        self._lock = lock
        self._loop = asyncio.get_running_loop()
        self._store = store
        self._next_id = store.last_id + 1
        self._mark_timer: asyncio.TimerHandle | None = None
        self._stopped = False
        self._committed: Callable[[Sequence[Stored]], None] | None = None
        self._reader: tuple[ThreadPoolExecutor, sqlite3.Connection] | None = None
        self._writer = Writer(
            store,
            hand_on=self._hand_on,
            explain=lambda error: explain(path or Path(":memory:"), error),
            clock=clock,
        )
        self._writer_run = run(self._writer)
        self.journalled = 0

    @classmethod
    async def start(
        cls,
        path: Path | None,
        *,
        clock: Clock,
        retention: Retention | None = None,
        run: Callable[[Writer], WriterRun] = WriterThread,
        connection: type[sqlite3.Connection] = sqlite3.Connection,
    ) -> Journal:
        """Open or make the journal at ``path``; ``None``: in memory, gone with the process.

        ``run`` takes the writer's turns, ``connection`` is its way to SQLite: the doors of tests to time and disk.

        Raises :class:`JournalError`, also when another instance has it open.
        """
        loop = asyncio.get_running_loop()
        lock, store = await loop.run_in_executor(None, _open, path, retention or Retention(), connection)
        journal = cls(path, lock, store, clock, run)
        journal._writer_run.start()
        return journal

    def append(self, event: EncodedEvent) -> Stored:
        """Take an event, which happens at once.

        It is written, and then handed on, some milliseconds later.
        """
        stored = Stored(self._next_id, event)
        self._next_id += 1
        if not self._stopped:
            self.journalled += 1
            self._writer.add(stored)
        return stored

    def on_committed(self, tell: Callable[[Sequence[Stored]], None] | None) -> None:
        """Call back, on the event loop, with each batch of events when it is written."""
        self._committed = tell

    def mark(self, mark: Mark) -> None:
        """Note what became of an event at a sink; it is written soon, with others."""
        if self._stopped:
            return
        self._writer.mark(mark)
        if self._mark_timer is None:
            self._mark_timer = self._loop.call_later(MARK_DELAY, self._write_marks)

    async def flush(self) -> None:
        """Wait until all that was given is written and handed on, or cannot be written for now."""
        await self._call(lambda store: None)

    async def find(self, query: JournalQuery) -> list[Stored]:
        """Return the events that ``query`` asks for, among all that were published before.

        Raises ``JournalError``.
        """
        return await self._read(lambda connection: read.find(connection, query))

    async def get(self, uuid: str) -> tuple[Stored, tuple[DeliveryRecord, ...]] | None:
        """Return one event and what became of it at each sink. Raises ``JournalError``."""
        return await self._read(lambda connection: read.get(connection, uuid))

    async def begin_sinks(self, names: Iterable[str], *, afresh: str | None = None) -> None:
        """Set which sinks there are from now on.

        A new one gets what is published from now on, a known one also what it missed, unless it begins
        ``afresh``; one that is gone gets no more.
        """
        while afresh is not None and await self._skip_missed(afresh):
            pass  # in steps, between which events are written
        known, upto = tuple(names), self._next_id - 1
        await self._call(lambda store: store.begin_sinks(known, upto))

    async def _skip_missed(self, sink: str) -> bool:
        return await self._call(lambda store: store.skip_missed(sink))

    async def pending(self, sink: str, after: int, limit: int) -> Page:
        """Return the oldest pending events of a sink after the id ``after``.

        Raises ``JournalError``.
        """
        page = await self._read(lambda connection: read.pending(connection, sink, after, limit))
        if page.complete and not self._writer.healthy:
            after = max(after, page.last)
            room = limit - len(page.events)
            more, last = await self._call(
                lambda store: self._writer.unwritten(max(after, store.first_after(sink)), room)
            )
            page = Page((*page.events, *more), max(page.last, last), len(page.events) + len(more) < limit)
        return page

    async def count_pending(self, sink: str) -> int:
        """Return how many events a sink has yet to settle. Raises ``JournalError``."""
        return await self._read(lambda connection: read.count_pending(connection, sink))

    async def newest(self) -> int:
        """Return the highest id of an event, 0 when there is none. Raises ``JournalError``."""
        return await self._read(read.newest)

    async def count_dead(self, sink: str) -> int:
        """Return how many dead letters of a sink are kept. Raises ``JournalError``."""
        return await self._read(lambda connection: read.count_dead(connection, sink))

    async def fetch(self, ids: Sequence[int]) -> tuple[Stored, ...]:
        """Return the events with these ids that are still kept. Raises ``JournalError``."""
        return await self._read(lambda connection: read.fetch(connection, ids))

    async def reset(self, sink: str, uuid: str | None = None) -> list[int]:
        """Make deliveries of a sink pending again, of one event or of all dead ones.

        Return the events' ids.
        """
        return await self._call(lambda store: store.reset(sink, uuid))

    async def forget(self) -> tuple[int, int]:
        """Delete all events that were published so far, delivered or not.

        Return the last id, and how many they were.

        Raises ``JournalError``.
        """
        upto = self._next_id - 1
        return upto, await self._call(lambda store: store.forget(upto))

    async def unfinished(self, after: int, limit: int) -> list[tuple[int, int]]:
        """Return sessions without an end, as numbers and ids of first events after ``after``."""
        return await self._read(lambda connection: read.unfinished(connection, after, limit))

    async def of_sessions(self, sessions: Iterable[int]) -> list[Stored]:
        """Return all events of these sessions, internal ones too. Raises ``JournalError``."""
        numbers = list(sessions)
        return await self._read(lambda connection: read.of_sessions(connection, numbers))

    async def latest_ts(self) -> int:
        """Return the time of the newest event, 0 when there is none."""
        return await self._read(read.latest_ts)

    def status(self) -> JournalStatus:
        """Return the counters as they are now."""
        writer = self._writer
        return JournalStatus(
            healthy=writer.healthy,
            journalled=self.journalled,
            committed=writer.committed,
            waiting=writer.waiting,
            failures=writer.failures,
            lost=writer.lost,
            forced=writer.forced,
            last_error=writer.last_error,
            bytes=writer.size,
            events=writer.events,
        )

    @property
    def healthy(self) -> bool:
        """Whether what is published now survives a crash."""
        return self._writer.healthy

    async def stop(self) -> None:
        """Write what was given, close the file and let others have it."""
        if self._stopped:
            return
        self._stopped = True
        if self._mark_timer is not None:
            self._mark_timer.cancel()
        self._writer.stop()
        await asyncio.shield(self._loop.run_in_executor(None, self._close))

    def _close(self) -> None:
        self._writer_run.join()
        if self._reader is not None:
            pool, connection = self._reader
            pool.shutdown()
            connection.close()
        self._store.close()
        if self._lock is not None:
            self._lock.release()

    def _hand_on(self, batch: Sequence[Stored]) -> None:
        """Called by the writer."""
        try:
            self._loop.call_soon_threadsafe(self._tell, batch)
        except RuntimeError:  # the loop is closed: nobody listens any more
            return

    def _tell(self, batch: Sequence[Stored]) -> None:
        if self._committed is not None:
            self._committed(batch)

    def _write_marks(self) -> None:
        self._mark_timer = None
        self._writer.wake()

    async def _call(self, work: Callable[[Store], T]) -> T:
        """Do ``work`` in the writer's thread, after all that was given to it before."""
        if self._stopped:
            raise JournalError("the journal is closed")
        future: asyncio.Future[T] = self._loop.create_future()

        def finish(result: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            elif isinstance(error, sqlite3.Error):
                future.set_exception(JournalError(explain(self.path or Path(":memory:"), error)))
            else:
                future.set_exception(error)

        def done(result: Any, error: BaseException | None) -> None:
            self._loop.call_soon_threadsafe(finish, result, error)

        self._writer.call(work, done)
        return await future

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Ask in the reader's thread; in memory there is only the writer's."""
        if self.path is None:
            return await self._call(lambda store: work(store.connection))
        await self.flush()
        if self._reader is None:
            pool = ThreadPoolExecutor(1, "hook-journal-reader")
            self._reader = pool, connect_reader(self.path)
        pool, connection = self._reader
        try:
            return await self._loop.run_in_executor(pool, work, connection)
        except sqlite3.Error as error:
            raise JournalError(explain(self.path, error)) from None


def _open(
    path: Path | None, retention: Retention, connection: type[sqlite3.Connection]
) -> tuple[FileLock | None, Store]:
    if path is None:
        return None, Store(connect(None, connection), retention)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f"{path.name}.lock"))
    except OSError as error:
        raise JournalError(
            f"the journal {path} cannot be opened ({error.strerror or error}): give a writable --data-dir"
        ) from None
    try:
        return lock, Store(connect(path, connection), retention)
    except BaseException as error:
        lock.release()
        if isinstance(error, sqlite3.Error):
            raise JournalError(explain(path, error)) from None
        raise


class JournalReader:
    """The journal of a running or stopped instance for commands: synchronous, read only."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> JournalReader:
        """Open the file. Raises :class:`JournalError`."""
        return cls(path, connect_reader(path))

    def find(self, query: JournalQuery) -> list[Stored]:
        """Return the events that ``query`` asks for. Raises :class:`JournalError`."""
        return self._asked(lambda: read.find(self._connection, query))

    def get(self, uuid: str) -> tuple[Stored, tuple[DeliveryRecord, ...]] | None:
        """Return one event and what became of it at each sink. Raises :class:`JournalError`."""
        return self._asked(lambda: read.get(self._connection, uuid))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except sqlite3.Error as error:
            raise JournalError(explain(self._path, error)) from None
