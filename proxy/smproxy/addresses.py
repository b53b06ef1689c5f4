"""The names and addresses under which this machine is reached."""

from __future__ import annotations

import ipaddress

#: What to listen on for every interface.
WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound


def url_host(host: str) -> str:
    """Return a host for a URL: a wildcard becomes loopback, IPv6 gets brackets."""
    if host in {"0.0.0.0", "127.0.0.1", "localhost"}:  # noqa: S104 - compared, not bound
        return "localhost"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host


def machine_addresses() -> list[str]:
    """Return the IPv4 addresses of this machine's interfaces, loopback left out.

    Those of IPv6 change daily on many systems (RFC 8981), which no certificate could follow.
    """
    import ifaddr  # which --help need not pay for

    found = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str)]
    return [address for address in dict.fromkeys(found) if not ipaddress.ip_address(address).is_loopback]


def network_names(host: str, others: tuple[str, ...]) -> list[str]:
    """Return the names other than localhost under which a server on ``host`` is reached."""
    names = machine_addresses() if host in WILDCARDS else [host]
    return [name for name in dict.fromkeys([*names, *others]) if url_host(name) != "localhost" and name != "::1"]
