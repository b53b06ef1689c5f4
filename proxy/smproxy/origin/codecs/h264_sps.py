"""The picture size in an H.264 sequence parameter set (ITU-T H.264, 7.3.2.1.1). Sans-I/O.

Nothing here raises.
"""

from __future__ import annotations

#: Profiles whose SPS carries chroma and bit depth fields (ITU-T H.264, 7.3.2.1.1).
_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


class _Bits:
    """Exp-Golomb reader (ITU-T H.264, 9.1)."""

    __slots__ = ("_at", "_data", "_end")

    def __init__(self, data: bytes) -> None:
        self._data = int.from_bytes(data, "big")
        self._end = len(data) * 8
        self._at = 0

    def u(self, count: int) -> int:
        self._at += count
        if self._at > self._end:
            raise EOFError
        return (self._data >> (self._end - self._at)) & ((1 << count) - 1)

    def ue(self) -> int:
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 31:
                raise EOFError
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def sps_size(unit: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels; ``None`` when the parameter set cannot be read."""
    if len(unit) < 5 or len(unit) > 1500:
        return None
    try:
        return _read_sps(_Bits(unit[1:].replace(b"\x00\x00\x03", b"\x00\x00")))
    except EOFError:
        return None


def _read_sps(bits: _Bits) -> tuple[int, int] | None:
    profile = bits.u(8)
    bits.u(16)  # constraint flags and level
    bits.ue()  # seq_parameter_set_id
    chroma = 1
    if profile in _HIGH_PROFILES:
        chroma = bits.ue()
        if chroma == 3:
            bits.u(1)
        bits.ue()
        bits.ue()
        bits.u(1)
        if bits.u(1):
            for index in range(12 if chroma == 3 else 8):
                if bits.u(1):
                    _skip_scaling_list(bits, 16 if index < 6 else 64)
    bits.ue()  # log2_max_frame_num
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.u(1)
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), 255)):
            bits.se()
    bits.ue()  # max_num_ref_frames
    bits.u(1)
    width = (bits.ue() + 1) * 16
    map_units = bits.ue() + 1
    frame_only = bits.u(1)
    height = (2 - frame_only) * map_units * 16
    if not frame_only:
        bits.u(1)
    bits.u(1)
    if bits.u(1):
        unit_x = 1 if chroma in (0, 3) else 2
        unit_y = (2 if chroma == 1 else 1) * (2 - frame_only)
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        width -= unit_x * (left + right)
        height -= unit_y * (top + bottom)
    return (width, height) if 0 < width <= 16384 and 0 < height <= 16384 else None


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last
