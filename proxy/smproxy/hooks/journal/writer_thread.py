"""The thread that writes the journal, so that the event loop never waits for a disk."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from smproxy.hooks.journal.writer import Writer


class WriterRun(Protocol):
    """What takes a writer's turns. Tests have one that needs no thread."""

    def start(self) -> None:
        """Begin."""
        ...

    def join(self) -> None:
        """Block until the writer, which was told to stop, has taken its last turn."""
        ...


class WriterThread(threading.Thread):
    """Takes the turns of a writer until it is stopped."""

    def __init__(self, writer: Writer) -> None:
        super().__init__(name="hook-journal", daemon=True)
        self._writer = writer
        self._work = threading.Event()
        writer.on_work = self._wake

    def _wake(self) -> None:
        if not self._work.is_set():  # far cheaper than to set it again
            self._work.set()

    def run(self) -> None:
        """Take turns."""
        more = True
        while more:
            self._work.wait(self._writer.patience)
            if linger := self._writer.linger:
                time.sleep(linger)
            self._work.clear()
            more = self._writer.take_turn()
