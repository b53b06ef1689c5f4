"""The client behind reverse proxies that are trusted: its address, scheme and host.

No I/O. Nobody else's ``X-Forwarded-…`` headers are believed: whoever connects can send them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Values: TypeAlias = Callable[[str], Sequence[str]]
"""Gives all values of a header field, in their order."""

#: An address with a port, as some proxies write it in ``X-Forwarded-For``.
_with_port = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?").fullmatch
_authority = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?").fullmatch


@dataclass(frozen=True, slots=True)
class Requester:
    """Who a request comes from, and how it addressed the server.

    ``port`` 0: unknown.
    """

    ip: str
    port: int = 0
    secure: bool = False
    host: str = ""


class TrustedProxies:
    """The networks whose ``X-Forwarded-For``, ``-Proto`` and ``-Host`` are believed."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = tuple(networks)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trusts(self, ip: str) -> bool:
        """Return whether an address is one of a trusted proxy."""
        try:
            address = _plain(ip)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def requester(self, peer: Requester, values: Values) -> Requester:
        """Return who sent a request that came from ``peer``.

        That is the right-most address of ``X-Forwarded-For`` that is no trusted proxy: whatever stands left of it, the
        client may have written. Where it ends in nonsense the last good address counts.
        """
        if not self._networks or not self.trusts(peer.ip):
            return peer
        ip, port, hops = peer.ip, peer.port, 0
        for text in reversed(_listed(values("X-Forwarded-For"))):
            hop = _read_hop(text)
            if hop is None:
                break
            (ip, port), hops = hop, hops + 1
            if not self.trusts(ip):
                break
        scheme = _at_hop(values("X-Forwarded-Proto"), hops).lower()
        host = _at_hop(values("X-Forwarded-Host"), hops)
        return Requester(
            ip=ip,
            port=port,
            secure=scheme in ("https", "wss") if scheme in ("http", "ws", "https", "wss") else peer.secure,
            host=host if _authority(host) else peer.host,
        )


def _read_hop(text: str) -> tuple[str, int] | None:
    """Return address and port of a hop; ``None`` for what is no address.

    One with a zone (RFC 4007) means something on the proxy only, and a zone can be any text.
    """
    if "%" in text:
        return None
    try:
        return str(_plain(text)), 0
    except ValueError:
        found = _with_port(text)
    try:
        return None if found is None else (str(_plain(found[1] or found[2])), int(found[3] or 0))
    except ValueError:
        return None


def _plain(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Read an address; one of IPv4 in IPv6 form, as a socket for both has it, becomes plain."""
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _listed(values: Iterable[str]) -> list[str]:
    return [item.strip() for value in values for item in value.split(",") if item.strip()]


def _at_hop(values: Iterable[str], hops: int) -> str:
    """Return the value of the outermost trusted proxy; each has added one, or replaced all."""
    listed = _listed(values)
    if not listed:
        return ""
    return listed[-hops] if 0 < hops <= len(listed) else listed[-1] if not hops else listed[0]
