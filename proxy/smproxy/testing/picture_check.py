"""Whether the picture arrives, how late, and whether it stands still. Does no I/O."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from smproxy.testing.frame_marker import frame_code

#: How many of the latest delays and freezes are kept.
KEPT = 10_000
#: Seconds without a new picture from which on it counts as a freeze.
FREEZE = 0.25
#: Of 255; darker pictures are black.
_BLACK = 24
#: Samples (of 32767) below which there is silence, and above which a beep begins.
_SILENT, _LOUD = 500, 4_000
#: Seconds of silence that a beep comes after.
_SILENCE = 0.3
#: Pictures that a beep is compared with.
_BESIDE = 15


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of times, in seconds."""

    count: int
    p50: float
    p95: float
    p99: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """Return the percentiles (nearest rank), ``None`` of nothing."""
        ordered = sorted(values)
        if not ordered:
            return None

        def rank(part: float) -> float:
            return ordered[max(0, math.ceil(part * len(ordered)) - 1)]

        return cls(len(ordered), rank(0.5), rank(0.95), rank(0.99), ordered[-1])

    def __str__(self) -> str:
        return f"p50 {self.p50 * 1000:.0f} ms, p95 {self.p95 * 1000:.0f} ms, most {self.most * 1000:.0f} ms"


@dataclass(frozen=True, slots=True)
class PictureReport:
    """What was seen and heard so far.

    ``pictures``: different ones. ``latency``: from painting to decoding, with a publisher of the pattern ``clock`` whose
    clock is this one. ``sound_latency``: the same of its beeps. ``offset``: by how much the sound is later than the picture
    (negative: earlier), each beep beside the pictures just before it, the median. ``freezes``: each time without a new picture
    for ``FREEZE`` or longer, with the one that lasts at the end. ``black``: how many pictures were black. Times are in seconds.
    """

    pictures: int
    black: int
    latency: Spread | None
    sound_latency: Spread | None
    offset: float | None
    freezes: tuple[float, ...]


class PictureCheck:
    """Takes what was decoded, with the time at which it was."""

    def __init__(self) -> None:
        #: Different pictures so far.
        self.pictures = 0
        self.black = 0
        #: How many of them had a time.
        self.timed = 0
        #: The latest delays.
        self.latencies: deque[float] = deque(maxlen=KEPT)
        self.sound_latencies: deque[float] = deque(maxlen=KEPT)
        self._recent: deque[float] = deque(maxlen=_BESIDE)
        self._offsets: deque[float] = deque(maxlen=KEPT)
        self._freezes: deque[float] = deque(maxlen=KEPT)
        self._code: object = None
        self._changed: float | None = None
        self._quiet_since: float | None = None

    def picture(self, frame: Any, monotonic: float, wall: float) -> None:
        """Take an ``av.VideoFrame``; ``wall`` is Unix time."""
        code = frame_code(frame)
        if code is None:
            self.black += _is_black(frame)
        elif code == self._code:
            return
        elif code.is_time:
            self.timed += 1
            latency = ((int(wall * 1000) - code.number + 0x10000) & 0xFFFFFF) / 1000 - 65.536
            self.latencies.append(latency)
            self._recent.append(latency)
        self._code = code
        if self._changed is not None and monotonic - self._changed >= FREEZE:
            self._freezes.append(monotonic - self._changed)
        self._changed = monotonic
        self.pictures += 1

    def sound(self, frame: Any, wall: float) -> None:
        """Take an ``av.AudioFrame`` of 16-bit samples, interleaved."""
        samples = memoryview(frame.planes[0]).cast("B")[: frame.samples * 2 * len(frame.layout.channels)].cast("h")
        loudest = max(samples, default=0)
        if loudest < _SILENT:
            if self._quiet_since is None:
                self._quiet_since = wall
        elif loudest > _LOUD:
            quiet, self._quiet_since = self._quiet_since, None
            if quiet is not None and wall - quiet >= _SILENCE:
                first = next(index for index, sample in enumerate(samples) if abs(sample) > _SILENT)
                # The end of the frame has just been decoded; its samples before the beep were heard earlier.
                begin = wall - (1 - first / len(samples)) * frame.samples / frame.sample_rate
                latency = (begin + 0.2) % 1 - 0.2
                self.sound_latencies.append(latency)
                if self._recent:
                    # Beeps come once a second: which one it is, the pictures tell.
                    self._offsets.append((latency - median(self._recent) + 0.5) % 1 - 0.5)

    def report(self, monotonic: float) -> PictureReport:
        """Return what was seen so far."""
        freezes = tuple(self._freezes)
        if self._changed is not None and monotonic - self._changed >= FREEZE:
            freezes += (monotonic - self._changed,)
        return PictureReport(
            self.pictures,
            self.black,
            Spread.of(self.latencies),
            Spread.of(self.sound_latencies),
            median(self._offsets) if self._offsets else None,
            freezes,
        )


def _is_black(frame: Any) -> bool:
    """Look at a few points of the picture."""
    if frame.format.name not in ("yuv420p", "yuvj420p", "nv12", "gray"):
        frame = frame.reformat(format="gray")
    plane = frame.planes[0]
    luma, stride = memoryview(plane), plane.line_size
    points = [luma[frame.height * y // 8 * stride + frame.width * x // 8] for y in range(1, 8) for x in range(1, 8)]
    return bool(sum(points) < _BLACK * len(points))
