"""IP and UDP headers made from a datagram's addresses (RFC 791, RFC 8200, RFC 768)."""

from __future__ import annotations

import ipaddress
import struct
from functools import lru_cache

from smproxy.capture.packet import Endpoint

_UDP = 17
_HOPS = 64


def with_headers(source: Endpoint, destination: Endpoint, data: bytes) -> bytes:
    """Return an IP packet that carries ``data`` in a UDP datagram."""
    here, there = _packed(source[0]), _packed(destination[0])
    if len(here) != len(there):
        # An IPv4 client of a socket for both is known by its mapped address at one end only.
        here, there = _mapped(here), _mapped(there)
    length = 8 + len(data)
    ports = struct.pack("!HHH", source[1], destination[1], length)
    pseudo = here + there + struct.pack("!HBBH", 0, 0, _UDP, length)
    # A sum of 0 is sent as its complement: 0 means that there is none.
    udp = ports + struct.pack("!H", _checksum(pseudo + ports + data) or 0xFFFF) + data
    if len(here) == 16:
        return struct.pack("!IHBB", 6 << 28, length, _UDP, _HOPS) + here + there + udp
    head = struct.pack("!BBHHHBB", 0x45, 0, 20 + length, 0, 0x4000, _HOPS, _UDP)
    return head + struct.pack("!H", _checksum(head + here + there)) + here + there + udp


@lru_cache(1024)
def _packed(address: str) -> bytes:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return bytes(4)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped.packed
    return ip.packed


def _mapped(address: bytes) -> bytes:
    return address if len(address) == 16 else bytes(10) + b"\xff\xff" + address


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
