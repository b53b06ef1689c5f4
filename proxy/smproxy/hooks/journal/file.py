"""The journal's file: its lock, its schema, and errors when it cannot be used."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from smproxy.hooks.journal.types import JournalError, merge_attempts
from smproxy.private_files import open_private
from smproxy.signaling.payloads import LAST_STATES

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

#: "smpj": tells our files from other SQLite databases.
APPLICATION_ID = 0x736D706A

#: The version of the tables; a file with a higher one is of a newer program.
SCHEMA = 3

#: How long a commit waits for somebody else who has locked the file, in seconds.
BUSY_TIMEOUT = 1.0

#: Bytes of a file that is checked as a whole at the start, which takes up to a fifth of a second. In a larger one, for which
#: somebody has asked with ``--hook-keep``, damage is found when it is read.
CHECKED = 128 * 1024 * 1024

_ENDS = f"state IN {LAST_STATES}"

_TABLES = f"""
CREATE TABLE events(
    id INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, session INTEGER NOT NULL, seq INTEGER NOT NULL, event TEXT NOT NULL,
    state TEXT NOT NULL, scope TEXT, connection TEXT, ts INTEGER NOT NULL, flags INTEGER NOT NULL, context BLOB,
    body BLOB NOT NULL, app TEXT, role TEXT NOT NULL DEFAULT ''
);
CREATE INDEX events_session ON events(session);
CREATE INDEX events_end ON events(session) WHERE {_ENDS};
CREATE TABLE sinks(
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER, floor INTEGER NOT NULL
);
CREATE TABLE deliveries(
    event INTEGER NOT NULL, sink INTEGER NOT NULL, state INTEGER NOT NULL, tries INTEGER NOT NULL, attempts TEXT NOT NULL,
    PRIMARY KEY(event, sink)
) WITHOUT ROWID;
CREATE INDEX deliveries_dead ON deliveries(event) WHERE state = 2;
"""

#: For queries, which lead with the rarest of their conditions (:mod:`smproxy.hooks.journal.read`). Made beside the tables, so
#: that journals of earlier versions get them, too, and can still be used by those.
_INDEXES = """
CREATE INDEX IF NOT EXISTS events_scope ON events(scope);
CREATE INDEX IF NOT EXISTS events_connection ON events(connection);
CREATE INDEX IF NOT EXISTS events_event ON events(event);
CREATE INDEX IF NOT EXISTS events_state ON events(state);
CREATE INDEX IF NOT EXISTS events_ts ON events(ts);
CREATE INDEX IF NOT EXISTS events_recording ON events(session) WHERE event = 'recording';
"""

#: From version 1, whose events have no ``app`` and ``role`` beside their body.
_COLUMNS_ADDED = """
ALTER TABLE events ADD COLUMN app TEXT;
ALTER TABLE events ADD COLUMN role TEXT NOT NULL DEFAULT '';
UPDATE events SET app = json_extract(CAST(body AS TEXT), '$.connection.app'),
    role = coalesce(json_extract(CAST(body AS TEXT), '$.connection.role'), '') WHERE json_valid(CAST(body AS TEXT));
