"""Changes to the journal's tables.

Synchronous; used by one thread, which must not be that of the event loop.

Each change is one SQL statement for many rows, not one per row: Python's interpreter lock is let go of and taken back for each
statement, and the event loop may hold on to it for milliseconds in between. The values are ``int``, ``str`` and ``bytearray``
where that can be: for ``None``, ``bytes`` and subclasses ``sqlite3`` looks for an adapter, which takes 0.2 µs instead of 0.02.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import msgspec

from smproxy.hooks.event import Context, Stored
from smproxy.hooks.journal import read
from smproxy.hooks.journal.types import Mark, Retention, State, encode_attempts
from smproxy.signaling.payloads import LAST_STATES

#: Events that are written in one statement, and so in one transaction.
BATCH = 1024

_EVENT_COLUMNS = 14
_MARK_COLUMNS = 5
_no_context = Context()
_encode = msgspec.json.Encoder().encode

#: Rows that one step of compaction looks at.
STEP = 1000


@cache
def _rows(rows: int, columns: int) -> str:
    """Return SQL for the rows of a statement; those whose first column is 0 are none."""
    row = "(" + ",".join("?" * columns) + ")"
    return f"(VALUES {','.join([row] * rows)}) WHERE column1 > 0"


def _rounded(count: int) -> int:
    """Return the next power of two, so that there are few statements to prepare."""
    return 1 << (count - 1).bit_length()


def _text(text: str | None) -> str | None:
    """A client may have sent half a surrogate pair, which a file cannot hold."""
    return text if text is None or text.isascii() else text.encode("utf-8", "replace").decode()


def _context(context: Context) -> bytearray | None:
    if context == _no_context:
        return None
    try:
        encoded = _encode(context)
    except UnicodeEncodeError:
        changes = {name: _text(getattr(context, name)) for name in ("user_agent", "stream", "watcher")}
        encoded = _encode(msgspec.structs.replace(context, **changes))
    return bytearray(encoded)


class Store:
    """The tables of one journal, as its only writer sees them."""

    def __init__(self, connection: sqlite3.Connection, retention: Retention) -> None:
        self.connection = connection
        self._retention = retention
        self._sinks: dict[str, list[tuple[int, int, int | None]]] = {}
        self._floors: dict[int, int] = {}
        self._active: tuple[str, ...] = ()
        self._scan = 0
        self._idle = True
        self._forcing = False
        self._forgotten = -1
        #: The highest id when the journal was opened.
        self.last_id = self._number(
            "SELECT max((SELECT coalesce(max(id), 0) FROM events), (SELECT coalesce(max(event), 0) FROM deliveries), "
            "(SELECT coalesce(max(max(first, coalesce(last, 0))), 0) FROM sinks))"
        )
        self.events = self._number("SELECT count(*) FROM events")
        self._load_sinks()
        # Until it is known which sinks there are now, those of the last time: what is pending for them is not to be deleted.
        self._active = tuple(name for name, periods in self._sinks.items() if periods[-1][2] is None)

    def _number(self, sql: str, *values: object) -> int:
        return int(self.connection.execute(sql, values).fetchone()[0])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Make several changes at once, or none of them."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def insert(self, events: Sequence[Stored]) -> None:
        """Write at most ``BATCH`` events. Those that are there already are left alone."""
        rows = _rounded(len(events))
        values: list[object] = []
        for stored in events:
            event = stored.event
            flags = read.INTERNAL * event.internal | read.SYNTHETIC * event.context.synthetic
            values += (
                stored.id, event.uuid, event.session, event.seq, event.event, event.state, _text(event.customer_scope),
                _text(event.connection_id), event.ts, flags, _context(event.context), bytearray(event.body),
                _text(event.app), str(event.role),
            )  # fmt: skip
        values += (0,) * ((rows - len(events)) * _EVENT_COLUMNS)
        changed = self.connection.execute(
            f"INSERT OR IGNORE INTO events SELECT * FROM {_rows(rows, _EVENT_COLUMNS)}",  # noqa: S608
            values,
        )
        self.events += changed.rowcount

    def mark(self, marks: Sequence[Mark]) -> None:
        """Write changes of at most ``BATCH`` deliveries."""
        values: list[object] = []
        rows = 0
        again: dict[int, int] = {}
        for mark in marks:
            if mark.event <= self._forgotten or (sink := self._sink_of(mark.sink, mark.event)) is None:
                continue
            attempt = mark.attempt
            rows += 1
            values += (mark.event, sink, int(mark.state), int(attempt is not None))
            values.append(encode_attempts(() if attempt is None else (attempt,)))
            if mark.state is State.PENDING and mark.event <= self._floors[sink]:
                again[sink] = min(mark.event, again.get(sink, mark.event))
        if not rows:
            return
        for sink, event in again.items():
            self._lower_floor(sink, event - 1)
        size = _rounded(rows)
        values += (0,) * ((size - rows) * _MARK_COLUMNS)
        self.connection.execute(
            f"INSERT INTO deliveries SELECT * FROM {_rows(size, _MARK_COLUMNS)} "  # noqa: S608
            "ON CONFLICT(event, sink) DO UPDATE SET state = excluded.state, "
            "tries = tries + excluded.tries, attempts = merge_attempts(attempts, excluded.attempts)",
            values,
        )

    def begin_sinks(self, names: Iterable[str], upto: int) -> None:
        """Set which sinks there are for the events after ``upto``.

        A new one gets those; one that is gone gets no more.
        """
        active = tuple(dict.fromkeys(names))
        with self._transaction():
            for name, periods in self._sinks.items():
                if name not in active:
                    self.connection.execute("UPDATE sinks SET last = ? WHERE name = ? AND last IS NULL", (upto, name))
                elif periods[-1][2] is None:
                    self._raise_floor(periods[-1][0])
            for name in active:
                periods = self._sinks.get(name, [])
                if not periods or periods[-1][2] is not None:
                    self.connection.execute(
                        "INSERT INTO sinks(name, first, floor) VALUES (?, ?, ?)", (name, upto, upto)
                    )
        self._active = active
        self._load_sinks()

    def skip_missed(self, sink: str) -> bool:
        """Settle some of what a sink had not got when it was removed: it begins afresh.

        Return whether there may be more. A resend later brings only what it had given up.
        """
        for period, first, last in self._sinks.get(sink, []):
            floor = max(first, self._floors[period])
            if last is None or floor >= last:
                continue
            upto = self._number(
                "SELECT coalesce(max(id), ?) FROM (SELECT id FROM events WHERE id > ? AND id <= ? ORDER BY id LIMIT ?)",
                last, floor, last, STEP,
            )  # fmt: skip
            with self._transaction():
                self.connection.execute(
                    "INSERT INTO deliveries SELECT id, ?, ?, 0, ? FROM events WHERE id > ? AND id <= ? "
                    "ON CONFLICT(event, sink) DO UPDATE SET state = excluded.state WHERE state = 0",
                    (period, int(State.SKIPPED), encode_attempts(()), floor, upto),
                )
                self.connection.execute("UPDATE sinks SET floor = ? WHERE id = ?", (upto, period))
            self._floors[period] = upto
            return True
        return False

    def first_after(self, sink: str) -> int:
        """Return the id after which events are for a sink, since it was added the last time."""
        return self._sinks[sink][-1][1] if sink in self._sinks else 0

    def reset(self, sink: str, uuid: str | None) -> list[int]:
        """Make deliveries pending again: of one event that is settled, or all that are dead.

        Return the ids of the events.
        """
        periods = [number for number, _, last in self._sinks.get(sink, [])]
        ids: list[int] = []
        with self._transaction():
            for period in periods:
                which = "state IN (1, 2, 3) AND event = (SELECT id FROM events WHERE uuid = ?)" if uuid else "state = 2"
                rows = self.connection.execute(
                    f"UPDATE deliveries SET state = 0 WHERE sink = ? AND {which} RETURNING event",  # noqa: S608
                    (period, uuid) if uuid else (period,),
                ).fetchall()
                if found := [int(row[0]) for row in rows]:
                    ids += found
                    self._lower_floor(period, min(found) - 1)
        return sorted(ids)

    def forget(self, upto: int) -> int:
        """Delete every event up to this id and what became of it, needed or not.

        Return how many events.
        """
        self._forgotten = upto
        with self._transaction():
            self.connection.execute("DELETE FROM deliveries WHERE event <= ?", (upto,))
            deleted = self.connection.execute("DELETE FROM events WHERE id <= ?", (upto,)).rowcount
            self.connection.execute("DELETE FROM sinks WHERE last IS NOT NULL AND last <= ?", (upto,))
            # Ids go on from here also after a restart, when no event is left to tell how far they were.
            self.connection.execute("UPDATE sinks SET first = max(first, ?), floor = max(floor, ?)", (upto, upto))
        self.events -= deleted
        self._load_sinks()
        return deleted

    @property
    def enough(self) -> int:
        """How many events there may be before some must be deleted soon."""
        return self._retention.events + STEP

    def close(self) -> None:
        """Close the file, and note how far everything is settled: the next start is then quick."""
        with contextlib.closing(self.connection), contextlib.suppress(sqlite3.Error):
            for name in self._active:
                self._raise_floor(self._sinks[name][-1][0])

    def size(self) -> int:
        """Return the bytes that the file uses, without what can be given back."""
        used = self._number("PRAGMA page_count") - self._number("PRAGMA freelist_count")
        return used * self._number("PRAGMA page_size")

    def compact(self, now_ms: int) -> tuple[int, int]:
        """Delete a bounded number of old events.

        Return how many, and how many of them were still needed.

        Call it again while it deletes. Each call goes on where the last one ended, up to what is within the retention.
        """
        limit = self._retention
        excess, oldest_ts = self.events - limit.events, now_ms - int(limit.days * 86_400_000)
        size = self.size()
        too_big, share = size - limit.bytes, size // max(1, self.events)  # too big as long as it is above 0
        newest = read.newest(self.connection)
        rows = self.connection.execute(
            f"SELECT e.id, {_NEEDED}, e.ts, e.session, {_OTHERS} FROM events e "  # noqa: S608 - constants
            "WHERE e.id > ? AND e.id < ? ORDER BY e.id LIMIT ?",
            (msgspec.json.encode(sorted(self._active)).decode(), self._scan, newest, STEP),
        ).fetchall()
        deleted: list[int] = []
        forced = 0
        of_session: Counter[int] = Counter()
        for number, needed, ts, session, others in rows:
            if excess <= len(deleted) and ts >= oldest_ts and too_big <= 0:
                rows = []
                break
            self._scan = number
            if (needed or others > of_session[session]) and not (too_big > 0 and self._forcing):
                continue
            deleted.append(number)
            of_session[session] += 1
            too_big -= share
            forced += bool(needed)
        self._idle = not deleted and self._idle
        if deleted:
            self._delete(deleted)
        if len(rows) < STEP:
            # All was looked at. What is still too big then can only be made smaller at a cost.
            self._forcing = too_big > 0 and self._idle
            self._scan, self._idle = 0, True
        if not deleted:
            self._shrink()
        return len(deleted), forced

    def _shrink(self) -> None:
        """Give disk space back, a little at a time, when much of the file is not in use."""
        free, pages = self._number("PRAGMA freelist_count"), self._number("PRAGMA page_count")
        if free > max(256, pages // 4):
            # A script, because this statement frees one page whenever it is stepped, and ``execute`` steps once.
            self.connection.executescript(f"PRAGMA incremental_vacuum({4 * STEP})")
            self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _delete(self, ids: list[int]) -> None:
        text = msgspec.json.encode(ids).decode()
        with self._transaction():
            self.connection.execute("DELETE FROM deliveries WHERE event IN (SELECT value FROM json_each(?))", (text,))
            self.connection.execute("DELETE FROM events WHERE id IN (SELECT value FROM json_each(?))", (text,))
        self.events -= len(ids)

    def _sink_of(self, name: str, event: int) -> int | None:
        for number, first, last in reversed(self._sinks.get(name, [])):
            if event > first and (last is None or event <= last):
                return number
        return None

    def _load_sinks(self) -> None:
        self._sinks, self._floors = {}, {}
        for number, name, first, last, floor in self.connection.execute(
            "SELECT id, name, first, last, floor FROM sinks ORDER BY id"
        ).fetchall():
            self._sinks.setdefault(name, []).append((number, first, last))
            self._floors[number] = floor

    def _lower_floor(self, period: int, floor: int) -> None:
        """Have the next start look as far back as this: what was settled is pending again."""
        self.connection.execute("UPDATE sinks SET floor = min(floor, ?) WHERE id = ?", (floor, period))
        self._floors[period] = min(floor, self._floors[period])

    def _raise_floor(self, period: int) -> None:
        """Everything up to the floor is settled: a restart need not look at it."""
        self.connection.execute(
            "UPDATE sinks AS s SET floor = coalesce((SELECT min(e.id) - 1 FROM events e LEFT JOIN deliveries d "
            "ON d.event = e.id AND d.sink = s.id WHERE e.id > max(s.first, s.floor) AND (s.last IS NULL OR e.id <= s.last) "
            "AND (d.state IS NULL OR d.state = 0)), max(s.floor, (SELECT coalesce(max(id), 0) FROM events))) WHERE id = ?",
            (period,),
        )


#: The event ``e`` may not be deleted yet: its session lives, or is being recorded beyond its end, or one of the active sinks
#: (?, a JSON list of names) has not settled it.
_NEEDED = f"""(
    (e.flags & {read.SYNTHETIC} = 0 AND NOT {read.ENDED} AND EXISTS (
        SELECT 1 FROM events o WHERE o.session = e.session AND o.flags = 0 AND NOT {read.LATE.format("o")}))
    OR {read.BEING_RECORDED}
    OR EXISTS (
        SELECT 1 FROM sinks s LEFT JOIN deliveries d ON d.event = e.id AND d.sink = s.id
        WHERE s.name IN (SELECT value FROM json_each(?)) AND {read.COVERED} AND (d.state IS NULL OR d.state = 0))
)"""  # noqa: S608 - constants

#: How many events must be deleted before ``e``: an end is the last of its session to go, else the session would seem alive.
_OTHERS = f"""(
    CASE WHEN e.state IN {LAST_STATES} THEN
        (SELECT count(*) FROM events o WHERE o.session = e.session AND o.id <> e.id AND o.flags = 0)
    ELSE 0 END
)"""  # noqa: S608 - constants
