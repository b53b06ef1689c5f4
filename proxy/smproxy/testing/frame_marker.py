"""A number or a time, painted into each picture as squares.

So that a test knows which picture it sees, and how late.

The whole picture is a grid of 8 by 6 squares, read line by line, white is 1: 8 bits that mark the stream, 24 bits that count
the pictures, and 16 bits of check (CRC-16/CCITT over those four bytes, started with 0xFFFF). It survives strong compression
and a change of size. With the check started with 0x1D0F the 24 bits are a time instead: Unix time in milliseconds, modulo 2^24
(four and a half hours).
"""

from __future__ import annotations

import binascii
import zlib
from typing import Any, NamedTuple

COLUMNS, ROWS = 8, 6
_COUNT, _TIME = 0xFFFF, 0x1D0F
#: Luma of black and white (ITU-R BT.601, limited range).
_BLACK, _WHITE = 16, 235


class FrameCode(NamedTuple):
    """The marker read from a picture; ``mark`` is ``stream_mark`` of the stream's name."""

    mark: int
    number: int
    is_time: bool = False


def stream_mark(stream: str) -> int:
    """Return the mark of a stream: 0 to 255, from its name."""
    return zlib.crc32(stream.encode()) & 0xFF


def code_bits(code: FrameCode) -> list[bool]:
    """Return the squares' colours, line by line."""
    said = bytes([code.mark]) + (code.number & 0xFFFFFF).to_bytes(3, "big")
    word = int.from_bytes(said + binascii.crc_hqx(said, _TIME if code.is_time else _COUNT).to_bytes(2, "big"), "big")
    count = COLUMNS * ROWS
    return [bool(word >> (count - 1 - index) & 1) for index in range(count)]


def paint_luma(code: FrameCode, width: int, height: int) -> bytes:
    """Paint the squares: one byte a pixel, line by line."""
    bits = code_bits(code)
    lines = []
    for row in range(ROWS):
        squares = bits[row * COLUMNS : (row + 1) * COLUMNS]
        edges = [column * width // COLUMNS for column in range(COLUMNS + 1)]
        line = b"".join(
            bytes([_WHITE if white else _BLACK]) * (edges[column + 1] - edges[column])
            for column, white in enumerate(squares)
        )
        lines.append(line * ((row + 1) * height // ROWS - row * height // ROWS))
    return b"".join(lines)


def frame_code(frame: Any) -> FrameCode | None:
    """Read the code of an ``av.VideoFrame``.

    ``None`` when there is none or it cannot be made out.
    """
    if frame.format.name not in ("yuv420p", "yuvj420p", "nv12", "gray"):
        frame = frame.reformat(format="gray")
    plane = frame.planes[0]
    luma, stride = memoryview(plane), plane.line_size
    word = 0
    for row in range(ROWS):
        for column in range(COLUMNS):
            word = word << 1 | (_mean(luma, stride, frame.width, frame.height, column, row) > (_BLACK + _WHITE) / 2)
    said = word.to_bytes(COLUMNS * ROWS // 8, "big")
    check = int.from_bytes(said[4:], "big")
    for is_time, start in ((False, _COUNT), (True, _TIME)):
        if binascii.crc_hqx(said[:4], start) == check:
            return FrameCode(said[0], int.from_bytes(said[1:4], "big"), is_time)
    return None


def frame_number(frame: Any) -> int | None:
    """Read the number of an ``av.VideoFrame`` of ``Publisher(pattern="counter")``.

    ``None`` when it shows none.
    """
    code = frame_code(frame)
    return None if code is None or code.is_time else code.number


def _mean(luma: memoryview, stride: int, width: int, height: int, column: int, row: int) -> float:
    """Return the mean of nine points around the middle of a square, away from its blurred edges."""
    total = 0
    for x in (3, 4, 5):
        for y in (3, 4, 5):
            left = (column * 8 + x) * width // (COLUMNS * 8)
            top = (row * 8 + y) * height // (ROWS * 8)
            total += luma[top * stride + left]
    return total / 9
