"""Questions to the journal's tables. Everything here is synchronous and only reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from smproxy.hooks.event import Context, EncodedEvent, Stored
from smproxy.hooks.journal.types import DeliveryRecord, JournalQuery, Page, State, decode_attempts
from smproxy.signaling.payloads import LAST_STATES

#: Bits of the column ``flags``.
INTERNAL, SYNTHETIC = 1, 2

#: An end event of the session, or the room, of ``e`` is in the journal.
ENDED = f"EXISTS (SELECT 1 FROM events x WHERE x.session = e.session AND x.state IN {LAST_STATES})"  # noqa: S608 - constants

_NAMES = "id uuid session seq event state scope connection ts flags context body app role"
_COLUMNS = ", ".join(f"e.{name}" for name in _NAMES.split())

#: The event ``{}`` is the end of a recording, which may come when all else of its session, its end too, was deleted.
LATE = "({0}.event = 'recording' AND {0}.state <> 'recording_started')"

#: The session of ``e`` has a recording of which no end is in the journal.
BEING_RECORDED = (
    "coalesce((SELECT x.state = 'recording_started' FROM events x WHERE x.session = e.session AND x.event = 'recording' "
    "AND x.flags = 0 ORDER BY x.id DESC LIMIT 1), 0)"
)

#: Sessions with a recording of which no end is in the journal; it may come after that of the session.
_RECORDING = (
    "SELECT session FROM events WHERE event = 'recording' GROUP BY session "
    "HAVING max(iif(state = 'recording_started', id, 0)) > max(iif(state = 'recording_started', 0, id))"
)

#: The event ``e`` is or was for the sink ``s``.
COVERED = "e.id > s.first AND (s.last IS NULL OR e.id <= s.last)"

#: Rows up to which the matches of a condition are counted, to find the rarest one.
_PROBE = 2000

_no_context = Context()

_context_decoder = msgspec.json.Decoder(Context)


#: What each of them holds; SQLite itself takes anything.
_TYPES = (int, str, int, int, str, str, str | None, str | None, int, int, bytes | None, bytes, str | None, str)


def stored(row: Sequence[Any]) -> Stored:
    """Make an event of a row of ``_COLUMNS``.

    Raises ``sqlite3.DatabaseError`` for a row that is damaged.
    """
    if not all(map(isinstance, row, _TYPES)):
        raise sqlite3.DatabaseError(f"event {row[0]!r:.40} cannot be read")
    number, uuid, session, seq, event, state, scope, connection, ts, flags, context, body, app, role = row
    try:
        known = _no_context if context is None else _context_decoder.decode(context)
    except msgspec.MsgspecError:
        raise sqlite3.DatabaseError(f"event {number} cannot be read") from None
    return Stored(
        number,
        EncodedEvent(
            uuid=uuid,
            session=session,
            seq=seq,
            event=event,
            state=state,
            customer_scope=scope,
            ts=ts,
            body=body,
            connection_id=connection,
            app=app,
            role=role,
            context=known,
            internal=bool(flags & INTERNAL),
        ),
    )


def find(connection: sqlite3.Connection, query: JournalQuery) -> list[Stored]:
    """Return the events that ``query`` asks for, in the order of their ids."""
    conditions, values = _conditions(connection, query)
    where = " AND ".join(conditions) or "1"
    order = "DESC" if query.newest_first else "ASC"
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM events e WHERE {where} ORDER BY e.id {order} LIMIT ?",  # noqa: S608 - values are bound
        (*values, max(0, query.limit)),
    )
    return [stored(row) for row in rows.fetchall()]


def _conditions(connection: sqlite3.Connection, query: JournalQuery) -> tuple[list[str], list[object]]:
    wanted = {
        "scope": query.customer_scope,
        "connection": query.connection_id,
        "session": query.session,
        "event": query.event,
        "state": query.state,
    }
    equal = [(column, value) for column, value in wanted.items() if value is not None]
    rarest = _rarest(connection, equal)
    # A plus sign keeps SQLite from an index: it would choose any one of those that there are.
    simple: list[tuple[str, object]] = [
        (f"{'' if column == rarest else '+'}e.{column} = ?", value) for column, value in equal
    ]
    if query.since_ms is not None:
        first = _outermost(connection, "min", "ts >= ?", query.since_ms, all_of_them=not query.newest_first)
        simple += [("e.id >= ?", first), ("+e.ts >= ?", query.since_ms)]
    if query.until_ms is not None:
        last = _outermost(connection, "max", "ts <= ?", query.until_ms, all_of_them=query.newest_first)
        simple += [("e.id <= ?", last), ("+e.ts <= ?", query.until_ms)]
    simple += [("e.id > ?", query.after_id), ("e.id < ?", query.before_id)]
    conditions = [condition for condition, value in simple if value is not None]
    values = [value for _, value in simple if value is not None]
    if not query.internal:
        conditions.append(f"e.flags & {INTERNAL} = 0")
    if query.dead:
        dead = "SELECT d.event FROM deliveries d WHERE d.state = 2"
        if query.sink is not None:
            dead += " AND d.sink IN (SELECT id FROM sinks WHERE name = ?)"
            values.append(query.sink)
        conditions.append(f"e.id IN ({dead})")
    elif query.sink is not None:
        conditions.append(f"EXISTS (SELECT 1 FROM sinks s WHERE s.name = ? AND {COVERED})")  # noqa: S608
        values.append(query.sink)
    return conditions, values


def _rarest(connection: sqlite3.Connection, equal: Sequence[tuple[str, object]]) -> str | None:
    """Return the column whose value the fewest events have, as far as they are counted."""
    if len(equal) < 2:
        return equal[0][0] if equal else None
    counts = {
        column: connection.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM events WHERE {column} = ? LIMIT {_PROBE})",  # noqa: S608 - a constant
            (value,),
        ).fetchone()[0]
        for column, value in equal
    }
    return min(counts, key=counts.__getitem__)


def _outermost(connection: sqlite3.Connection, which: str, condition: str, ts: int, *, all_of_them: bool) -> int | None:
    """Return the first or the last id of the events before or after a time.

    ``which``: ``min`` or ``max``. It is one that no event has when there are none. Clocks are set back, so a search by halves
    would not do; the index of times is read. Unless ``all_of_them`` matter, because the search begins at the other end, it is
    ``None`` when there are many.
    """
    cap = -1 if all_of_them else _PROBE
    found, count = connection.execute(
        f"SELECT {which}(id), count(*) FROM (SELECT id FROM events WHERE {condition} LIMIT {cap})",  # noqa: S608 - constants
        (ts,),
    ).fetchone()
    if count == cap:
        return None
    if found is None:
        return 2**62 if which == "min" else -1
    return int(found)


def get(connection: sqlite3.Connection, uuid: str) -> tuple[Stored, tuple[DeliveryRecord, ...]] | None:
    """Return an event and what became of it at each sink that it is or was for."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM events e WHERE e.uuid = ?", (uuid,)).fetchone()  # noqa: S608
    if row is None:
        return None
    rows = connection.execute(
        "SELECT s.name, coalesce(d.state, 0), d.attempts, d.tries FROM events e "  # noqa: S608 - constants
        f"JOIN sinks s ON {COVERED} LEFT JOIN deliveries d ON d.event = e.id AND d.sink = s.id WHERE e.id = ? ORDER BY s.id",
        (row[0],),
    ).fetchall()
    records = tuple(
        DeliveryRecord(name, State(state).name.lower(), decode_attempts(attempts) if attempts else (), tries or 0)
        for name, state, attempts, tries in rows
    )
    return stored(row), records


