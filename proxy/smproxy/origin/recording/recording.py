"""One recording: from the packets that its tracks queue to the frames in its file.

For the writer's thread.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from smproxy.origin.codecs import DEPACKETIZERS
from smproxy.origin.codecs.frame import Depacketizer, MediaFrame
from smproxy.origin.codecs.opus import SILENCE, SILENCE_LENGTH
from smproxy.origin.recording.av_sync import AvSync, PlacedFrame
from smproxy.origin.recording.disk_space import NoRoom, RecordingStore
from smproxy.origin.recording.file import Placed, RecordingFile
from smproxy.origin.recording.jitter_buffer import JitterBuffer
from smproxy.origin.rtcp_receiver import SenderReport
from smproxy.origin.rtp_packet import RtpPacket
from smproxy.signaling.payloads import Kind

_log = logging.getLogger(__name__)

#: Seconds between two requests for a key frame of one recording.
_ASK_SPACING = 0.5
#: Milliseconds by which sounds may overlap, for rounding.
_TOLERANCE = 5
_SILENCE_MS = round(SILENCE_LENGTH * 1000)
#: Milliseconds of silence after which the file is filled although no sound came; all that comes late has come by then.
_FILL_AFTER = 8000
#: Bytes that a write may add besides the frames, for the check of the limits.
_OVERHEAD = 64 * 1024


class QueuedPacket(NamedTuple):
    """A packet as it came, with its track's last sender report."""

    kind: Kind
    packet: RtpPacket
    report: SenderReport | None


class RecordingOutcome(NamedTuple):
    """What became of a recording. ``duration`` in ms and ``size`` in bytes are the file's.

    ``error`` ends a failed one.
    """

    duration: int
    size: int
    error: str | None


class TrackInput:
    """The way of one track's packets into the file. Times in ms from the start."""

    def __init__(self, kind: Kind, codec: str, rate: int) -> None:
        self.kind = kind
        self.codec = codec
        self.rate = rate
        self.jitter_buffer = JitterBuffer()
        self.depacketizer: Depacketizer = DEPACKETIZERS[codec]()
        self.report: SenderReport | None = None
        #: When the last sound ends; -1 before the first.
        self.end = -1
        self._last = -1
        self._spacing = 0

    def place(self, frame: MediaFrame, at: int) -> list[Placed]:
        """Return the frame with the silence before it; nothing when other sound has its place."""
        if self.kind is Kind.AUDIO:
            length = round(frame.duration * 1000)
            if at < self.end - _TOLERANCE:
                return []
            placed = self.silence(at)
            at = max(at, self._last + 1)
            self.end = at + length
        else:
            placed = []
            at = max(at, self._last + 1)
            if at - self._last < 1000:
                self._spacing = at - self._last if self._last >= 0 else 0
            length = self._spacing
        self._last = at
        return [*placed, Placed(self.kind, at, frame.data, frame.key, length)]

    def silence(self, until: int) -> list[Placed]:
        """Fill the time from the last sound on.

        Players that do not look at timestamps stay in step, too.
        """
        if self.end < 0:
            return []
        times = range(self.end, until - _SILENCE_MS + 1, _SILENCE_MS)
        if times:
            self._last = times[-1]
            self.end = times[-1] + _SILENCE_MS
        return [Placed(self.kind, at, SILENCE, True, _SILENCE_MS) for at in times]


