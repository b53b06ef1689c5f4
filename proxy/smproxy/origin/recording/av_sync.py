"""One time axis for the tracks of a recording. Sans-I/O.

Until both tracks have had a sender report their frames are placed by their arrival; from then on the video is placed where the
reports say that it belongs beside the audio (RFC 3550, 6.4.1). The audio is never moved, since that could be heard.
"""

from __future__ import annotations

from dataclasses import dataclass

from smproxy.origin.rtcp_receiver import SenderReport
from smproxy.signaling.payloads import Kind

#: Seconds by which a timestamp may differ from the time of arrival; one that differs by more begins anew there.
MAX_DRIFT = 10.0
#: Seconds by which a report may move the video; a sender that claims more has its clocks wrong.
MAX_CORRECTION = 5.0


@dataclass(slots=True)
class TrackClock:
    """A track's timestamps: ``ticks`` is the last one without its wraps, ``offset`` seconds lead to the time axis."""

    rate: int
    ticks: int
    offset: float
    #: Seconds since 1900 and the track's own time at that moment.
    report: tuple[float, float] | None = None

    def unwrap(self, timestamp: int) -> int:
        return self.ticks + ((timestamp - self.ticks + 0x80000000) & 0xFFFFFFFF) - 0x80000000


class AvSync:
    """Places frames; 0 is the arrival of the first."""

    def __init__(self) -> None:
        self._zero: float | None = None
        self._clocks: dict[Kind, TrackClock] = {}

    def place(self, kind: Kind, rate: int, timestamp: int, arrival: float) -> float:
        """Return the time of a frame in seconds from the start; not below 0, and not always above that of the one before."""
        if self._zero is None:
            self._zero = arrival
        expected = arrival - self._zero
        clock = self._clocks.get(kind)
        if clock is None:
            self._clocks[kind] = clock = TrackClock(rate, timestamp, expected - timestamp / rate)
        ticks = clock.unwrap(timestamp)
        if abs(ticks / rate + clock.offset - expected) > MAX_DRIFT:
            ticks, clock.report = timestamp, None
            clock.offset = expected - timestamp / rate
        clock.ticks = ticks
        return max(ticks / rate + clock.offset, 0.0)

    def report(self, kind: Kind, report: SenderReport) -> None:
        """Take a sender report of a track."""
        clock = self._clocks.get(kind)
        if clock is None:
            return
        clock.report = report.ntp / 2**32, clock.unwrap(report.timestamp) / clock.rate
        audio, video = self._clocks.get(Kind.AUDIO), self._clocks.get(Kind.VIDEO)
        if audio is None or video is None or audio.report is None or video.report is None:
            return
        (audio_at, audio_time), (video_at, video_time) = audio.report, video.report
        offset = audio_time + audio.offset + (video_at - audio_at) - video_time
        if abs(offset - video.offset) <= MAX_CORRECTION:
            video.offset = offset