_PENDING = (
    "FROM events e LEFT JOIN deliveries d ON d.event = e.id AND d.sink = ? "
    "WHERE e.id > ? AND e.id <= ? AND (d.state IS NULL OR d.state = 0)"
)


def _periods(connection: sqlite3.Connection, sink: str, after: int) -> list[tuple[int, int, int]]:
    """Return the periods in which a sink was in use: number, and the ids between which to look."""
    rows = connection.execute(
        "SELECT id, max(first, floor, ?), coalesce(last, ?) FROM sinks WHERE name = ? ORDER BY id", (after, 2**62, sink)
    )
    return [(number, low, high) for number, low, high in rows.fetchall() if low < high]


def pending(connection: sqlite3.Connection, sink: str, after: int, limit: int) -> Page:
    """Return the oldest pending events of a sink that come after the id ``after``."""
    last = newest(connection)  # asked first: what is written in between is then not taken for seen
    found: list[Stored] = []
    for period in _periods(connection, sink, after):
        rows = connection.execute(
            f"SELECT {_COLUMNS} {_PENDING} ORDER BY e.id LIMIT ?",
            (*period, limit - len(found)),
        ).fetchall()
        found += (stored(row) for row in rows)
        if len(found) >= limit:
            break
    return Page(tuple(found), last, len(found) < limit)


