"""Sender reports and source descriptions to subscribers (RFC 3550, 6.4.1 and 6.5). Sans-I/O."""

from __future__ import annotations

import struct

_SR, _SDES = 200, 202
_CNAME = 1


def write_sender_report(ssrc: int, ntp: int, timestamp: int, packets: int, octets: int) -> bytes:
    """Write an RTCP SR without report blocks. ``ntp`` in units of 2^-32 s.

    The counts wrap at 2^32.
    """
    return struct.pack(
        "!BBHIQIII",
        0x80,
        _SR,
        6,
        ssrc,
        ntp & 0xFFFFFFFFFFFFFFFF,
        timestamp & 0xFFFFFFFF,
        packets & 0xFFFFFFFF,
        octets & 0xFFFFFFFF,
    )


def write_cname(ssrc: int, cname: str) -> bytes:
    """Write an RTCP SDES that names the source; every compound packet must have one.

    ``cname`` at most 255 bytes of UTF-8.
    """
    name = cname.encode()
    item = struct.pack("!IBB", ssrc, _CNAME, len(name)) + name
    item += bytes(4 - len(item) % 4)  # ends with one zero at least
    return struct.pack("!BBH", 0x81, _SDES, len(item) // 4) + item
