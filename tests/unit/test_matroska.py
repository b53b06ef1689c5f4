"""Length and codecs of recorded files."""

from __future__ import annotations

import random
from pathlib import Path

import av
import pytest
from smproxy.manager.matroska import HEAD, MatroskaHead, read_matroska_head


def write(path: Path, codec: str, frames: int) -> bytes:
    """Have FFmpeg's own muxer write a file."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"  # type: ignore[attr-defined]
        for number in range(frames):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))  # type: ignore[attr-defined]
        container.mux(stream.encode())  # type: ignore[attr-defined]
    return path.read_bytes()


@pytest.mark.parametrize(("name", "codec", "shown"), [("a.webm", "libvpx", "VP8"), ("a.mkv", "libx264", "H264")])
def test_files_of_another_muxer(tmp_path: Path, name: str, codec: str, shown: str) -> None:
    """The head of a file as FFmpeg writes it has its length and its codec."""
    head = read_matroska_head(write(tmp_path / name, codec, 20)[:HEAD])
    assert head.codecs == (shown,)
    assert head.duration_ms is not None
    assert 1800 <= head.duration_ms <= 2100


def test_what_is_no_matroska(tmp_path: Path) -> None:
    """Whatever the bytes are, there is an answer."""
    data = bytearray(write(tmp_path / "a.webm", "libvpx", 3)[:HEAD])
    rng = random.Random(1)
    assert read_matroska_head(b"") == MatroskaHead(None, ())
    for _ in range(3000):
        broken = bytearray(data)
        for _ in range(rng.randint(1, 20)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        head = read_matroska_head(bytes(broken[: rng.randrange(len(broken))]))
        assert len(head.codecs) <= 8
