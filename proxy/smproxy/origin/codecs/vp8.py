"""VP8 in RTP (RFC 7741): where a frame starts, and frames from packets. Sans-I/O.

Nothing here raises.
"""

from __future__ import annotations

from smproxy.origin.codecs.frame import FrameAssembler, MediaFrame
from smproxy.origin.rtp_packet import FrameStart, RtpPacket


def descriptor_size(payload: bytes) -> int:
    """Return the length of the payload descriptor (RFC 7741, 4.2); 0 when nothing follows it."""
    size = 1
    if payload and payload[0] & 0x80:
        if len(payload) < 2:
            return 0
        extension = payload[1]
        size = 2
        if extension & 0x80:
            if len(payload) < 3:
                return 0
            size += 2 if payload[2] & 0x80 else 1
        size += bool(extension & 0x40) + bool(extension & 0x30)
    return size if size < len(payload) else 0


def frame_start(payload: bytes) -> FrameStart | None:
    """Read the payload header of a frame's first packet.

    ``None`` when the packet does not start a frame.
    """
    # The S bit with partition index 0 marks the first packet of a frame.
    if not payload or payload[0] & 0x1F != 0x10:
        return None
    offset = descriptor_size(payload)
    if not offset:
        return None
    if payload[offset] & 0x01:
        return FrameStart(key=False)
    # Key frame: 3 bytes of frame tag, a start code, then 14 bits each of width and height (RFC 6386, 9.1).
    if len(payload) < offset + 10 or payload[offset + 3 : offset + 6] != b"\x9d\x01\x2a":
        return FrameStart(key=True)
    width = int.from_bytes(payload[offset + 6 : offset + 8], "little") & 0x3FFF
    height = int.from_bytes(payload[offset + 8 : offset + 10], "little") & 0x3FFF
    return FrameStart(key=True, width=width, height=height)


class Vp8Depacketizer(FrameAssembler):
    """VP8: the payloads without their descriptors are the frame."""

    def __init__(self) -> None:
        super().__init__()
        self._start = FrameStart(key=False)

    def _add(self, packet: RtpPacket) -> bool:
        offset = descriptor_size(packet.payload)
        begins = packet.payload[0] & 0x1F == 0x10
        if not offset or begins == bool(self._parts):
            return False  # empty, without a beginning, or a second beginning
        if packet.start is not None:
            self._start = packet.start
        self._parts.append(packet.payload[offset:])
        return True

    def _frame(self) -> MediaFrame:
        data = b"".join(self._parts)
        start = self._start
        if not start.key:
            return MediaFrame(self._timestamp, self._arrival, data, key=False)
        # A key frame too short to say its size cannot be decoded.
        return MediaFrame(self._timestamp, self._arrival, data, start.width > 0, start.width, start.height)
