"""Sound beside picture in a recording, whatever happens to them; looked at and listened to, see ``tests/av_check.py``."""

from __future__ import annotations

from pathlib import Path

import pytest
from smproxy.signaling.payloads import Kind
from smproxy.testing.media import Codec

from tests.av_check import IN_STEP, SIGNAL, Studio, look_and_listen


def seconds(first: int, last: int) -> list[int]:
    return list(range(first, last + 1))


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_nothing_happens(tmp_path: Path, codec: Codec) -> None:
    """A flash and its beep are at one time in the file, and the file is as long as the session."""
    path = tmp_path / ("s.mkv" if codec == "H264" else "s.webm")
    studio = Studio(path, codec)
    studio.run(4.5)
    studio.end()
    look_and_listen(path).check(4.5, flashes=seconds(1, 4), beeps=seconds(1, 4))


def test_a_microphone_that_stalls(tmp_path: Path) -> None:
    """After three seconds without sound, of which its timestamps know nothing, there is a gap, and then it is in step (M6)."""
    path = tmp_path / "s.webm"
    studio = Studio(path)
    studio.run(3.5)
    studio.microphone = False
    studio.run(3)
    studio.microphone = True
    studio.run(4)
    studio.end()
    look_and_listen(path).check(10.5, flashes=seconds(1, 10), beeps=[1, 2, 3, 7, 8, 9, 10])


def test_a_camera_that_stalls(tmp_path: Path) -> None:
    """A camera that stands still costs its own pictures only."""
    path = tmp_path / "s.webm"
    studio = Studio(path)
    studio.run(2.5)
    studio.camera = False
    studio.run(2)
    studio.camera = True
    studio.run(2)
    studio.end()
    look_and_listen(path).check(6.5, flashes=[1, 2, 5, 6], beeps=seconds(1, 6))


def test_a_network_that_stalls(tmp_path: Path) -> None:
    """What was held back for two seconds and came at once stands where it was recorded."""
    path = tmp_path / "s.webm"
    studio = Studio(path)
    studio.run(2.5)
    usual = dict(studio.delays)
    for number in range(100):
        studio.delays = {kind: delay + 2 - number * 0.02 for kind, delay in usual.items()}
        studio.run(0.02)
    studio.delays = usual
    studio.run(2)
    studio.end()
    look_and_listen(path).check(6.5, flashes=seconds(1, 6), beeps=seconds(1, 6))


def test_loss(tmp_path: Path) -> None:
    """Of a stream that loses every fiftieth packet what is there is in step."""
    path = tmp_path / "s.webm"
    studio = Studio(path)
    studio.run(0.5)
    studio.loss = 0.02
    studio.run(10)
    studio.end()
    found = look_and_listen(path)
    found.beeps = [next(each for each in found.beeps if round(each) == second) for second in seconds(1, 10)]
    # The beginning of a flash may be what was lost: none is seen before its beep begins, nor after it has ended.
    later = [each - found.beeps[round(each) - 1] for each in found.flashes]
    assert all(-IN_STEP <= each < SIGNAL + IN_STEP for each in later), later
    whole = [each for each, behind in zip(found.flashes, later, strict=True) if behind <= IN_STEP]
    assert len(whole) >= 5
    found.flashes = whole
    found.check(10.5, flashes=[round(each) for each in whole], beeps=seconds(1, 10))


def test_muted_sound(tmp_path: Path) -> None:
    """What is muted is silence in the recording, whatever the client sends, and the sound is in step afterwards (M8)."""
    path = tmp_path / "s.webm"
    studio = Studio(path)
    studio.run(2.5)
    studio.tracks[Kind.AUDIO].mute(True)
    studio.run(3)
    studio.tracks[Kind.AUDIO].mute(False)
    studio.run(2)
    studio.end()
    look_and_listen(path).check(7.5, flashes=seconds(1, 7), beeps=[1, 2, 6, 7])


def test_a_muted_picture(tmp_path: Path) -> None:
    """While the picture is muted the last one stays, and afterwards it goes on at a key frame, in step (M8)."""
    path = tmp_path / "s.webm"
    studio = Studio(path)
    studio.run(2.5)
    studio.tracks[Kind.VIDEO].mute(True)
    studio.run(3)
    studio.tracks[Kind.VIDEO].mute(False)
    studio.run(2)
    studio.end()
    look_and_listen(path).check(7.5, flashes=[1, 2, 6, 7], beeps=seconds(1, 7))


def test_muted_to_the_end(tmp_path: Path) -> None:
    """A recording lasts as long as its session, also when nothing was to be seen or heard at its end (M8)."""
    path = tmp_path / "s.webm"
    studio = Studio(path)
    studio.run(2.5)
    for track in studio.tracks.values():
        track.mute(True)
    studio.run(12)
    studio.end()
    look_and_listen(path).check(14.5, flashes=[1, 2], beeps=[1, 2])


def test_silence_that_is_not_sent(tmp_path: Path) -> None:
    """Sound with discontinuous transmission (DTX) stays in step."""
    path = tmp_path / "s.webm"
    studio = Studio(path)
    studio.talks_only = True
    studio.run(5.5)
    studio.end()
    look_and_listen(path).check(5.5, flashes=seconds(1, 5), beeps=seconds(1, 5))


def test_a_picture_that_changes_its_size(tmp_path: Path) -> None:
    """A phone that is turned does not turn sound and picture against each other."""
    path = tmp_path / "s.webm"
    studio = Studio(path)
    studio.run(2.5)
    studio.resize(48, 64)
    studio.run(2)
    studio.resize(64, 48)
    studio.run(2)
    studio.end()
    found = look_and_listen(path)
    found.check(6.5, flashes=seconds(1, 6), beeps=seconds(1, 6))
    assert found.sizes == [(64, 48), (48, 64), (64, 48)]


@pytest.mark.parametrize("other", [True, False], ids=["other source", "same source"])
@pytest.mark.parametrize("kind", [Kind.AUDIO, Kind.VIDEO])
def test_a_replaced_track(tmp_path: Path, kind: Kind, other: bool) -> None:
    """After ``replaceTrack`` and a pause a track is in step with the one that stayed, whether or not its numbers go on."""
    path = tmp_path / "s.webm"
    studio = Studio(path)
    studio.run(2.5)
    studio.camera, studio.microphone = kind is not Kind.VIDEO, kind is not Kind.AUDIO
    studio.run(1)
    if other:
        studio.change_source(kind)
    studio.camera = studio.microphone = True
    if kind is Kind.VIDEO:
        studio.resize(48, 64)
    studio.run(3)
    studio.end()
    lacking = [1, 2, 4, 5, 6]
    flashes, beeps = (lacking, seconds(1, 6)) if kind is Kind.VIDEO else (seconds(1, 6), lacking)
    look_and_listen(path).check(6.5, flashes=flashes, beeps=beeps)
