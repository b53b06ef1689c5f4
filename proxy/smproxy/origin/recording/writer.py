"""The thread that writes all recordings of an origin."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from smproxy.origin.recording.recording import Recording, RecordingOutcome

_log = logging.getLogger(__name__)

#: Seconds between two writes: what may be lost when the process is killed. Fewer and larger turns disturb the event loop less.
TICK = 0.4


class RecordingWriter:
    """Gives each recording a turn, in the order of their start.

    So a file is closed before the next take of it is opened.

    The thread starts with the first recording and ends with :meth:`stop`.
    """

    def __init__(self, monotonic: Callable[[], float], tick: float = TICK) -> None:
        self._monotonic = monotonic
        self._tick = tick
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._recordings: list[tuple[Recording, Callable[[RecordingOutcome], None]]] = []
        self._thread: threading.Thread | None = None
        self._stopping = False

    def add(self, recording: Recording, ended: Callable[[RecordingOutcome], None]) -> None:
        """Write a recording until it is closing or fails.

        ``ended`` is then called, once, from the thread.
        """
        with self._lock:
            self._recordings.append((recording, ended))
            if self._thread is None:
                # A daemon, so that a disk which hangs does not keep the process alive.
                self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)
                self._thread.start()

    def hurry(self) -> None:
        """Have the next turn now."""
        self._wake.set()

    def stop(self, timeout: float) -> None:
        """End the thread after the turn that it has now, for which it is waited ``timeout`` seconds.

        What is not closed stays as it is.
        """
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(self._tick)
            self._wake.clear()
            self._turn()

    def _turn(self) -> None:
        """Give each recording its turn. What ended is held by nothing here when it returns."""
        with self._lock:
            turn = list(self._recordings)
        for recording, ended in turn:
            recording.step(self._monotonic())
            if recording.outcome is not None:
                with self._lock:
                    self._recordings.remove((recording, ended))
                ended(recording.outcome)
