"""The packager of HLS when frames come in bursts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
from smproxy.hls_packager import Packager


def picture() -> Any:
    """Make a picture."""
    return av.VideoFrame(64, 48, "yuv420p")


def sound() -> Any:
    """Make 20 ms of silence."""
    frame: Any = av.AudioFrame("s16", "stereo", 960)
    frame.sample_rate = 48_000
    frame.planes[0].update(bytes(3840))
    return frame


def test_bursts_and_stalls(tmp_path: Path) -> None:
    """Sound and pictures that come late, all at once, or with times that go back end nothing: what is written decodes."""
    packager = Packager(str(tmp_path), "", live=False, video=(64, 48), audio=True)
    times = [number / 50 for number in range(100)]
    times[30:60] = [0.6] * 30
    times[80:90] = [0.1] * 10
    for seconds in times:
        packager.sound(sound(), seconds)
        packager.picture(picture(), seconds)
    for _ in range(100):
        packager.sound(sound(), 2.0)
    packager.sound(sound(), 9.0)
    packager.picture(picture(), 9.0)
    packager.close()
    assert "#EXT-X-ENDLIST" in (tmp_path / "index.m3u8").read_text()
    with av.open(str(tmp_path / "index.m3u8")) as container:
        kinds = [type(frame).__name__ for frame in container.decode(video=0, audio=0)]
    assert kinds.count("VideoFrame") > 60
    assert kinds.count("AudioFrame") > 40
