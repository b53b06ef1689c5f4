"""Packets above UDP as Wireshark exports them: protocol and addresses, then the packet.

Decrypted media is written in this form. In UDP datagrams Wireshark would take it for SRTP, because of the DTLS handshake
between the same addresses, and would cut off the last bytes as an authentication tag, which it does not have. It does the same
when the tags of a packet name a port type; without one it still shows the ports.
"""

from __future__ import annotations

import ipaddress
import struct

from smproxy.capture.packet import Packet

_PROTOCOL = 12
#: Source and destination, by the version of IP.
_ADDRESSES = {4: (20, 21), 6: (22, 23)}
_SOURCE_PORT, _DESTINATION_PORT = 25, 26


def export(packet: Packet) -> bytes:
    """Return an RTP or RTCP packet with its tags."""
    protocol = b"rtcp" if 191 < packet.data[1] < 224 else b"rtp"
    tags = [_tag(_PROTOCOL, protocol)]
    for end, address in enumerate((packet.source[0], packet.destination[0])):
        ip = ipaddress.ip_address(address.partition("%")[0])
        tags.append(_tag(_ADDRESSES[ip.version][end], ip.packed))
    tags.append(_tag(_SOURCE_PORT, struct.pack("!I", packet.source[1])))
    tags.append(_tag(_DESTINATION_PORT, struct.pack("!I", packet.destination[1])))
    return b"".join(tags) + bytes(4) + packet.data


def _tag(code: int, value: bytes) -> bytes:
    value += bytes(-len(value) % 4)
    return struct.pack("!HH", code, len(value)) + value
