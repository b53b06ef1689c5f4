"""The host candidates of this machine (RFC 8445, 5.1.1), the loopback among them.

There is no STUN or TURN server and no name is ever resolved, so nothing here can hang. An ICE lite agent never sends the
first packet, so the candidates of the client are not needed at all: whatever it trickles can do no harm.
"""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import ifaddr

#: Sockets that one peer may open; a machine with many bridges does not make every publisher cost dozens.
MAX_ADDRESSES = 6
LOOPBACK = "127.0.0.1"
LOOPBACK_6 = "::1"
#: Seconds after which the network interfaces are looked at again: laptops change networks.
_FRESH = 10.0


@dataclass(frozen=True, slots=True)
class HostCandidate:
    """One host candidate, of UDP or a passive one of TCP.

    ``order`` is its place in the list: the first is preferred.
    """

    address: str
    port: int
    order: int
    tcp: bool = False

    def __str__(self) -> str:
        """Write the candidate attribute's value (RFC 8839, 5.1; RFC 6544, 4.5)."""
        if self.tcp:
            # Below all of UDP; 4 is the direction preference of a passive one (RFC 6544, 4.2).
            priority = (90 << 24) | ((4 << 13 | (8191 - self.order)) << 8) | 255
            foundation = zlib.crc32(b"tcp " + self.address.encode())
            return f"{foundation} 1 tcp {priority} {self.address} {self.port} typ host tcptype passive"
        priority = (126 << 24) | ((65535 - self.order) << 8) | 255
        foundation = zlib.crc32(self.address.encode())
        return f"{foundation} 1 udp {priority} {self.address} {self.port} typ host"


def choose_addresses(found: Iterable[str], *, ipv6_loopback: bool = False) -> tuple[str, ...]:
    """Return the addresses to listen on: IPv4, then IPv6, and the loopback always, at the end.

    The most useful ones come first. With ``ipv6_loopback`` that of IPv6 is there, too, if the machine has it.

    Link-local and multicast addresses are left out: they need a scope that a candidate cannot name.
    """
    usable: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = []
    loopbacks = [LOOPBACK]
    for text in found:
        if ipv6_loopback and text == LOOPBACK_6 and text not in loopbacks:
            loopbacks.append(text)
        try:
            ip = ipaddress.ip_address(text)
        except ValueError:
            continue
        if not (ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified) and ip not in usable:
            usable.append(ip)
    usable.sort(key=lambda ip: ip.version)
    return (*(str(ip) for ip in usable[: MAX_ADDRESSES - len(loopbacks)]), *loopbacks)


def host_addresses(*, ipv6_loopback: bool = False) -> tuple[str, ...]:
    """Look at the network interfaces and return the addresses to listen on."""
    found: list[str] = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            found.append(ip.ip if isinstance(ip.ip, str) else ip.ip[0])
    return choose_addresses(found, ipv6_loopback=ipv6_loopback)


class HostAddresses:
    """The addresses to listen on, looked up again now and then."""

    def __init__(self, monotonic: Callable[[], float], *, ipv6_loopback: bool = False) -> None:
        self._monotonic = monotonic
        self._ipv6_loopback = ipv6_loopback
        self._found: tuple[str, ...] = ()
        self._found_at = float("-inf")

    def __call__(self) -> tuple[str, ...]:
        """Return the addresses."""
        now = self._monotonic()
        if now - self._found_at > _FRESH:
            self._found, self._found_at = host_addresses(ipv6_loopback=self._ipv6_loopback), now
        return self._found
