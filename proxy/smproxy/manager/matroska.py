"""Length and codecs of a Matroska or WebM file, from its head (RFC 9559)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

#: Bytes of a file that are read for it: ours have their head in the first thousand.
HEAD = 4096

_SEGMENT, _INFO, _TRACKS, _TRACK, _CLUSTER = 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0x1F43B675
_DURATION, _SCALE, _CODEC = 0x4489, 0x2AD7B1, 0x86
_NAMES = {"V_VP8": "VP8", "V_VP9": "VP9", "V_AV1": "AV1", "V_MPEG4/ISO/AVC": "H264", "A_OPUS": "Opus", "A_AAC": "AAC"}


@dataclass(frozen=True, slots=True)
class MatroskaHead:
    """``duration_ms``: ``None`` when the file does not say; ``codecs``: one for each track."""

    duration_ms: int | None
    codecs: tuple[str, ...]


def read_matroska_head(data: bytes) -> MatroskaHead:
    """Read the first bytes of a file; what is not there, or is no Matroska, is left out."""
    duration: float | None = None
    scale, codecs = 1_000_000, []
    for kind, value in _walk(data):
        if kind == _DURATION and len(value) in (4, 8):
            duration = struct.unpack(">f" if len(value) == 4 else ">d", value)[0]
        elif kind == _SCALE:
            scale = int.from_bytes(value)
        elif kind == _CODEC:
            name = value.rstrip(b"\0").decode("ascii", "replace")
            codecs.append(_NAMES.get(name, name[:40]))
    known = duration is not None and 0 < duration < 2**53
    return MatroskaHead(round(duration * scale / 1e6) if known and duration is not None else None, tuple(codecs[:8]))


def _walk(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the elements up to the first cluster; those that hold others only by what they hold."""
    at = 0
    while at < len(data):
        kind, at = _number(data, at, keep_marker=True)
        size, at = _number(data, at)
        if kind in (-1, _CLUSTER) or size == -1:
            return
        if kind in (_SEGMENT, _INFO, _TRACKS, _TRACK):
            continue  # what it holds comes next
        yield kind, data[at : at + size]
        at += size


def _number(data: bytes, at: int, *, keep_marker: bool = False) -> tuple[int, int]:
    """Read a number of variable length; return it, -1 when there is none, and where it ends."""
    first = data[at] if at < len(data) else 0
    length = 9 - first.bit_length()
    if first == 0 or at + length > len(data):
        return -1, len(data)
    value = int.from_bytes(data[at : at + length])
    return (value if keep_marker else value & ((1 << 7 * length) - 1)), at + length
