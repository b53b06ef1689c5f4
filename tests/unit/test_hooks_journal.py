"""The journal: what it keeps, what it answers, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import re
import resource
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import pytest
from smproxy.hooks.event import Context, EncodedEvent, Stored
from smproxy.hooks.journal import (
    AttemptRecord,
    Journal,
    JournalError,
    JournalQuery,
    JournalReader,
    Retention,
    State,
)
from smproxy.hooks.journal import writer as writer_module
from smproxy.hooks.journal.file import connect
from smproxy.hooks.journal.read import ENDED
from smproxy.hooks.journal.store import STEP, Store
from smproxy.hooks.journal.types import Mark
from smproxy.hooks.journal.writer import Writer
from smproxy.signaling.clock import Clock

from tests.helpers import eventually
from tests.hooks_support import NOW, encoded

CLOCK = Clock(wall=lambda: NOW)
SINK = "http://receiver/hooks"


@asynccontextmanager
async def journal_at(path: Path | None, *sinks: str, **retention: Any) -> AsyncIterator[Journal]:
    """Run a journal; it is stopped at the end."""
    journal = await Journal.start(path, clock=CLOCK, retention=Retention(**retention))
    try:
        await journal.begin_sinks(sinks)
        yield journal
    finally:
        await journal.stop()


@pytest.fixture(params=["file", "memory"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """Where a journal is."""
    return tmp_path / "data" / "hooks.db" if request.param == "file" else None


def event(session: int = 1, seq: int = 1, **changes: Any) -> EncodedEvent:
    """Make an event with some fields changed."""
    return msgspec.structs.replace(encoded(session, seq), **changes)


def end(session: int, seq: int) -> EncodedEvent:
    return event(session, seq, state="disconnected")


def mark(stored: Stored, state: State, outcome: str = "", sink: str = SINK) -> Mark:
    return Mark(stored.id, sink, state, AttemptRecord(5, outcome, "why", 3) if outcome else None)


async def test_what_is_journalled_comes_back_whole(path: Path | None) -> None:
    """Every field of an event is read back as it was, on the bytes to the last, and it is handed on when it is written."""
    events = [
        event(1, 1, context=Context(user_agent="Browser/1.0", stream="live/cam", joined=True)),
        event(2, 1, customer_scope=None, connection_id=None, context=Context(synthetic=True)),
        event(3, 1, event="websocket", state="websocket_connected", internal=True, body=b"\x00\xff"),
    ]
    told: list[Stored] = []
    async with journal_at(path) as journal:
        journal.on_committed(told.extend)
        for one in events:
            journal.append(one)
        assert not told
        found = await journal.find(JournalQuery(internal=True))
        assert [stored.event for stored in found] == events
        assert told == found
        assert [stored.id for stored in found] == [1, 2, 3]
        assert (journal.status().journalled, journal.status().committed, journal.status().events) == (3, 3, 3)


async def test_half_a_surrogate_pair_is_no_trouble(path: Path | None) -> None:
    """Text that a client sent and that no file can hold is journalled with a question mark in its place."""
    async with journal_at(path) as journal:
        journal.append(event(customer_scope="a\ud800", context=Context(user_agent="b\udcff")))
        (stored,) = await journal.find(JournalQuery())
        assert (stored.event.customer_scope, stored.event.context.user_agent) == ("a?", "b?")
        assert journal.healthy


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        (JournalQuery(), [1, 2, 4, 5, 6]),
        (JournalQuery(internal=True), [1, 2, 3, 4, 5, 6]),
        (JournalQuery(limit=2), [1, 2]),
        (JournalQuery(limit=2, newest_first=True), [6, 5]),
        (JournalQuery(after_id=2, before_id=6), [4, 5]),
        (JournalQuery(session=2), [2, 5]),
        (JournalQuery(customer_scope="acme"), [1, 4, 5, 6]),
        (JournalQuery(customer_scope="other"), [2]),
        (JournalQuery(connection_id="cam-1", session=1), [1, 4]),
        (JournalQuery(event="session", state="disconnected"), [4]),
        (JournalQuery(event="session", customer_scope="acme", connection_id="cam-1", state="disconnected"), [4]),
        (JournalQuery(event="session", customer_scope="nobody"), []),
        (JournalQuery(since_ms=5000), [5, 6]),
        (JournalQuery(until_ms=5000), [5]),
        (JournalQuery(dead=True), [2, 4]),
        (JournalQuery(dead=True, sink="b"), [4]),
        (JournalQuery(dead=True, sink="b", customer_scope="other"), []),
        (JournalQuery(sink="nobody"), []),
        (JournalQuery(sink="b", session=1), [1, 4]),
    ],
)
async def test_find(path: Path | None, query: JournalQuery, ids: list[int]) -> None:
    """Each filter narrows, filters together narrow further, and the order is that of the ids."""
    async with journal_at(path, "a", "b") as journal:
        stored = [
            journal.append(one)
            for one in (
                event(1, 1, connection_id="cam-1", ts=6000),
                event(2, 1, customer_scope="other", ts=6000),
                event(2, 1, event="websocket", state="websocket_connected", internal=True, uuid="i", ts=6000),
                msgspec.structs.replace(end(1, 2), connection_id="cam-1", ts=6000),
                event(2, 2, ts=5000),
                event(3, 1, ts=6000),
            )
        ]
        if query.since_ms is not None:
            query = JournalQuery(since_ms=5000, after_id=4)
        journal.mark(mark(stored[0], State.DELIVERED, "delivered", "a"))
        journal.mark(mark(stored[1], State.DEAD, "dead", "a"))
        journal.mark(mark(stored[3], State.DEAD, "dead", "b"))
        assert [found.id for found in await journal.find(query)] == ids


async def test_a_time_is_found_although_the_clock_was_set_back(path: Path | None) -> None:
    """Events of some time are found wherever they lie among the others, and no others with them."""
    async with journal_at(path) as journal:
        for seq, ts in enumerate((5000, 7000, 9000, 4000, 6000, 8000), 1):
            journal.append(event(1, seq, ts=ts))
        for query, ids in (
            (JournalQuery(since_ms=7000), [2, 3, 6]),
            (JournalQuery(until_ms=6000), [1, 4, 5]),
            (JournalQuery(since_ms=5000, until_ms=7000, newest_first=True), [5, 2, 1]),
            (JournalQuery(since_ms=9001), []),
            (JournalQuery(until_ms=3999), []),
        ):
            assert [found.id for found in await journal.find(query)] == ids


async def test_a_journal_without_indexes_for_queries_gets_them(tmp_path: Path) -> None:
    """A journal of an earlier version is read as it is, and is quick to query once an instance has used it."""
    path = tmp_path / "hooks.db"
    await grown(path)
    made = "SELECT name FROM sqlite_schema WHERE type = 'index' AND name LIKE 'events%' ORDER BY name"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        known = connection.execute(made).fetchall()
        for name in ("scope", "connection", "event", "state", "ts"):
            connection.execute(f"DROP INDEX events_{name}")
    query = JournalQuery(customer_scope="acme", event="session", since_ms=0, limit=3)
    reader = JournalReader.open(path)
    before = reader.find(query)
    reader.close()
    async with journal_at(path) as journal:
        assert await journal.find(query) == before
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute(made).fetchall() == known
    assert len(before) == 3


async def test_the_limits_hold_in_a_flood(path: Path | None) -> None:
    """However many events are written at a time, as many old ones are deleted: the file does not outgrow its limits."""
    async with journal_at(path, events=2000) as journal:
        for burst in range(4):
            for session in range(burst * 5000, (burst + 1) * 5000):
                journal.append(end(session, 1))
            await journal.flush()
            await journal.flush()
            assert journal.status().events <= 2000 + 5 * STEP


def test_bytes_are_enough_for_the_events_that_are_to_be_kept() -> None:
    """Who keeps many events gets room for them; nobody gets less than usual."""
    assert Retention.of(1_000_000, 7.0) == Retention(1_000_000, 7.0, 1_024_000_000)
    assert Retention.of(10, 7.0).bytes == Retention().bytes


async def test_a_delivery_s_attempts_are_on_record_and_bounded(path: Path | None) -> None:
    """Of each delivery the state, the number of attempts, and the first and the last ten of them are kept."""
    async with journal_at(path, SINK, "other") as journal:
        stored = journal.append(event())
        found = await journal.get(stored.event.uuid)
        assert found is not None
        assert [(one.sink, one.state, one.attempts) for one in found[1]] == [
            (SINK, "pending", ()),
            ("other", "pending", ()),
        ]
        for number in range(49):
            attempt = AttemptRecord(number, "retry", f"HTTP {500 + number}", 3)
            journal.mark(Mark(stored.id, SINK, State.PENDING, attempt))
            if number == 20:
                await journal.flush()
        journal.mark(mark(stored, State.DEAD, "dead"))
        journal.mark(mark(stored, State.SKIPPED, sink="other"))
        found = await journal.get(stored.event.uuid)
        assert found is not None
        assert found[0] == stored
        first, other = found[1]
        assert (first.state, first.tries, len(first.attempts)) == ("dead", 50, 20)
        assert [attempt.at for attempt in first.attempts] == [*range(10), *range(40, 49), 5]
        assert (other.state, other.tries, other.attempts) == ("skipped", 0, ())
        assert await journal.get("unknown") is None


async def test_what_a_sink_has_yet_to_get(path: Path | None) -> None:
    """A sink has pending what was journalled while it was in use and not settled, oldest first, page by page."""
    async with journal_at(path, "a") as journal:
        stored = [journal.append(event(1, seq)) for seq in range(1, 11)]
        journal.mark(mark(stored[0], State.DELIVERED, "delivered", "a"))
        journal.mark(mark(stored[1], State.PENDING, "retry", "a"))
        journal.mark(mark(stored[2], State.DEAD, "dead", "a"))
        page = await journal.pending("a", 0, 3)
        assert ([one.id for one in page.events], page.last, page.complete) == ([2, 4, 5], 10, False)
        page = await journal.pending("a", 5, 6)
        assert ([one.id for one in page.events], page.last, page.complete) == ([6, 7, 8, 9, 10], 10, True)
        assert await journal.count_pending("a") == 8
        assert await journal.count_dead("a") == 1


async def test_a_sink_that_was_away_gets_what_it_missed_and_not_what_was_not_for_it(tmp_path: Path) -> None:
    """Pending events wait for a sink that is not in use; those of the time in which it was not are not for it."""
    path = tmp_path / "hooks.db"
    async with journal_at(path, "a") as journal:
        journal.append(event(1, 1))
    async with journal_at(path, "b") as journal:
        journal.append(event(1, 2))
        assert [one.id for one in (await journal.pending("a", 0, 9)).events] == [1]
    async with journal_at(path, "a", "b") as journal:
        journal.append(event(1, 3))
        assert [one.id for one in (await journal.pending("a", 0, 9)).events] == [1, 3]
        assert [one.id for one in (await journal.pending("b", 0, 9)).events] == [2, 3]
        assert [one.id for one in (await journal.pending("a", 1, 1)).events] == [3]
        found = await journal.get(event(1, 2).uuid)
        assert found is not None
        assert [one.sink for one in found[1]] == ["b"]


async def test_what_a_sink_missed_is_settled_in_steps(path: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sink that begins afresh does not get what it missed, however much that is, and events are written meanwhile."""
    monkeypatch.setattr("smproxy.hooks.journal.store.STEP", 10)
    async with journal_at(path, "a") as journal:
        missed = [journal.append(event(1, seq, uuid=f"{seq}")) for seq in range(1, 41)]
        journal.mark(mark(missed[0], State.DELIVERED, "delivered", "a"))
        journal.mark(mark(missed[1], State.DEAD, "dead", "a"))
        await journal.begin_sinks([])
        for seq in range(1, 4):
            journal.append(event(2, seq, uuid=f"between {seq}"))
        written: list[Stored] = []
        journal.on_committed(written.extend)
        adding = asyncio.ensure_future(journal.begin_sinks(["a"], afresh="a"))
        await asyncio.sleep(0)
        meanwhile = journal.append(event(3, 1, uuid="meanwhile"))
        await eventually(lambda: meanwhile in written or adding.done())
        assert meanwhile in written
        await adding
        after = journal.append(event(3, 2, uuid="after"))
        assert [one.id for one in (await journal.pending("a", 0, 100)).events] == [after.id]
        states = []
        for uuid in ("1", "2", "3", "40"):
            known = await journal.get(uuid)
            assert known is not None
            states.append(known[1][0].state)
        assert states == ["delivered", "dead", "skipped", "skipped"]
        assert await journal.reset("a") == [missed[1].id]
        assert [one.id for one in (await journal.pending("a", 0, 100)).events] == [missed[1].id, after.id]