def count_pending(connection: sqlite3.Connection, sink: str) -> int:
    """Return how many events a sink has not settled."""
    return sum(
        int(connection.execute(f"SELECT count(*) {_PENDING}", period).fetchone()[0])
        for period in _periods(connection, sink, 0)
    )


def count_dead(connection: sqlite3.Connection, sink: str) -> int:
    """Return how many events a sink was not able to deliver."""
    return int(
        connection.execute(
            "SELECT count(*) FROM deliveries WHERE state = 2 AND sink IN (SELECT id FROM sinks WHERE name = ?)", (sink,)
        ).fetchone()[0]
    )


def fetch(connection: sqlite3.Connection, ids: Iterable[int]) -> tuple[Stored, ...]:
    """Return the events with these ids, those that are still kept, in the order of their ids."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM events e WHERE e.id IN (SELECT value FROM json_each(?)) ORDER BY e.id",  # noqa: S608
        (msgspec.json.encode(list(ids)).decode(),),
    )
    return tuple(stored(row) for row in rows.fetchall())


def of_sessions(connection: sqlite3.Connection, sessions: Iterable[int]) -> list[Stored]:
    """Return all events of these sessions in the order of their ids."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM events e WHERE e.session IN (SELECT value FROM json_each(?)) ORDER BY e.id",  # noqa: S608
        (msgspec.json.encode(list(sessions)).decode(),),
    )
    return [stored(row) for row in rows.fetchall()]


def newest(connection: sqlite3.Connection) -> int:
    """Return the highest id of an event, 0 when there is none."""
    return int(connection.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0])


def latest_ts(connection: sqlite3.Connection) -> int:
    """Return the time of the newest event, 0 when there is none."""
    row = connection.execute("SELECT ts FROM events ORDER BY id DESC LIMIT 1").fetchone()
    return int(row[0]) if row else 0


def unfinished(connection: sqlite3.Connection, after: int, limit: int) -> list[tuple[int, int]]:
    """Return sessions without an end, or with a recording without one.

    As numbers and ids of first events after ``after``.
    """
    # Sessions and ends are read from their indexes alone; rows are looked at only of the few that are left.
    rows = connection.execute(
        "WITH known(session) AS MATERIALIZED (SELECT DISTINCT session FROM events) "  # noqa: S608 - constants
        f"SELECT e.session, (SELECT min(f.id) FROM events f WHERE f.session = e.session AND f.flags = 0 "
        f"AND NOT {LATE.format('f')}) AS first FROM known e "
        f"WHERE (NOT {ENDED} OR e.session IN ({_RECORDING})) AND first > ? ORDER BY first LIMIT ?",
        (after, limit),
    )
    return [(int(session), int(first)) for session, first in rows.fetchall()]
