"""Pictures that each carry the next number, or the time, encoded as they are due."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
from aiortc.mediastreams import MediaStreamError
from av.video.frame import PictureType

from smproxy.testing.frame_marker import FrameCode, paint_luma, stream_mark
from smproxy.testing.media import CLOCK_RATE, FRAME_RATE, HEIGHT, WIDTH, Codec, Unit, video_encoder
from smproxy.testing.pace import Pace

_BIT_RATE = 300_000


class CounterSource:
    """Numbers from 0 on, without gap or return; a wanted key frame is the next picture.

    The tint is the stream's own. With ``clock`` the pictures carry the time instead at which they were painted: when they are
    due. ``clock`` returns Unix time in seconds.
    """

    def __init__(self, codec: Codec, stream: str, clock: Callable[[], float] | None = None) -> None:
        self._mark = stream_mark(stream)
        self._clock = clock
        self._pace = Pace()
        self._encoder: Any = video_encoder(codec, WIDTH, HEIGHT, _BIT_RATE, Fraction(FRAME_RATE))
        self._number = 0
        self._key_frame = True

    async def read(self) -> Unit:
        """Paint and encode the next picture, which takes about a millisecond.

        Raises:
            MediaStreamError: The encoder brought nothing.
        """
        pts = self._number * CLOCK_RATE["video"] // FRAME_RATE
        if self._clock is not None:
            await self._pace.until(self._number / FRAME_RATE)
        frame = self._paint()
        frame.pts, frame.time_base = pts, self._encoder.time_base
        frame.pict_type = PictureType.I if self._key_frame else PictureType.NONE
        self._key_frame = False
        self._number += 1
        data = b"".join(bytes(packet) for packet in self._encoder.encode(frame))
        if not data:
            raise MediaStreamError("the encoder brought no picture")
        return Unit(data, pts)

    def want_key_frame(self) -> None:
        """Make the next picture a key frame."""
        self._key_frame = True

    def _paint(self) -> Any:
        frame: Any = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        code = FrameCode(self._mark, self._number)
        if self._clock is not None:
            code = FrameCode(self._mark, int(self._clock() * 1000) & 0xFFFFFF, is_time=True)
        luma = paint_luma(code, WIDTH, HEIGHT)
        half = WIDTH // 2 * HEIGHT // 2
        tints = (bytes([96 + (self._mark >> 4) * 4]) * half, bytes([96 + (self._mark & 15) * 4]) * half)
        for plane, pixels, width in zip(frame.planes, (luma, *tints), (WIDTH, WIDTH // 2, WIDTH // 2), strict=True):
            plane.update(_padded(pixels, width, plane.line_size))
        return frame


def _padded(pixels: bytes, width: int, stride: int) -> bytes:
    """Bring lines of ``width`` bytes to the distance at which the frame's lines lie."""
    if width == stride:
        return pixels
    gap = bytes(stride - width)
    return b"".join(pixels[start : start + width] + gap for start in range(0, len(pixels), width))
