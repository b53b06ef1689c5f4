"""Audio and video on one time axis."""

from __future__ import annotations

import pytest
from smproxy.origin.recording.av_sync import AvSync
from smproxy.origin.rtcp_receiver import SenderReport
from smproxy.signaling.payloads import Kind


def report(seconds: float, timestamp: int) -> SenderReport:
    """A sender report; ``seconds`` since 1900."""
    return SenderReport(1, round(seconds * 2**32), timestamp & 0xFFFFFFFF)


def test_before_a_report_arrival_counts() -> None:
    """Each track's first frame stands where it arrived, the others by their timestamps."""
    line = AvSync()
    assert line.place(Kind.AUDIO, 48000, 5000, 100.0) == 0
    assert line.place(Kind.VIDEO, 90000, 0xFFFFFFF0, 100.25) == pytest.approx(0.25)
    assert line.place(Kind.VIDEO, 90000, 0xFFFFFFF0 + 9000 - 2**32, 100.9) == pytest.approx(0.35)


def test_reports_put_the_video_in_step() -> None:
    """A picture that was taken with a sound stands beside it, though it arrived 80 ms later."""
    line = AvSync()
    line.place(Kind.AUDIO, 48000, 0, 10.0)
    line.place(Kind.VIDEO, 90000, 0, 10.08)
    line.report(Kind.AUDIO, report(4e9, 48000))
    line.report(Kind.VIDEO, report(4e9 + 0.5, 135000))
    assert line.place(Kind.AUDIO, 48000, 96000, 12.0) == pytest.approx(2.0)
    assert line.place(Kind.VIDEO, 90000, 180000, 12.08) == pytest.approx(2.0, abs=1e-4)


def test_a_report_of_a_wrong_clock_is_passed_over() -> None:
    """A correction of more than 5 s is a mistake of the sender."""
    line = AvSync()
    line.place(Kind.AUDIO, 48000, 0, 10.0)
    line.place(Kind.VIDEO, 90000, 0, 10.0)
    line.report(Kind.AUDIO, report(4e9, 0))
    line.report(Kind.VIDEO, report(0, 0))
    assert line.place(Kind.VIDEO, 90000, 90000, 11.0) == pytest.approx(1.0)


def test_a_jump_of_the_timestamps_begins_anew() -> None:
    """A source whose timestamps jump goes on where its packets arrive."""
    line = AvSync()
    line.place(Kind.VIDEO, 90000, 0, 10.0)
    assert line.place(Kind.VIDEO, 90000, 0x70000000, 11.0) == pytest.approx(1.0)
    assert line.place(Kind.VIDEO, 90000, 0x70000000 + 9000, 11.1) == pytest.approx(1.1)
