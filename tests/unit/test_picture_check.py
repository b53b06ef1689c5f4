"""What is said of pictures and sounds that came, on given clocks."""

from __future__ import annotations

from array import array
from typing import Any

import av
import pytest
from smproxy.testing.frame_marker import FrameCode, paint_luma
from smproxy.testing.picture_check import FREEZE, PictureCheck, Spread

from tests.unit.test_frame_marker import grey

#: Unix time of the first picture: just before its milliseconds modulo 2^24 begin again.
WALL = (2**24 * 100 - 300) / 1000


def painted(code: FrameCode | None) -> Any:
    """Make a picture with a code, or a black one."""
    luma = bytes([16]) * 64 * 48 if code is None else paint_luma(code, 64, 48)
    return grey(luma, 64, 48)


def timed(wall: float) -> Any:
    """Make a picture that was painted at a time."""
    return painted(FrameCode(1, round(wall * 1000) & 0xFFFFFF, is_time=True))


def sound(loud: bool, offset: int = 0) -> Any:
    """Make 20 ms of silence, or of a beep that begins ``offset`` samples in."""
    frame: Any = av.AudioFrame("s16", "stereo", 960)
    frame.sample_rate = 48_000
    mono = [0] * offset + [10_000, -10_000] * 480
    frame.planes[0].update(array("h", (mono[index // 2] if loud else 0 for index in range(1920))).tobytes())
    return frame


def test_latency_over_the_turn_of_the_counter() -> None:
    """The delay of each picture is what was between painting and decoding, also when the milliseconds begin again."""
    check = PictureCheck()
    for number in range(20):
        at = WALL + number / 25
        check.picture(timed(at), number / 25, at + 0.1 + number / 1000)
    report = check.report(0.8)
    assert report.latency is not None
    assert report.latency.count == report.pictures == 20
    assert report.latency.p50 == pytest.approx(0.109, abs=0.0011)
    assert report.latency.p95 == pytest.approx(0.118, abs=0.0011)
    assert report.latency.most == pytest.approx(0.119, abs=0.0011)


def test_a_clock_that_is_behind_makes_a_small_negative_latency() -> None:
    """A few milliseconds of difference between two clocks are no four hours of latency."""
    check = PictureCheck()
    check.picture(timed(WALL), 0, WALL - 0.005)
    report = check.report(0)
    assert report.latency is not None
    assert report.latency.p50 == pytest.approx(-0.005, abs=0.0011)


def test_freezes() -> None:
    """Times without a new picture are freezes, the last one too; the same picture again is no new one."""
    check = PictureCheck()
    for number, at in enumerate((0.0, 0.1, 0.9, 1.0)):
        check.picture(painted(FrameCode(1, number)), at, WALL)
    for at in (1.1, 1.2, 1.3):
        check.picture(painted(FrameCode(1, 3)), at, WALL)
    assert check.report(1.2).freezes == (pytest.approx(0.8),)
    assert check.report(1.0 + FREEZE).freezes == (pytest.approx(0.8), pytest.approx(FREEZE))
    assert check.report(1.2).latency is None


def test_black() -> None:
    """Black pictures are counted, and count as pictures."""
    check = PictureCheck()
    for number in range(3):
        check.picture(painted(None), number / 10, WALL)
    check.picture(painted(FrameCode(1, 1)), 0.3, WALL)
    assert (check.report(0.3).black, check.report(0.3).pictures) == (3, 4)


def test_sound_and_its_offset() -> None:
    """A beep's latency is counted from its full second, to the sample; the offset is that of sound against picture."""
    check = PictureCheck()
    base = float(int(WALL))
    hear_beep(check, base, at=1.110)
    report = check.report(0)
    assert report.sound_latency is not None
    assert report.sound_latency.count == 1
    assert report.sound_latency.p50 == pytest.approx(0.110, abs=1e-4)
    assert report.offset is None
    check.picture(timed(base + 2), 0, base + 2.070)
    hear_beep(check, base + 1, at=1.110)
    offset = check.report(0).offset
    assert offset is not None
    assert offset == pytest.approx(0.040, abs=0.0011)


def test_an_offset_while_the_latency_changes() -> None:
    """Each beep is compared with the pictures beside it: a delay that comes, and takes both, is no offset."""
    check = PictureCheck()
    base = float(int(WALL))
    for second, late in enumerate((0.1, 0.4, 0.95, 0.1)):
        for number in range(20):
            at = base + second + 0.5 + number / 40
            check.picture(timed(at), at, at + late)
        hear_beep(check, base + second, at=1 + late + 0.03)
    offset = check.report(0).offset
    assert offset is not None
    assert offset == pytest.approx(0.030, abs=0.0021)


def hear_beep(check: PictureCheck, base: float, at: float) -> None:
    """Give 0.5 s of silence, then a beep that begins ``at`` seconds after ``base``."""
    for number in range(25):
        check.sound(sound(loud=False), base + at - 0.5 + number * 0.02)
    check.sound(sound(loud=True, offset=480), base + at + 0.01)


def test_percentiles() -> None:
    """Percentiles are those of the nearest rank."""
    assert Spread.of([]) is None
    assert Spread.of([3]) == Spread(1, 3, 3, 3, 3)
    assert Spread.of(range(1, 101)) == Spread(100, 50, 95, 99, 100)