class Recording:
    """A recording. Other threads append to ``queue`` and set ``closed_at``.

    All else happens in :meth:`step`.

    It lasts from its first frame until ``closed_at``, seconds on the clock of the arrivals.

    ``codecs`` are the tracks' codecs and clock rates; a codec that is not recorded is left out.
    """

    def __init__(
        self,
        store: RecordingStore,
        file: str,
        codecs: Mapping[Kind, tuple[str, int]],
        queue: deque[QueuedPacket],
        *,
        append: bool,
        ask: Callable[[], None],
    ) -> None:
        self.queue = queue
        self.closed_at: float | None = None
        self.outcome: RecordingOutcome | None = None
        self._store = store
        self._path = store.root / file
        self._append = append
        self._ask = ask
        self._asked = float("-inf")
        self._sync = AvSync()
        self._inputs = {
            kind: TrackInput(kind, codec, rate) for kind, (codec, rate) in codecs.items() if codec in DEPACKETIZERS
        }
        self._file: RecordingFile | None = None

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._path

    def step(self, now: float) -> None:
        """Write what came; ``outcome`` is set when this was the last time. ``now`` in seconds.

        Does not raise.
        """
        closed_at = self.closed_at  # read first: what is queued after that is not of this recording any more
        try:
            self._write(self._frames(now, closed_at), now)
            if closed_at is not None and self._file is not None:
                self._file.extend(round(self._sync.on_axis(closed_at) * 1000))
        except NoRoom as error:
            self._end(str(error))
        except OSError as error:
            self._end(error.strerror or str(error))
        except Exception as error:
            _log.exception("recording %s failed", self._path)
            self._end(f"{type(error).__name__}: {error}")
        else:
            if closed_at is not None and self.outcome is None:
                self._end(None if self._file is not None else "no media came that could be recorded")

    def _frames(self, now: float, closed_at: float | None) -> list[Placed]:
        placed: list[Placed] = []
        for _ in range(len(self.queue)):
            kind, packet, report = self.queue.popleft()
            entry = self._inputs.get(kind)
            if entry is None:
                continue
            self._depacketize(entry, entry.jitter_buffer.push(packet), placed)
            if report is not entry.report and report is not None:
                entry.report = report
                self._sync.report(kind, report)
        for entry in self._inputs.values():
            ready = entry.jitter_buffer.expire(now) if closed_at is None else entry.jitter_buffer.flush()
            self._depacketize(entry, ready, placed)
        self._place(self._sync.expire(now) if closed_at is None else self._sync.flush(), placed)
        audio = self._inputs.get(Kind.AUDIO)
        if audio is not None:
            end = self._sync.on_axis(now if closed_at is None else closed_at) * 1000
            placed += audio.silence(round(end - (_FILL_AFTER if closed_at is None else 0)))
        placed.sort(key=lambda frame: frame.at)  # each track is in order already, and stays so
        return placed

    def _depacketize(self, entry: TrackInput, packets: list[RtpPacket], placed: list[Placed]) -> None:
        for packet in packets:
            for frame in entry.depacketizer.push(packet):
                self._place(self._sync.place(entry.kind, entry.rate, frame), placed)

    def _place(self, frames: list[PlacedFrame], placed: list[Placed]) -> None:
        for kind, frame, at in frames:
            entry = self._inputs[kind]
            if frame.key:
                self._describe(kind, entry, frame)
            placed += entry.place(frame, round(at * 1000))

    def _describe(self, kind: Kind, entry: TrackInput, frame: MediaFrame) -> None:
        if self._file is None:
            self._store.check(_OVERHEAD)
            codecs = {kind: entry.codec for kind, entry in self._inputs.items()}
            self._file = RecordingFile.open(self._path, append=self._append, codecs=codecs)
            audio = self._inputs.get(Kind.AUDIO)
            if audio is not None and self._file.has_sound:
                audio.end = 0
        self._file.describe(kind, entry.codec, private=frame.config, width=frame.width, height=frame.height)

    def _write(self, placed: list[Placed], now: float) -> None:
        if (
            any(entry.depacketizer.needs_key_frame for entry in self._inputs.values())
            and now - self._asked >= _ASK_SPACING
        ):
            self._asked = now
            self._ask()
        if not placed or self._file is None:
            return
        self._store.check(sum(len(each.data) for each in placed) + _OVERHEAD)
        self._store.used(self._file.write(placed))

    def _end(self, error: str | None) -> None:
        duration, size = (0, 0) if self._file is None else (self._file.duration, self._file.size)
        if self._file is not None:
            try:
                self._file.close()
            except OSError as exc:
                error = error or exc.strerror or str(exc)
        self.outcome = RecordingOutcome(duration, size, error)