async def test_reset_makes_pending_again(path: Path | None) -> None:
    """What is delivered or dead can be made pending again, one event or all dead ones; what is pending is left alone."""
    async with journal_at(path, "a") as journal:
        stored = [journal.append(event(1, seq)) for seq in range(1, 6)]
        for one, state in zip(stored, (State.DELIVERED, State.DEAD, State.DEAD, State.DELIVERED), strict=False):
            journal.mark(mark(one, state, "x", "a"))
        assert await journal.reset("a", stored[0].event.uuid) == [1]
        assert await journal.reset("a", stored[0].event.uuid) == []
        assert await journal.reset("a", stored[4].event.uuid) == []
        assert await journal.reset("b") == []
        assert await journal.reset("a") == [2, 3]
        assert [one.id for one in (await journal.pending("a", 0, 9)).events] == [1, 2, 3, 5]
        assert [one.id for one in await journal.fetch([3, 1, 77])] == [1, 3]


async def test_two_instances_never_share_a_journal(tmp_path: Path) -> None:
    """The second one is told in one line who has it; when the first has stopped it can be had, with all that is in it."""
    path = tmp_path / "hooks.db"
    async with journal_at(path) as journal:
        journal.append(event())
        with pytest.raises(JournalError, match=rf"in use by another instance \(process {os.getpid()}\)") as error:
            await Journal.start(path, clock=CLOCK)
        assert "\n" not in str(error.value)
    async with journal_at(path) as journal:
        assert len(await journal.find(JournalQuery())) == 1
        assert journal.append(event(1, 2)).id == 2