"""
#: From version 2, which knows no ends of rooms.
_UPGRADE = f"""
DROP INDEX IF EXISTS events_end;
CREATE INDEX events_end ON events(session) WHERE {_ENDS};
PRAGMA user_version = {SCHEMA};
COMMIT
"""


class FileLock:
    """An exclusive lock on ``<path>.lock``; it ends with the process however that ends."""

    def __init__(self, path: Path) -> None:
        self._descriptor: int | None = None
        if fcntl is None:
            return
        descriptor = open_private(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise JournalError(
                f"the journal {path.with_suffix('')} is in use by another instance"
                f"{f' (process {holder})' if holder else ''}: stop that one or give another --data-dir"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others have the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def connect(path: Path | None, kind: type[sqlite3.Connection] = sqlite3.Connection) -> sqlite3.Connection:
    """Open the journal for writing, by a connection of this kind, or make it.

    ``None``: in memory.

    Raises ``JournalError``.
    """
    if path is None:
        return _prepared(
            sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, factory=kind), ":memory:"
        )
    # Hooks tell of people: the file is for its owner only, and SQLite gives its side files the same rights.
    for each in (path, *(side for end in ("-wal", "-shm") if os.path.lexists(side := Path(f"{path}{end}")))):
        try:
            os.close(open_private(each))
        except (PermissionError, IsADirectoryError, FileNotFoundError):
            break  # SQLite says what is wrong
        except OSError as error:
            raise JournalError(
                f"the journal's file {each} cannot be opened ({error.strerror or error}): give a writable --data-dir"
            ) from None
    with _in_words(path):
        connection = sqlite3.connect(
            path,
            timeout=BUSY_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=64,
            factory=kind,
        )
        try:
            return _prepared(connection, str(path))
        except BaseException:
            connection.close()
            raise


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open the journal for reading only, whether or not an instance writes to it.

    Raises ``JournalError``.
    """
    if not path.is_file():
        raise JournalError(f"there is no journal at {path}: nothing was recorded there, or --data-dir is another one")
    with _in_words(path):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0, isolation_level=None, check_same_thread=False
        )
        try:
            version = _number(connection, "PRAGMA user_version")
            _check(connection, str(path), version)
            if version < SCHEMA:
                raise JournalError(
                    f"the journal {path} was written by an older version: start smproxy serve once with its --data-dir"
                )
        except BaseException:
            connection.close()
            raise
        return connection


def _prepared(connection: sqlite3.Connection, name: str) -> sqlite3.Connection:
    version = _number(connection, "PRAGMA user_version")
    if version == 0 and _number(connection, "SELECT count(*) FROM sqlite_schema") == 0:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        # In one transaction: whoever is killed here leaves an empty file, or a whole one.
        connection.executescript(
            f"BEGIN; {_TABLES} {_INDEXES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA}; COMMIT"
        )
    else:
        _check(connection, name, version)
        connection.execute("PRAGMA journal_mode = WAL")
        _check_pages(connection)
        if version < SCHEMA:
            connection.executescript(f"BEGIN; {_COLUMNS_ADDED if version < 2 else ''} {_UPGRADE}")
        connection.executescript(f"BEGIN; {_INDEXES} COMMIT")
    # NORMAL: every commit survives the death of the process; the last few may be lost when the whole machine loses power.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA journal_size_limit = 16777216")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.create_function("merge_attempts", 2, merge_attempts, deterministic=True)
    return connection


def _check(connection: sqlite3.Connection, name: str, version: int) -> None:
    if _number(connection, "PRAGMA application_id") != APPLICATION_ID:
        raise JournalError(f"{name} is not a hook journal: give another --data-dir")
    if version > SCHEMA:
        raise JournalError(
            f"the journal {name} was written by a newer version: use that one, or give another --data-dir"
        )


def _check_pages(connection: sqlite3.Connection) -> None:
    """Check a file that is not too large.

    Raises ``sqlite3.DatabaseError``.
    """
    if _number(connection, "PRAGMA page_count") * _number(connection, "PRAGMA page_size") > CHECKED:
        return
    if (verdict := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise sqlite3.DatabaseError(str(verdict).splitlines()[-1])


def _number(connection: sqlite3.Connection, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0])


@contextlib.contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Turn SQLite's error about a file into what its owner can do about it."""
    try:
        yield
    except sqlite3.Error as error:
        raise JournalError(explain(path, error)) from None


def explain(path: Path, error: sqlite3.Error) -> str:
    """Return one line: what is wrong with the journal and what to do."""
    what = str(error)
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or (
        primary is None and isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
    ):
        return (
            f"the journal {path} is damaged ({what}): move it away with mv {path}* ELSEWHERE, a new one is begun then"
        )
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"the journal {path} is locked by another program: close that one"
    if primary == sqlite3.SQLITE_FULL:
        return f"no room for the journal {path}: free some disk space"
    if primary in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return f"the journal {path} cannot be written ({what}): give a writable --data-dir"
    return f"the journal {path} cannot be used: {what}"
