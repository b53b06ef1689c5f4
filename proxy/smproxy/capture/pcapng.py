"""The pcapng format (draft-ietf-opsawg-pcapng), as far as a capture of one session needs it."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from smproxy.capture.exported_pdu import export
from smproxy.capture.ip_headers import with_headers
from smproxy.capture.packet import Packet
from smproxy.capture.ring import Kept

MEDIA_TYPE = "application/x-pcapng"

#: What packets begin with, and its name: an IP header of either version, or the tags of an exported PDU.
_INTERFACES = ((101, "as it came"), (252, "decrypted"))
_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_END_OF_OPTIONS, _COMMENT, _NAME = 0, 1, 2
_USER_APPLICATION = 4
_MICROSECONDS = 1_000_000
#: Bytes of one comment.
_MAX_COMMENT = 4_096


def write_start(application: str, comments: Iterable[str]) -> bytes:
    """Return a file's beginning: the program's name, comments, and the interfaces."""
    options = b"".join(_option(_COMMENT, each) for each in comments) + _option(_USER_APPLICATION, application)
    section = struct.pack("<IHHq", _BYTE_ORDER_MAGIC, 1, 0, -1)
    interfaces = b"".join(
        _block(_INTERFACE, struct.pack("<HHI", link_type, 0, 0), _option(_NAME, name))
        for link_type, name in _INTERFACES
    )
    return _block(_SECTION, section, options) + interfaces


def write_packet(packet: Packet, comment: str = "") -> bytes:
    """Return a packet: STUN and DTLS with IP and UDP headers, media as an exported PDU."""
    media = 127 < packet.data[0] < 192
    data = export(packet) if media else with_headers(packet.source, packet.destination, packet.data)
    time = int(packet.at * _MICROSECONDS)
    head = struct.pack("<IIIII", int(media), time >> 32, time & 0xFFFFFFFF, len(data), len(data))
    return _block(_PACKET, head + _padded(data), _option(_COMMENT, comment) if comment else b"")


def write_kept(kept: Kept) -> bytes:
    """Return packets; where some are missing, a comment says how many."""
    missing = f"{kept.missing} packets before this one were not kept" if kept.missing else ""
    return b"".join(write_packet(each, missing if n == kept.gap_at else "") for n, each in enumerate(kept.packets))


def _option(code: int, text: str) -> bytes:
    value = text.encode("utf-8", "replace")[:_MAX_COMMENT]
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _block(kind: int, body: bytes, options: bytes) -> bytes:
    if options:
        options += struct.pack("<HH", _END_OF_OPTIONS, 0)
    length = struct.pack("<I", 12 + len(body) + len(options))
    return struct.pack("<I", kind) + length + body + options + length


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