async def grown(path: Path) -> None:
    async with journal_at(path, SINK) as journal:
        for number in range(300):
            journal.append(event(number, 1))


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"this is not a database, but a letter" * 10)


def torn(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 8192))


def somebody_elses(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes(name)")
    connection.close()


def from_the_future(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (cut_short, "is damaged .* move it away with mv"),
        (overwritten, "is damaged .* move it away with mv"),
        (torn, "is damaged .* move it away with mv"),
        (somebody_elses, "is not a hook journal: give another --data-dir"),
        (from_the_future, "written by a newer version"),
        (a_directory, "cannot be written .* give a writable --data-dir"),
    ],
)
async def test_a_file_that_cannot_be_used(tmp_path: Path, spoil: Callable[[Path], None], what: str) -> None:
    """A file that is no journal, or no longer one, is left as it is, and one line says what it is and what to do."""
    path = tmp_path / "hooks.db"
    await grown(path)
    spoil(path)
    before = path.is_dir() or path.read_bytes()
    with pytest.raises(JournalError, match=what) as error:
        await Journal.start(path, clock=CLOCK)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert before == (path.is_dir() or path.read_bytes())


async def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """When there is a file where the data directory should be, that is said in one line."""
    (tmp_path / "data").touch()
    with pytest.raises(JournalError, match=r"cannot be opened .* give a writable --data-dir"):
        await Journal.start(tmp_path / "data" / "hooks.db", clock=CLOCK)


