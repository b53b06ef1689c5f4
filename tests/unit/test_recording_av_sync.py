"""Audio and video on one time axis."""

from __future__ import annotations

import pytest
from smproxy.origin.codecs.frame import MediaFrame
from smproxy.origin.recording.av_sync import AvSync, PlacedFrame
from smproxy.origin.rtcp_receiver import SenderReport
from smproxy.signaling.payloads import Kind


def put(line: AvSync, kind: Kind, rate: int, timestamp: int, arrival: float) -> float:
    """Place a frame, and return where it was put."""
    (placed,) = line.place(kind, rate, MediaFrame(timestamp & 0xFFFFFFFF, arrival, b"x", key=True))
    return placed.at


def report(seconds: float, timestamp: int) -> SenderReport:
    """A sender report; ``seconds`` since 1900."""
    return SenderReport(1, round(seconds * 2**32), timestamp & 0xFFFFFFFF)


def test_before_a_report_arrival_counts() -> None:
    """Each track's first frame stands where it arrived, the others by their timestamps."""
    line = AvSync()
    assert put(line, Kind.AUDIO, 48000, 5000, 100.0) == 0
    assert put(line, Kind.VIDEO, 90000, 0xFFFFFFF0, 100.25) == pytest.approx(0.25)
    assert put(line, Kind.VIDEO, 90000, 0xFFFFFFF0 + 9000 - 2**32, 100.4) == pytest.approx(0.35)


def test_reports_put_the_video_in_step() -> None:
    """A picture that was taken with a sound stands beside it, though it arrived 80 ms later."""
    line = AvSync()
    put(line, Kind.AUDIO, 48000, 0, 10.0)
    put(line, Kind.VIDEO, 90000, 0, 10.08)
    line.report(Kind.AUDIO, report(4e9, 48000))
    line.report(Kind.VIDEO, report(4e9 + 0.5, 135000))
    assert put(line, Kind.AUDIO, 48000, 96000, 12.0) == pytest.approx(2.0)
    assert put(line, Kind.VIDEO, 90000, 180000, 12.08) == pytest.approx(2.0, abs=1e-4)


def test_a_report_of_a_wrong_clock_is_passed_over() -> None:
    """A correction of more than 5 s is a mistake of the sender."""
    line = AvSync()
    put(line, Kind.AUDIO, 48000, 0, 10.0)
    put(line, Kind.VIDEO, 90000, 0, 10.0)
    line.report(Kind.AUDIO, report(4e9, 0))
    line.report(Kind.VIDEO, report(0, 0))
    assert put(line, Kind.VIDEO, 90000, 90000, 11.0) == pytest.approx(1.0)


def test_a_jump_of_the_timestamps_begins_anew() -> None:
    """A source whose timestamps jump goes on where its packets arrive."""
    line = AvSync()
    put(line, Kind.VIDEO, 90000, 0, 10.0)
    assert put(line, Kind.VIDEO, 90000, 0x70000000, 11.0) == pytest.approx(1.0)
    assert put(line, Kind.VIDEO, 90000, 0x70000000 + 9000, 11.1) == pytest.approx(1.1)


class Microphone:
    """Sends 20 ms at a time. ``stall`` lets it stand still: its timestamps go on by the samples that it has."""

    def __init__(self, line: AvSync) -> None:
        self.now, self.timestamp = 10.0, 5000
        self.placed: list[tuple[float, float]] = []
        self._line = line

    def sound(self, seconds: float, *, arrives: float | None = None, pace: float = 1.0) -> None:
        """Send so much; each frame comes as it is recorded, or all from one moment on, ``pace`` times as fast."""
        for number in range(round(seconds * 50)):
            at = self.now if arrives is None else max(arrives + number * 0.02 / pace, self.now)
            frame = MediaFrame(self.timestamp & 0xFFFFFFFF, at, str(self.now - 10.0).encode(), key=True)
            self._keep(self._line.place(Kind.AUDIO, 48000, frame))
            self.timestamp += 960
            self.now += 0.02

    def _keep(self, placed: list[PlacedFrame]) -> None:
        self.placed += [(float(each.frame.data), each.at) for each in placed]

    def flush(self) -> None:
        self._keep(self._line.flush())

    @property
    def worst(self) -> float:
        """The largest distance of a frame from where it belongs, in seconds."""
        return max(abs(recorded - at) for recorded, at in self.placed)


@pytest.mark.parametrize("stall", [0.2, 3.0, 9.0])
def test_a_microphone_that_stalls_is_in_step_again(stall: float) -> None:
    """Sound that was recorded after a stall stands where it was recorded, from its first frame on."""
    microphone = Microphone(AvSync())
    microphone.sound(5)
    microphone.now += stall
    microphone.sound(5)
    microphone.now += stall
    microphone.sound(0.1)
    microphone.flush()
    assert len(microphone.placed) == 505
    assert microphone.worst < 0.001


@pytest.mark.parametrize("pace", [1.5, 4.0, 1000.0])
def test_sound_that_the_network_held_back_is_not_moved(pace: float) -> None:
    """What comes late, and then faster than it plays, belongs where its timestamps say."""
    microphone = Microphone(AvSync())
    microphone.sound(5)
    microphone.sound(3, arrives=microphone.now + 1.0, pace=pace)
    microphone.sound(5)
    microphone.flush()
    assert len(microphone.placed) == 650
    assert microphone.worst < 0.001


def test_a_clock_that_jumps_ahead_is_set_back() -> None:
    """Timestamps that skip two seconds that never were bring no two seconds of silence."""
    microphone = Microphone(AvSync())
    microphone.sound(5)
    microphone.timestamp += 96000
    microphone.sound(5)
    microphone.flush()
    assert microphone.worst < 0.001


def test_a_report_during_a_stall_moves_nothing() -> None:
    """While it is not certain what became of the sound, the picture stays where it is."""
    line = AvSync()
    microphone = Microphone(line)
    put(line, Kind.VIDEO, 90000, 0, 10.0)
    microphone.sound(5)
    line.report(Kind.AUDIO, report(4e9 + 5, 5000 + 5 * 48000))
    line.report(Kind.VIDEO, report(4e9 + 5, 5 * 90000))
    microphone.now += 3
    microphone.sound(0.04)
    line.report(Kind.AUDIO, report(4e9 + 8, microphone.timestamp))
    line.report(Kind.VIDEO, report(4e9 + 8, 8 * 90000))
    assert put(line, Kind.VIDEO, 90000, 8 * 90000, 18.0) == pytest.approx(8.0)


def test_a_single_frame_after_a_stall_is_not_held_for_ever() -> None:
    """When nothing follows the first sound after a stall, it is placed by its arrival a second later."""
    line = AvSync()
    put(line, Kind.AUDIO, 48000, 0, 10.0)
    put(line, Kind.AUDIO, 48000, 72000, 11.5)
    assert line.place(Kind.AUDIO, 48000, MediaFrame(72960, 14.5, b"x", key=True)) == []
    assert line.expire(15.0) == []
    assert [each.at for each in line.expire(15.6)] == [pytest.approx(4.5)]
