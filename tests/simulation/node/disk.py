"""A disk that fills up, fails, is slow and is torn when the process is killed, below the journal's real SQLite file."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from smproxy.hooks.journal.writer import Writer

_WRITES = ("INSERT", "UPDATE", "DELETE", "COMMIT", "BEGIN")


class ProcessKilled(BaseException):
    """The process is gone in the middle of a statement."""


class Disk:
    """The folder of the journal, and what is wrong with it now: ``ok``, ``full``, ``broken`` or ``slow``."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self._root = folder
        self._rng = rng
        self._lives = 0
        self.mode = "ok"
        #: Writing statements until the process is killed in the middle of one.
        self.kill_after: int | None = None
        self.killed: Callable[[], None] = lambda: None
        self._kept: Path | None = None
        self.folder = folder / "0"
        self.folder.mkdir()

    @property
    def path(self) -> Path:
        """Where the journal is."""
        return self.folder / "hooks.db"

    @property
    def connection(self) -> type[sqlite3.Connection]:
        """The kind of connection that passes through this disk."""
        return type("DiskConnection", (_DiskConnection,), {"disk": self})

    def write(self, sql: str, work: Callable[[], Any]) -> Any:
        """Carry out a statement, or fail as the disk does."""
        if not sql.lstrip().startswith(_WRITES):
            return work()
        if self._kept is not None:
            raise ProcessKilled
        if self.mode == "full":
            raise _error("database or disk is full", sqlite3.SQLITE_FULL)
        if self.mode == "broken" and self._rng.random() < 0.5:
            raise _error("disk I/O error", sqlite3.SQLITE_IOERR)
        if self.kill_after is None:
            return work()
        self.kill_after -= 1
        if self.kill_after > 0:
            return work()
        self.kill_after = None
        before, stamp = self._wal(), self.path.stat().st_mtime_ns
        if self._rng.random() < 0.8:
            work()
        after = self._wal()
        torn = (before, after) if after > before and self.path.stat().st_mtime_ns == stamp else None
        self.keep(torn)
        self.killed()
        raise ProcessKilled

    def _wal(self) -> int:
        wal = Path(f"{self.path}-wal")
        return wal.stat().st_size if wal.exists() else 0

    def keep(self, torn: tuple[int, int] | None = None) -> None:
        """Keep what a process leaves that is killed now: what was written, the last write perhaps in part only.

        ``torn``: lengths of the write-ahead log before and after that write, whose bytes reach the file in their order.
        """
        if self._kept is not None:
            return
        self._lives += 1
        self._kept = self._root / str(self._lives)
        self._kept.mkdir()
        for name in ("hooks.db", "hooks.db-wal"):
            if (self.folder / name).exists():
                shutil.copyfile(self.folder / name, self._kept / name)
        if torn is not None:
            with (self._kept / "hooks.db-wal").open("r+b") as wal:
                wal.truncate(self._rng.randint(*torn))

    def restart(self) -> None:
        """Go on with what a killed process has left."""
        self.folder, self._kept = self._kept or self.folder, None
        self.mode, self.kill_after = "ok" if self.mode == "slow" else self.mode, None

    def latency(self) -> float:
        """How long a write takes."""
        return self._rng.uniform(0.2, 3.0) if self.mode == "slow" else self._rng.choice((0.0, 0.0005, 0.01))


class _DiskConnection(sqlite3.Connection):
    disk: ClassVar[Disk]

    def execute(self, sql: str, *arguments: Any) -> Any:
        return self.disk.write(sql, lambda: super(_DiskConnection, self).execute(sql, *arguments))


def _error(text: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


class SimulatedWriterRun:
    """Takes the turns of the journal's writer as its thread does, on the simulated loop."""

    def __init__(self, writer: Writer, disk: Disk) -> None:
        self._writer = writer
        self._disk = disk
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._soon = self._joined = False
        writer.on_work = self._wake

    def start(self) -> None:
        """Begin."""
        self._wait()

    def _wait(self) -> None:
        self._soon = False
        self._timer = self._loop.call_later(self._writer.patience, self._turn)

    def _wake(self) -> None:
        if self._soon or self._joined:
            return
        self._soon = True
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._writer.linger + self._disk.latency(), self._turn)

    def _turn(self) -> None:
        self._soon = False
        try:
            more = self._writer.take_turn()
        except ProcessKilled:
            return
        if more and not self._soon:
            self._wait()
        self._joined = self._joined or not more

    def join(self) -> None:
        """Take the last turns."""
        if self._timer is not None:
            self._timer.cancel()
        while not self._joined:
            self._joined = not self._writer.take_turn()