async def test_a_file_that_somebody_else_has_locked_at_the_start(tmp_path: Path) -> None:
    """Another program that has the file locked is named as the cause."""
    path = tmp_path / "hooks.db"
    await grown(path)
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(JournalError, match="is locked by another program: close that one"):
            await Journal.start(path, clock=CLOCK)
    finally:
        other.close()


async def through_trouble(
    journal: Journal, begin: Callable[[], None], finish: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Publish before, while and after ``begin`` and ``finish`` keep the file from being written."""
    told: list[Stored] = []
    journal.on_committed(told.extend)
    expected = [journal.append(event(1, seq)) for seq in range(1, 6)]
    await journal.flush()
    begin()
    try:
        with caplog.at_level(logging.WARNING, "smproxy.hooks"):
            expected += [journal.append(event(1, seq, body=os.urandom(200_000))) for seq in range(6, 9)]
            await eventually(lambda: told == expected)
            assert not journal.healthy
            expected += [journal.append(event(1, seq)) for seq in range(9, 20)]
            journal.mark(mark(expected[0], State.DELIVERED, "delivered"))
            await eventually(lambda: told == expected)
            await eventually(lambda: journal.status().failures > 1)
            assert (journal.status().committed, journal.status().waiting) == (5, 14)
    finally:
        finish()
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert "hooks go on from memory" in line
    await eventually(lambda: journal.healthy)
    expected.append(journal.append(event(1, 20)))
    await eventually(lambda: told == expected)
    assert await journal.find(JournalQuery()) == expected
    assert (await journal.pending(SINK, 0, 1)).events[0].id == 2
    assert (journal.status().committed, journal.status().waiting, journal.status().lost) == (20, 0, 0)


async def test_a_disk_without_room(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While the file cannot grow, events are handed on in order, one line says so, and later all of them are in the file."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / "hooks.db"

    def begin() -> None:
        size = max(file.stat().st_size for file in tmp_path.glob("hooks.db*"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50_000, hard))

    async with journal_at(path, SINK) as journal:
        await through_trouble(journal, begin, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)), caplog)


async def test_a_quota_that_is_used_up(path: Path | None, caplog: pytest.LogCaptureFixture) -> None:
    """The same when SQLite itself says that the database is full."""
    async with journal_at(path, SINK) as journal:
        connection = journal._store.connection

        def begin() -> None:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages + 10}")

        def finish() -> None:
            connection.execute("PRAGMA max_page_count = 1000000")

        await through_trouble(journal, begin, finish, caplog)


async def test_a_file_that_somebody_else_locks_meanwhile(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The same when another program holds a lock on the file."""
    path = tmp_path / "hooks.db"
    async with journal_at(path, SINK) as journal:
        other = sqlite3.connect(path, isolation_level=None)
        try:
            await through_trouble(
                journal, lambda: other.execute("BEGIN IMMEDIATE"), lambda: other.execute("ROLLBACK"), caplog
            )
        finally:
            other.close()


async def test_what_is_kept_for_a_file_that_stays_unwritable_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Beyond a limit the oldest events are not journalled any more, which is counted and said; all are handed on."""
    monkeypatch.setattr("smproxy.hooks.journal.writer.MAX_WAITING", 100)
    told: list[Stored] = []
    async with journal_at(tmp_path / "hooks.db") as journal:
        journal.on_committed(told.extend)
        other = sqlite3.connect(tmp_path / "hooks.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for seq in range(150):
            journal.append(event(1, seq))
        await eventually(lambda: len(told) == 150)
        assert (journal.status().waiting, journal.status().lost) == (100, 50)
        assert "50 hook events could not be journalled at all" in caplog.text
        other.close()
        await eventually(lambda: journal.healthy)
        assert [stored.event.seq for stored in await journal.find(JournalQuery())] == list(range(50, 150))


async def test_a_disk_that_hangs_costs_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While nothing is written and nothing fails, events wait up to a limit; those beyond are dropped, counted and said."""
    monkeypatch.setattr("smproxy.hooks.journal.writer.MAX_QUEUED", 10)
    async with journal_at(tmp_path / "hooks.db") as journal:
        other = sqlite3.connect(tmp_path / "hooks.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for seq in range(1, 31):
            journal.append(event(1, seq))
        assert (journal.status().waiting, journal.status().lost) == (10, 20)
        assert "does not keep up" in caplog.text
        other.close()
        assert [stored.event.seq for stored in await journal.find(JournalQuery())] == list(range(1, 11))


async def compacted(journal: Journal) -> list[int]:
    """Let the journal delete what it may; return the ids that are left."""

    def work(store: Any) -> None:
        for _ in range(20):
            store.compact(CLOCK.wall_ms())

    await journal._call(work)
    return [stored.id for stored in await journal.find(JournalQuery(internal=True, limit=100_000))]


async def test_old_events_are_deleted(path: Path | None) -> None:
    """Of sessions that are over and settled, the newest events are kept, as many as asked for, and none for too long."""
    async with journal_at(path, "a", events=50, days=1.0) as journal:
        for session in range(100):
            first, last = journal.append(event(session, 1)), journal.append(end(session, 2))
            for one in (first, last):
                journal.mark(mark(one, State.DELIVERED, "delivered", "a"))
        await journal.flush()
        assert await compacted(journal) == list(range(151, 201))
        old = [journal.append(event(500, 1, ts=0)), journal.append(msgspec.structs.replace(end(500, 2), ts=0))]
        for one in old:
            journal.mark(mark(one, State.DELIVERED, "delivered", "a"))
        await journal.flush()
        left = await compacted(journal)
        assert len(left) == 50
        assert left[-1] == 202


async def test_what_is_needed_is_kept_beyond_the_limits(path: Path | None) -> None:
    """What a sink has not settled, and all of a session that lives, stays however old it is; what only a sink needs that is
    no longer in use does not."""
    async with journal_at(path, "a", "b", events=1) as journal:
        alive = [journal.append(event(1, 1, ts=0)), journal.append(event(1, 2, ts=0))]
        socket = journal.append(event(1, 2, uuid="i", event="websocket", state="websocket_connected", internal=True))
        waiting = [journal.append(event(2, 1, ts=0)), journal.append(end(2, 2))]
        done = [journal.append(event(3, 1, ts=0)), journal.append(end(3, 2))]
        synthetic = journal.append(event(4, 1, ts=0, context=Context(synthetic=True)))
        for one in (*alive, socket, *done, synthetic):
            for sink in ("a", "b"):
                journal.mark(mark(one, State.DELIVERED, "delivered", sink))
        for one in waiting:
            journal.mark(mark(one, State.DELIVERED, "delivered", "a"))
        newest = journal.append(event(5, 1))
        await journal.flush()
        needed = [one.id for one in (*alive, socket)]
        assert await compacted(journal) == [*needed, *(one.id for one in waiting), newest.id]
        await journal.begin_sinks(["a"])
        assert await compacted(journal) == [*needed, newest.id]


async def test_a_recording_that_is_not_complete_keeps_its_session(path: Path | None) -> None:
    """What tells of a recording stays until the recording has an end, also when its session is over: a restart ends it."""
    async with journal_at(path, "a", events=1) as journal:
        started = {"event": "recording", "state": "recording_started"}
        stored = [journal.append(event(1, 1)), journal.append(event(1, 2, **started)), journal.append(end(1, 3))]
        synthetic = journal.append(event(2, 1, context=Context(synthetic=True), **started))
        newest = journal.append(event(3, 1))
        for one in (*stored, synthetic, newest):
            journal.mark(mark(one, State.DELIVERED, "delivered", "a"))
        await journal.flush()
        assert await compacted(journal) == [*(one.id for one in stored), newest.id]
        assert [session for session, _ in await journal.unfinished(0, 10)] == [1, 3]
        saved, last = (
            journal.append(event(1, 4, event="recording", state="recording_saved")),
            journal.append(event(3, 2)),
        )
        for one in (saved, last):
            journal.mark(mark(one, State.DELIVERED, "delivered", "a"))
        await journal.flush()
        await compacted(journal)
        assert await compacted(journal) == [newest.id, last.id]


async def test_a_session_of_which_something_is_left_never_seems_alive(path: Path | None) -> None:
    """The end of a session is deleted last: else the rest would look like a session that wants an end."""
    async with journal_at(path, "a", events=1) as journal:
        stored = [journal.append(event(1, 1)), journal.append(event(1, 2)), journal.append(end(1, 3))]
        socket = journal.append(event(1, 3, uuid="i", event="websocket", state="websocket_disconnected", internal=True))
        for one in (*stored, socket):
            journal.mark(mark(one, State.DELIVERED, "delivered", "a"))
        newest = [journal.append(event(2, 1)), journal.append(end(2, 2))]
        for one in (stored[1], socket):
            await journal.reset("a", one.event.uuid)
        assert await compacted(journal) == [2, 3, socket.id, *(one.id for one in newest)]
        assert await journal.unfinished(0, 10) == []
        for one in (stored[1], *newest):
            journal.mark(mark(one, State.DELIVERED, "delivered", "a"))
        await journal.flush()
        assert await compacted(journal) == [socket.id, newest[1].id]
        journal.mark(mark(socket, State.DELIVERED, "delivered", "a"))
        await journal.flush()
        assert await compacted(journal) == [newest[1].id]


async def test_the_bytes_limit_goes_first(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The file stays within its bytes even if that costs what was still needed, which is counted and said loudly."""
    limit = 2_000_000
    async with journal_at(tmp_path / "hooks.db", "dead sink", bytes=limit) as journal:
        for round_number in range(20):
            for session in range(200):
                journal.append(event(round_number * 1000 + session, 1, body=os.urandom(2_000)))
            await journal.flush()
        await eventually(lambda: journal.status().forced > STEP and journal.status().bytes <= limit, timeout=15)
        assert "the hook journal is too big: deleted" in caplog.text
        left = await journal.find(JournalQuery(limit=100_000))
        assert left[-1].id == 4000
        assert 100 < len(left) < 1000
        await eventually(lambda: (tmp_path / "hooks.db").stat().st_size < 2 * limit, timeout=15)


async def test_a_reader_sees_a_running_instance_and_a_stopped_one(tmp_path: Path) -> None:
    """A command reads what is in the file while it is written, after a stop, and never changes it."""
    path = tmp_path / "hooks.db"
    with pytest.raises(JournalError, match=r"there is no journal at .*--data-dir"):
        JournalReader.open(path)
    async with journal_at(path, SINK) as journal:
        stored = journal.append(event())
        await journal.flush()
        reader = JournalReader.open(path)
        assert reader.find(JournalQuery()) == [stored]
        second = journal.append(event(1, 2))
        await journal.flush()
        assert reader.find(JournalQuery()) == [stored, second]
        reader.close()
    before = path.read_bytes()
    reader = JournalReader.open(path)
    assert reader.find(JournalQuery(newest_first=True)) == [second, stored]
    found = reader.get(stored.event.uuid)
    assert found is not None
    assert (found[0], found[1][0].state) == (stored, "pending")
    reader.close()
    assert path.read_bytes() == before


async def test_ids_never_come_again(tmp_path: Path) -> None:
    """However much was deleted, a new event has a higher id than any before."""
    path = tmp_path / "hooks.db"
    async with journal_at(path, "a", events=1) as journal:
        for number in range(10):
            for one in (journal.append(event(number, 1)), journal.append(end(number, 2))):
                journal.mark(mark(one, State.DELIVERED, "x", "a"))
        await journal.flush()
        assert await compacted(journal) == [20]
    async with journal_at(path, "b") as journal:
        assert journal.append(event(50, 1)).id == 21


async def test_a_stopped_journal_takes_nothing_and_does_not_raise(path: Path | None) -> None:
    """What is published after the end is not written, and asking then is an error in words."""
    async with journal_at(path) as journal:
        pass
    journal.append(event())
    journal.mark(Mark(1, SINK, State.DEAD))
    with pytest.raises(JournalError, match="the journal is closed"):
        await journal.find(JournalQuery())
    await asyncio.gather(journal.stop(), journal.stop())


OLD_INDEX = (
    "DROP INDEX events_end; CREATE INDEX events_end ON events(session) "
    "WHERE event = 'session' AND state IN ('disconnected', 'connect_error');"
)
OLDER = {
    1: f"{OLD_INDEX} ALTER TABLE events DROP COLUMN app; ALTER TABLE events DROP COLUMN role; PRAGMA user_version = 1",
    2: f"{OLD_INDEX} PRAGMA user_version = 2",
}


@pytest.mark.parametrize("version", OLDER)
async def test_a_journal_of_an_older_version_is_upgraded(tmp_path: Path, version: int) -> None:
    """It is taken over: its events have the app and role of their JSON, and what has ended is found by the index."""
    path = tmp_path / "hooks.db"
    async with journal_at(path) as journal:
        known = journal.append(event(1, 1))
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.executescript(OLDER[version])
    with pytest.raises(JournalError, match=rf"^the journal {re.escape(str(path))} was written by an older version"):
        JournalReader.open(path)
    async with journal_at(path) as journal:
        assert await journal.find(JournalQuery()) == [known]
    assert (known.event.app, known.event.role) == ("live", "publisher")
    with contextlib.closing(sqlite3.connect(path)) as file:
        plan = file.execute(f"EXPLAIN QUERY PLAN SELECT 1 FROM events e WHERE {ENDED}").fetchall()
    assert any("events_end" in step[-1] for step in plan), plan


@pytest.mark.parametrize("change", ["body = 'text'", "session = 'x'", "context = x'ff'", "uuid = x'00'", "seq = x'00'"])
async def test_a_row_that_cannot_be_read_is_told_with_its_file(tmp_path: Path, change: str) -> None:
    """Whatever a damaged row holds, who asks for it is told which file it is in, in one line (A12)."""
    path = tmp_path / "hooks.db"
    async with journal_at(path) as journal:
        journal.append(event(1, 1))
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.executescript(f"PRAGMA writable_schema = 1; UPDATE events SET {change}")
    expected = rf"^the journal {re.escape(str(path))} is damaged \(event 1 cannot be read\): move it away [^\n]*$"
    async with journal_at(path) as journal:
        with pytest.raises(JournalError, match=expected):
            await journal.find(JournalQuery())
    with contextlib.closing(JournalReader.open(path)) as reader, pytest.raises(JournalError, match=expected):
        reader.find(JournalQuery())


async def test_what_comes_after_much_is_handed_on(path: Path | None) -> None:
    """What is given at once after much, or while much is written, is handed on, in its order."""
    handed: list[Stored] = []
    async with journal_at(path) as journal:
        journal.on_committed(handed.extend)
        for count in (100, 1, 100, 100, 1):
            before = len(handed)
            for number in range(count):
                journal.append(event(session=before + number + 1, uuid=f"{before + number}"))
            await eventually(lambda wanted=before + count: len(handed) == wanted)
    assert [stored.id for stored in handed] == sorted({stored.id for stored in handed})


def test_what_comes_at_any_moment_of_a_turn_is_written_once() -> None:
    """The event loop may add events and marks between any two instructions of the writer: all are written, in order."""
    store = Store(connect(None), Retention())
    store.begin_sinks([SINK], 0)
    handed: list[Stored] = []
    numbers = itertools.count(1)
    writer = Writer(store, hand_on=handed.extend, explain=str, clock=CLOCK)

    def add() -> None:
        number = next(numbers)
        stored = Stored(number, event(session=number, uuid=f"{number}"))
        writer.add(stored)
        writer.mark(mark(stored, State.DELIVERED))

    def at_each_instruction(frame: FrameType, what: str, argument: object) -> Any:
        frame.f_trace_opcodes = frame.f_code.co_filename == writer_module.__file__
        if what == "opcode":
            add()
        return at_each_instruction

    add()
    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # or Python 3.12 heeds none that is set later
    sys.settrace(at_each_instruction)
    try:
        writer.take_turn()
    finally:
        sys.settrace(before)
    added = next(numbers) - 1
    assert added > 100
    writer.take_turn()
    (delivered,) = store.connection.execute("SELECT count(*) FROM deliveries WHERE state = 1").fetchone()
    assert (writer.healthy, writer.lost, writer.committed, delivered) == (True, 0, added, added)
    assert [stored.id for stored in handed] == list(range(1, added + 1))
    store.close()
