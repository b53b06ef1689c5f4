"""What a VP8 RTP payload says of its frame (RFC 7741). Sans-I/O; nothing here raises."""

from __future__ import annotations

from smproxy.origin.frame import FrameStart


def frame_start(payload: bytes) -> FrameStart | None:
    """Read the payload header of a frame's first packet; ``None`` when the packet does not start a frame."""
    if not payload:
        return None
    first = payload[0]
    # The S bit with partition index 0 marks the first packet of a frame.
    if first & 0x1F != 0x10:
        return None
    offset = 1
    if first & 0x80:
        if len(payload) < 2:
            return None
        extension = payload[1]
        offset = 2
        if extension & 0x80:
            if len(payload) < 3:
                return None
            offset += 2 if payload[2] & 0x80 else 1
        if extension & 0x40:
            offset += 1
        if extension & 0x30:
            offset += 1
    if len(payload) <= offset:
        return None
    if payload[offset] & 0x01:
        return FrameStart(key=False)
    # Key frame: 3 bytes of frame tag, a start code, then 14 bits each of width and height (RFC 6386, 9.1).
    if len(payload) < offset + 10 or payload[offset + 3 : offset + 6] != b"\x9d\x01\x2a":
        return FrameStart(key=True)
    width = int.from_bytes(payload[offset + 6 : offset + 8], "little") & 0x3FFF
    height = int.from_bytes(payload[offset + 8 : offset + 10], "little") & 0x3FFF
    return FrameStart(key=True, width=width, height=height)
