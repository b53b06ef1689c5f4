"""The number in the picture, from the painting to the reading, through real encoders."""

from __future__ import annotations

from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.testing import frame_number
from smproxy.testing.counter_source import CounterSource
from smproxy.testing.frame_marker import FrameCode, frame_code, paint_luma, stream_mark


def grey(luma: bytes, width: int, height: int) -> Any:
    """Make a picture of nothing but luma."""
    frame: Any = av.VideoFrame(width, height, "gray")
    plane = frame.planes[0]
    gap = bytes(plane.line_size - width)
    plane.update(b"".join(luma[top * width : (top + 1) * width] + gap for top in range(height)))
    return frame


@given(st.integers(0, 255), st.integers(0, 0xFFFFFF), st.integers(16, 200), st.integers(12, 150))
def test_every_number_in_every_size(mark: int, number: int, width: int, height: int) -> None:
    """What is painted is read, whatever number and size."""
    code = FrameCode(mark, number)
    assert frame_code(grey(paint_luma(code, width, height), width, height)) == code


@pytest.mark.parametrize("luma", [0, 16, 128, 235, 255])
def test_a_picture_of_one_colour_has_no_number(luma: int) -> None:
    """Black, white and grey are no code."""
    assert frame_number(grey(bytes([luma]) * 64 * 48, 64, 48)) is None


@pytest.mark.parametrize(("codec", "decoder"), [("VP8", "vp8"), ("H264", "h264")])
async def test_numbers_survive_the_codec(codec: Any, decoder: str) -> None:
    """Each encoded picture decodes to the next number, and half its size is enough to read it; the mark is the stream's."""
    source, decode = CounterSource(codec, "cam"), av.CodecContext.create(decoder, "r")
    pictures: list[Any] = []
    for number in range(40):
        if number == 20:
            source.want_key_frame()
        pictures += decode.decode(av.Packet((await source.read()).data))
    assert [frame_code(picture) for picture in pictures] == [FrameCode(stream_mark("cam"), n) for n in range(40)]
    assert [number for number, picture in enumerate(pictures) if picture.key_frame] == [0, 20]
    assert frame_number(pictures[-1].reformat(width=80, height=60)) == 39
