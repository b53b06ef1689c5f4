"""A decoded picture as a file."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av


def png(frame: Any) -> bytes:
    """Encode an ``av.VideoFrame`` as a PNG file of its size."""
    picture = frame.reformat(format="rgb24")
    encoder: Any = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, "rgb24"
    encoder.time_base = Fraction(1, 1)
    picture.pts, picture.time_base = 0, encoder.time_base
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
