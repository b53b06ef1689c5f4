"""RTP packets (RFC 3550, 5.1) as all parts of the origin have them.

Parsed once, numbered without wraps.
"""

from __future__ import annotations

import struct

import msgspec

#: The fixed header: the first two octets, sequence number, timestamp, SSRC. It is not encrypted by SRTP.
HEADER = struct.Struct("!BBHII")
#: The marker bit in the second octet of an RTP header.
MARKER = 0x80


class FrameStart(msgspec.Struct, frozen=True, gc=False):
    """A frame begins here; ``width`` and ``height`` in pixels, 0 where the packet does not say."""

    key: bool
    width: int = 0
    height: int = 0


class RtpPacket(msgspec.Struct, frozen=True, gc=False):
    """One packet of a track.

    ``number`` is the sequence number extended over its wraps, and goes on when the source changes; ``timestamp`` is 32 bits
    wide and does the same; ``marker`` is ``MARKER`` or 0. The payload has neither header extension, whose ids mean something
    else on another leg, nor padding. ``arrival`` in seconds, monotonic. ``start`` is set where a video frame begins, as far as
    this packet shows it. ``restart``: the packet continues nothing that came before, because the source changed or jumped, or
    the track was muted.
    """

    number: int
    timestamp: int
    marker: int
    payload: bytes
    arrival: float
    start: FrameStart | None = None
    restart: bool = False


def payload_of(packet: bytes) -> bytes:
    """Return the payload of an RTP packet (RFC 3550, 5.1), empty when it is too short."""
    if len(packet) < 12:
        return b""
    first = packet[0]
    offset = 12 + 4 * (first & 0x0F)
    if first & 0x10:
        if len(packet) < offset + 4:
            return b""
        offset += 4 + 4 * int.from_bytes(packet[offset + 2 : offset + 4], "big")
    end = len(packet)
    if first & 0x20:
        end -= packet[-1]
    return packet[offset:end] if offset < end else b""
