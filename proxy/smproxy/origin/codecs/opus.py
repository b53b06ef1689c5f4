"""Opus in RTP (RFC 7587): a packet is a frame. Sans-I/O; nothing here raises."""

from __future__ import annotations

from smproxy.origin.codecs.frame import MediaFrame
from smproxy.origin.rtp_packet import RtpPacket

#: A packet of 20 ms that decodes to digital silence: CELT, full band, mono, with an empty frame.
SILENCE = b"\xf8\xff\xfe"
#: Seconds that it lasts.
SILENCE_LENGTH = 0.02


class OpusDepacketizer:
    """Opus: a payload is a frame, and a lost one is only a gap."""

    needs_key_frame = False

    def push(self, packet: RtpPacket) -> list[MediaFrame]:
        """Take a packet; return its frame."""
        if not packet.payload:
            return []
        return [
            MediaFrame(
                packet.timestamp, packet.arrival, packet.payload, key=True, duration=packet_length(packet.payload)
            )
        ]


def packet_length(payload: bytes) -> float:
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
