"""One time axis for the tracks of a recording. Sans-I/O.

A track's frames are placed by their timestamps, from where its first one arrived. Two things correct that:

* Sender reports put the video where it belongs beside the audio (RFC 3550, 6.4.1). Reports do not move the audio, since that
  could be heard.
* A track whose clock stood still or jumped, as of a microphone that stalls and goes on counting its samples, is set to its
  arrival again. Since packets that a network has held back are late, too, frames wait until it is certain which of both it is:
  what was held back comes faster than it plays, and is in time again soon.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from smproxy.origin.codecs.frame import MediaFrame
from smproxy.origin.rtcp_receiver import SenderReport
from smproxy.signaling.payloads import Kind

#: Seconds by which a timestamp may differ from the time of arrival; one that differs by more is believed at once.
MAX_DRIFT = 10.0
#: Seconds by which a report may move the video; a sender that claims more has its clocks wrong.
MAX_CORRECTION = 5.0
#: Seconds by which a track's clock may shift against its arrival.
MAX_SHIFT = 0.15
#: Seconds of arrival after which a larger shift counts as one of the clock, unless it shrinks by this part of them.
DECISION = 0.2
_DRAINS = 0.25
#: Bounds of what waits for a decision: seconds, and frames.
MAX_HELD = 5.0
_MAX_FRAMES = 1024
#: Seconds without another frame after which a decision is made with what there is.
_SILENCE = 1.0
#: Seconds from a track's beginning in which its first frames may turn out to have been late.
_BEGINNING = 1.0


class PlacedFrame(NamedTuple):
    """A frame and its time in seconds from the start.

    Not below 0, and not always above that of the one before.
    """

    kind: Kind
    frame: MediaFrame
    at: float


@dataclass(slots=True)
class TrackClock:
    """A track's timestamps.

    ``ticks`` is the last one without its wraps, ``offset`` seconds lead to the time axis.

    ``lag`` is by how much its frames usually arrive after their time, ``held`` are those of which it is not certain yet where
    they belong, with their ticks and shifts.
    """

    rate: int
    ticks: int
    offset: float
    began: float
    lag: float = 0.0
    held: list[tuple[MediaFrame, int, float]] = field(default_factory=list)
    #: Seconds since 1900 and the track's own time at that moment.
    report: tuple[float, float] | None = None

    def unwrap(self, timestamp: int) -> int:
        return self.ticks + ((timestamp - self.ticks + 0x80000000) & 0xFFFFFFFF) - 0x80000000

    def place(self, kind: Kind, frame: MediaFrame, ticks: int) -> PlacedFrame:
        return PlacedFrame(kind, frame, max(ticks / self.rate + self.offset, 0.0))

    def release(self, kind: Kind) -> list[PlacedFrame]:
        """Place what was held, by the clock as it is now."""
        placed = [self.place(kind, frame, ticks) for frame, ticks, _ in self.held]
        self.held = []
        return placed

    def set_anew(self, kind: Kind) -> list[PlacedFrame]:
        """Let the clock have shifted, and place what was held."""
        self.offset += median(shift for _, _, shift in self.held)
        self.report = None  # it told of the clock as it was
        return self.release(kind)

    @property
    def decided(self) -> bool:
        """Whether what is held shows that the clock has shifted."""
        (first, _, before), (last, _, now) = self.held[0], self.held[-1]
        waited = last.arrival - first.arrival
        if waited < DECISION and len(self.held) < _MAX_FRAMES:
            return False
        shrinks = abs(before) - abs(now) >= waited * _DRAINS
        return not shrinks or waited > MAX_HELD or len(self.held) >= _MAX_FRAMES


class AvSync:
    """Places frames on the time axis; 0 is the arrival of the first."""

    def __init__(self) -> None:
        self._zero: float | None = None
        self._clocks: dict[Kind, TrackClock] = {}

    def on_axis(self, now: float) -> float:
        """Return a time of arrival as seconds from the start; 0 before it."""
        return 0.0 if self._zero is None else max(now - self._zero, 0.0)

    def place(self, kind: Kind, rate: int, frame: MediaFrame) -> list[PlacedFrame]:
        """Take a frame; return those of its track whose time is certain."""
        if self._zero is None:
            self._zero = frame.arrival
        expected = frame.arrival - self._zero
        clock = self._clocks.get(kind)
        if clock is None:
            offset = expected - frame.timestamp / rate
            self._clocks[kind] = clock = TrackClock(rate, frame.timestamp, offset, expected)
        ticks = clock.unwrap(frame.timestamp)
        lag = expected - ticks / rate - clock.offset
        if abs(lag) > MAX_DRIFT:
            before = clock.release(kind)
            clock.ticks = ticks = frame.timestamp
            clock.offset, clock.lag, clock.report = expected - ticks / rate, 0.0, None
            return [*before, clock.place(kind, frame, ticks)]
        clock.ticks = ticks
        if expected - clock.began < _BEGINNING:
            clock.lag = min(clock.lag, lag)
        shift = lag - clock.lag
        if abs(shift) <= MAX_SHIFT:
            return [*clock.release(kind), clock.place(kind, frame, ticks)]
        clock.held.append((frame, ticks, shift))
        return clock.set_anew(kind) if clock.decided else []

    def expire(self, now: float) -> list[PlacedFrame]:
        """Return what is held for too long; ``now`` in seconds."""
        placed: list[PlacedFrame] = []
        for kind, clock in self._clocks.items():
            if clock.held and now - clock.held[-1][0].arrival > _SILENCE:
                placed += clock.set_anew(kind)
        return placed

    def flush(self) -> list[PlacedFrame]:
        """Return all that is held: nothing more will come."""
        return self.expire(float("inf"))

    def report(self, kind: Kind, report: SenderReport) -> None:
        """Take a sender report of a track."""
        clock = self._clocks.get(kind)
        if clock is None:
            return
        clock.report = report.ntp / 2**32, clock.unwrap(report.timestamp) / clock.rate
        audio, video = self._clocks.get(Kind.AUDIO), self._clocks.get(Kind.VIDEO)
        if audio is None or video is None or audio.report is None or video.report is None or audio.held or video.held:
            return
        (audio_at, audio_time), (video_at, video_time) = audio.report, video.report
        correction = audio_time + audio.offset + (video_at - audio_at) - video_time - video.offset
        if abs(correction) <= MAX_CORRECTION:
            video.offset += correction
            video.lag -= correction
