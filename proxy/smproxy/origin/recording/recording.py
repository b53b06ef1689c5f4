"""One take of one stream: from the packets that its tracks queue to the frames in its file. For the writer's thread."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from smproxy.origin.codecs import DEPACKETIZERS
from smproxy.origin.codecs.frame import Depacketizer, Frame
from smproxy.origin.recording.av_sync import AvSync
from smproxy.origin.recording.file import Placed, RecordingFile
from smproxy.origin.recording.jitter_buffer import JitterBuffer
from smproxy.origin.recording.store import NoRoom, Store
from smproxy.origin.rtcp_receiver import SenderReport
from smproxy.origin.rtp_packet import RtpPacket
from smproxy.signaling.payloads import Kind

_log = logging.getLogger(__name__)

#: Seconds between two requests for a key frame of one recording.
_ASK_SPACING = 0.5
#: Bytes that a write may add besides the frames, for the check of the limits.
_OVERHEAD = 64 * 1024


class QueuedPacket(NamedTuple):
    """A packet as it came, with its track's last sender report."""

    kind: Kind
    packet: RtpPacket
    report: SenderReport | None


class Outcome(NamedTuple):
    """What became of a recording. ``duration`` in ms and ``size`` in bytes are the file's; ``error`` ends a failed one."""

    duration: int
    size: int
    error: str | None


class TrackInput:
    """The way of one track's packets into the file."""

    def __init__(self, codec: str, rate: int) -> None:
        self.codec = codec
        self.rate = rate
        self.jitter_buffer = JitterBuffer()
        self.depacketizer: Depacketizer = DEPACKETIZERS[codec]()
        self.report: SenderReport | None = None
        self.last = -1
        self.spacing = 0


class Recording:
    """A recording. Other threads append to ``queue`` and set ``closing``; all else happens in :meth:`step`.

    ``codecs`` are the tracks' codecs and clock rates; a codec that is not recorded is left out.
    """

    def __init__(
        self,
        store: Store,
        file: str,
        codecs: Mapping[Kind, tuple[str, int]],
        queue: deque[QueuedPacket],
        *,
        append: bool,
        ask: Callable[[], None],
    ) -> None:
        self.queue = queue
        self.closing = False
        self.outcome: Outcome | None = None
        self._store = store
        self._path = store.root / file
        self._append = append
        self._ask = ask
        self._asked = float("-inf")
        self._timeline = AvSync()
        self._inputs = {
            kind: TrackInput(codec, rate) for kind, (codec, rate) in codecs.items() if codec in DEPACKETIZERS
        }
        self._file: RecordingFile | None = None

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._path

    def step(self, now: float) -> None:
        """Write what came; ``outcome`` is set when this was the last time. ``now`` in seconds. Does not raise."""
        closing = self.closing  # read first: what is queued after that is not of this recording any more
        try:
            self._write(self._frames(now, closing), now)
        except NoRoom as error:
            self._end(str(error))
        except OSError as error:
            self._end(error.strerror or str(error))
        except Exception as error:
            _log.exception("recording %s failed", self._path)
            self._end(f"{type(error).__name__}: {error}")
        else:
            if closing and self.outcome is None:
                self._end(None if self._file is not None else "no media came that could be recorded")

    def _frames(self, now: float, closing: bool) -> list[Placed]:
        placed: list[Placed] = []
        for _ in range(len(self.queue)):
            kind, packet, report = self.queue.popleft()
            entry = self._inputs.get(kind)
            if entry is None:
                continue
            self._take(kind, entry, entry.jitter_buffer.push(packet), placed)
            if report is not entry.report and report is not None:
                entry.report = report
                self._timeline.report(kind, report)
        for kind, entry in self._inputs.items():
            self._take(kind, entry, entry.jitter_buffer.flush() if closing else entry.jitter_buffer.expire(now), placed)
        placed.sort(key=lambda frame: frame.at)  # each track is in order already, and stays so
        return placed

    def _take(self, kind: Kind, entry: TrackInput, packets: list[RtpPacket], placed: list[Placed]) -> None:
        for packet in packets:
            for frame in entry.depacketizer.push(packet):
                placed.append(self._place(kind, entry, frame))

    def _place(self, kind: Kind, entry: TrackInput, frame: Frame) -> Placed:
        at = round(self._timeline.place(kind, entry.rate, frame.timestamp, frame.arrival) * 1000)
        at = max(at, entry.last + 1)
        if kind is Kind.VIDEO and 0 < at - entry.last < 1000:
            entry.spacing = at - entry.last
        entry.last = at
        if frame.key:
            self._describe(kind, entry, frame)
        return Placed(kind, at, frame.data, frame.key, round(frame.duration * 1000) or entry.spacing)

    def _describe(self, kind: Kind, entry: TrackInput, frame: Frame) -> None:
        if self._file is None:
            self._store.check(_OVERHEAD)
            codecs = {kind: entry.codec for kind, entry in self._inputs.items()}
            self._file = RecordingFile.open(self._path, append=self._append, codecs=codecs)
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
        self.outcome = Outcome(duration, size, error)
