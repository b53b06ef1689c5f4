"""From RTP payloads to the frames that a file holds: VP8 (RFC 7741), H.264 (RFC 6184), Opus (RFC 7587). Sans-I/O.

After a loss everything is left out up to the next key frame, so that a file never holds a picture that refers to a missing one.
Nothing here raises, whatever the payload.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from smproxy.origin import h264, vp8
from smproxy.origin.recording.jitter_buffer import Rtp

#: Bytes of one frame; a sender that never ends one is not kept in memory for ever.
MAX_FRAME = 8 << 20
#: Parts of one frame: packets, or NAL units, which may be tiny.
MAX_PARTS = 8192
#: Bytes of H.264 parameter sets, of which browsers send some 30; what stands before the clusters of a file has little room.
MAX_PARAMETERS = 4096


class Frame(NamedTuple):
    """One frame as a file holds it. ``timestamp`` as in RTP, ``arrival`` of its first packet in seconds.

    ``width``, ``height`` in pixels and ``config`` (AVCDecoderConfigurationRecord) are those of a key frame, else 0 and empty;
    ``duration`` in seconds is 0 where the frame does not say.
    """

    timestamp: int
    arrival: float
    data: bytes
    key: bool
    width: int = 0
    height: int = 0
    config: bytes = b""
    duration: float = 0.0


class Depacketizer(Protocol):
    """Takes packets in order, gives frames."""

    needs_key_frame: bool

    def push(self, packet: Rtp) -> list[Frame]:
        """Take a packet; return the frames that are complete."""


class _Assembler:
    """What the two video formats share: parts of one timestamp, ended by the marker or by the next timestamp."""

    def __init__(self) -> None:
        self.needs_key_frame = True
        self._parts: list[bytes] = []
        self._size = 0
        self._timestamp = -1
        self._arrival = 0.0
        self._broken = False

    def push(self, packet: Rtp) -> list[Frame]:
        if packet.gap:
            self._lost()
        if not packet.payload:
            return []  # padding, with which senders probe for bandwidth
        done: list[Frame] = []
        if packet.timestamp != self._timestamp:
            done += self._end()
            self._timestamp, self._arrival = packet.timestamp, packet.arrival
            self._broken = False
        if not self._broken and not self._add(packet.payload):
            self._lost()
        self._size += len(packet.payload)
        if self._size > MAX_FRAME or len(self._parts) > MAX_PARTS:
            self._lost()
        if packet.marker:
            done += self._end()
        return done

    def _lost(self) -> None:
        """Leave out the rest of this frame, and what follows up to a key frame."""
        self._clear()
        self._broken = self.needs_key_frame = True

    def _end(self) -> list[Frame]:
        if self._broken or not self._parts:
            self._clear()
            return []
        frame = self._frame()
        self._clear()
        if frame is None or (self.needs_key_frame and not frame.key):
            return []
        self.needs_key_frame = False
        return [frame]

    def _clear(self) -> None:
        self._parts = []
        self._size = 0

    def _add(self, payload: bytes) -> bool:
        """Take a payload of the current frame; False when it cannot belong there."""
        raise NotImplementedError

    def _frame(self) -> Frame | None:
        """Make the frame of the parts."""
        raise NotImplementedError


class Vp8(_Assembler):
    """VP8: the payloads without their descriptors are the frame."""

    def _add(self, payload: bytes) -> bool:
        offset = _descriptor(payload)
        starts = payload[0] & 0x1F == 0x10
        if offset >= len(payload) or starts == bool(self._parts):
            return False  # empty, without a beginning, or a second beginning
        self._parts.append(payload[offset:])
        return True

    def _frame(self) -> Frame:
        data = b"".join(self._parts)
        start = vp8.frame_start(b"\x10" + data[:10])
        if start is None or not start.key:
            return Frame(self._timestamp, self._arrival, data, key=False)
        # A key frame too short to say its size cannot be decoded.
        return Frame(self._timestamp, self._arrival, data, start.width > 0, start.width, start.height)


def _descriptor(payload: bytes) -> int:
    """Return the length of a VP8 payload descriptor (RFC 7741, 4.2)."""
    if not payload[0] & 0x80 or len(payload) < 3:
        return 1
    extension = payload[1]
    offset = 2
    if extension & 0x80:
        offset += 2 if payload[2] & 0x80 else 1
    return offset + bool(extension & 0x40) + bool(extension & 0x30)


_SLICES = frozenset(range(1, 6))
_IDR, _SEI, _SPS, _PPS, _AUD, _FILLER, _STAP_A, _FU_A = 5, 6, 7, 8, 9, 12, 24, 28


class H264(_Assembler):
    """H.264: the NAL units, each behind its length in 4 bytes, with the parameter sets before every key frame."""

    def __init__(self) -> None:
        super().__init__()
        self._fragment: list[bytes] | None = None
        self._sps: list[bytes] = []
        self._pps: list[bytes] = []
        self._repeats = False

    def _add(self, payload: bytes) -> bool:
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

    def _frame(self) -> Frame | None:
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
            return Frame(self._timestamp, self._arrival, _with_lengths(units), key=False)
        lost = not self._sps or not self._pps or (not sps and self._repeats and self.needs_key_frame)
        if lost or sum(len(unit) for unit in (*self._sps, *self._pps)) > MAX_PARAMETERS:
            # Without its parameters, or they were lost: of a sender that repeats them they may have been new ones.
            self.needs_key_frame = True
            return None
        self._repeats = bool(sps)
        width, height = h264.sps_size(self._sps[0]) or (0, 0)
        data = _with_lengths([*self._sps, *self._pps, *units])
        config = _avc_config(self._sps[:31], self._pps[:255])
        return Frame(self._timestamp, self._arrival, data, key=True, width=width, height=height, config=config)


def _with_lengths(units: Iterable[bytes]) -> bytes:
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


def _avc_config(sps: list[bytes], pps: list[bytes]) -> bytes:
    """Write an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1) with lengths of 4 bytes."""
    parts = [bytes([1]), sps[0][1:4], bytes([0xFF, 0xE0 | len(sps)])]
    parts += [len(unit).to_bytes(2, "big") + unit for unit in sps]
    parts.append(bytes([len(pps)]))
    parts += [len(unit).to_bytes(2, "big") + unit for unit in pps]
    return b"".join(parts)


class Opus:
    """Opus: a payload is a frame, and a lost one is only a gap."""

    needs_key_frame = False

    def push(self, packet: Rtp) -> list[Frame]:
        if not packet.payload:
            return []
        return [
            Frame(packet.timestamp, packet.arrival, packet.payload, key=True, duration=_opus_length(packet.payload))
        ]


def _opus_length(payload: bytes) -> float:
    """Return the length of an Opus packet in seconds (RFC 6716, 3.1 and 3.2)."""
    config, code = payload[0] >> 3, payload[0] & 3
    if config < 12:
        length = (0.01, 0.02, 0.04, 0.06)[config & 3]
    elif config < 16:
        length = (0.01, 0.02)[config & 1]
    else:
        length = (0.0025, 0.005, 0.01, 0.02)[config & 3]
    count = (1, 2, 2, payload[1] & 0x3F if len(payload) > 1 else 1)[code]
    return min(length * count, 0.12)


DEPACKETIZERS: dict[str, type[Vp8] | type[H264] | type[Opus]] = {"VP8": Vp8, "H264": H264, "opus": Opus}
