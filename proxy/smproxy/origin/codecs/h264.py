"""H.264 in RTP (RFC 6184, ITU-T H.264): where a frame starts, and frames from packets.

Sans-I/O; nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterable

from smproxy.origin.codecs.frame import FrameAssembler, MediaFrame
from smproxy.origin.codecs.h264_sps import sps_size
from smproxy.origin.rtp_packet import FrameStart, RtpPacket

_SLICE = range(1, 5)
_SLICES = frozenset(range(1, 6))
_IDR, _SPS, _PPS, _AUD, _FILLER, _STAP_A, _FU_A = 5, 7, 8, 9, 12, 24, 28
#: Bytes of parameter sets, of which browsers send some 30; what stands before the clusters of a file has little room.
MAX_PARAMETERS = 4096
#: NAL units of one packet that are looked at: parameter sets come first, and a packet may be full of tiny ones.
_MAX_UNITS = 16


def frame_start(payload: bytes) -> FrameStart | None:
    """Read the first packet of a frame that has a slice or parameter set.

    ``None`` when this packet decides nothing.
    """
    if not payload:
        return None
    kind = payload[0] & 0x1F
    if kind == _FU_A:
        if len(payload) < 2 or not payload[1] & 0x80:
            return None
        return _of_unit(payload[1] & 0x1F, b"")
    if kind != _STAP_A:
        return _of_unit(kind, payload)
    decided: FrameStart | None = None
    position = 1
    for _ in range(_MAX_UNITS):
        if position + 3 > len(payload):
            break
        size = int.from_bytes(payload[position : position + 2], "big")
        unit = payload[position + 2 : position + 2 + size]
        found = _of_unit(unit[0] & 0x1F, unit) if unit else None
        if found is not None and (decided is None or found.width or (found.key and not decided.key)):
            decided = found
        position += 2 + size
    return decided


def _of_unit(kind: int, unit: bytes) -> FrameStart | None:
    if kind == _SPS:
        width, height = sps_size(unit) or (0, 0)
        return FrameStart(key=True, width=width, height=height)
    if kind == _IDR:
        return FrameStart(key=True)
    if kind in _SLICE:
        return FrameStart(key=False)
    return None


class H264Depacketizer(FrameAssembler):
    """H.264: NAL units behind their lengths, with the parameter sets before every key frame."""

    def __init__(self) -> None:
        super().__init__()
        self._fragment: list[bytes] | None = None
        self._sps: list[bytes] = []
        self._pps: list[bytes] = []
        self._repeats = False

    def _add(self, packet: RtpPacket) -> bool:
        payload = packet.payload
        kind = payload[0] & 0x1F
        if kind == _FU_A:
            return self._fragmented(payload)
        if self._fragment is not None:
            return False
        if 0 < kind < _STAP_A:
            self._parts.append(payload)
            return True
        return kind == _STAP_A and self._aggregated(payload)

    def _aggregated(self, payload: bytes) -> bool:
        position = 1
        while position + 2 < len(payload):
            size = int.from_bytes(payload[position : position + 2], "big")
            unit = payload[position + 2 : position + 2 + size]
            if not size or len(unit) < size:
                return False
            self._parts.append(unit)
            position += 2 + size
        return True

    def _fragmented(self, payload: bytes) -> bool:
        if len(payload) < 3:
            return False
        header = payload[1]
        if header & 0x80:
            if self._fragment is not None:
                return False
            self._fragment = [bytes([payload[0] & 0xE0 | header & 0x1F])]
        if self._fragment is None:
            return False
        self._fragment.append(payload[2:])
        if header & 0x40:
            self._parts.append(b"".join(self._fragment))
            self._fragment = None
        return True

    def _clear(self) -> None:
        super()._clear()
        self._fragment = None

    def _frame(self) -> MediaFrame | None:
        kinds = [unit[0] & 0x1F for unit in self._parts]
        sps = [unit for unit in self._parts if unit[0] & 0x1F == _SPS and len(unit) > 3]
        pps = [unit for unit in self._parts if unit[0] & 0x1F == _PPS]
        self._sps, self._pps = sps or self._sps, pps or self._pps
        if self._fragment is not None:
            self.needs_key_frame = True  # its end never came
            return None
        first = next((unit for unit, kind in zip(self._parts, kinds, strict=True) if kind in _SLICES), b"")
        if not first:
            return None
        if len(first) < 2 or not first[1] & 0x80:  # first_mb_in_slice is not 0: the picture's beginning was lost
            self.needs_key_frame = True
            return None
        skipped = {_SPS, _PPS, _AUD, _FILLER}
        units = [unit for unit, kind in zip(self._parts, kinds, strict=True) if kind not in skipped]
        if _IDR not in kinds:
            return MediaFrame(self._timestamp, self._arrival, _with_lengths(units), key=False)
        lost = not self._sps or not self._pps or (not sps and self._repeats and self.needs_key_frame)
        if lost or sum(len(unit) for unit in (*self._sps, *self._pps)) > MAX_PARAMETERS:
            # Without its parameters, or they were lost: of a sender that repeats them they may have been new ones.
            self.needs_key_frame = True
            return None
        self._repeats = bool(sps)
        width, height = sps_size(self._sps[0]) or (0, 0)
        data = _with_lengths([*self._sps, *self._pps, *units])
        config = _avc_config(self._sps[:31], self._pps[:255])
        return MediaFrame(self._timestamp, self._arrival, data, key=True, width=width, height=height, config=config)


def _with_lengths(units: Iterable[bytes]) -> bytes:
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


def _avc_config(sps: list[bytes], pps: list[bytes]) -> bytes:
    """Write an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1), lengths of 4 bytes."""
    parts = [bytes([1]), sps[0][1:4], bytes([0xFF, 0xE0 | len(sps)])]
    parts += [len(unit).to_bytes(2, "big") + unit for unit in sps]
    parts.append(bytes([len(pps)]))
    parts += [len(unit).to_bytes(2, "big") + unit for unit in pps]
    return b"".join(parts)
