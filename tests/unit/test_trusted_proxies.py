"""Who a request comes from, as reverse proxies tell it."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.manager.trusted_proxies import Requester, TrustedProxies

PROXIES = TrustedProxies([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::7")])
PEER = Requester("10.0.0.1", 40000, secure=False, host="stream-manager:5080")


def requester(peer: Requester = PEER, **headers: Any) -> Requester:
    """Return who it is; headers are ``for_``, ``proto`` and ``host``, each one value or several lines."""
    fields = {"X-Forwarded-For": "for_", "X-Forwarded-Proto": "proto", "X-Forwarded-Host": "host"}

    def values(name: str) -> list[str]:
        given = headers.get(fields[name], [])
        return [given] if isinstance(given, str) else given

    return PROXIES.requester(peer, values)


@pytest.mark.parametrize(
    ("forwarded", "ip", "port"),
    [
        ("203.0.113.9", "203.0.113.9", 0),
        ("203.0.113.9:50001", "203.0.113.9", 50001),
        ("2001:db8::5", "2001:db8::5", 0),
        ("[2001:db8::5]", "2001:db8::5", 0),
        ("[2001:db8::5]:443", "2001:db8::5", 443),
        ("::ffff:203.0.113.9", "203.0.113.9", 0),
        # What the client made up stands left of what the proxies wrote.
        ("198.51.100.1, 203.0.113.9", "203.0.113.9", 0),
        ("203.0.113.9, 10.0.0.3", "203.0.113.9", 0),
        ("198.51.100.1, 203.0.113.9, 10.0.0.3, fd00::7", "203.0.113.9", 0),
        (["198.51.100.1", "203.0.113.9, 10.0.0.3"], "203.0.113.9", 0),
        # Nothing but proxies: the outermost.
        ("10.0.0.4, 10.0.0.3", "10.0.0.4", 0),
        # No address: what stands left of it may be made up as well.
        ("203.0.113.9, unknown", "10.0.0.1", 40000),
        ("203.0.113.9, unknown, 10.0.0.3", "10.0.0.3", 0),
        ("999.1.1.1", "10.0.0.1", 40000),
        ("fe80::1%eth0", "10.0.0.1", 40000),
        ("fe80::1%\x1b[31m", "10.0.0.1", 40000),
        ("", "10.0.0.1", 40000),
        (" , ,", "10.0.0.1", 40000),
    ],
)
def test_address(forwarded: str | list[str], ip: str, port: int) -> None:
    """The client is the right-most address that is no trusted proxy, in every way that proxies write one."""
    found = requester(for_=forwarded)
    assert (found.ip, found.port) == (ip, port)


@pytest.mark.parametrize("peer", ["203.0.113.9", "::1", "", "no address"])
def test_others_are_not_believed(peer: str) -> None:
    """Whoever connects without being trusted is who it is, whatever it sends."""
    stranger = Requester(peer, 1, secure=False, host="here")
    assert requester(stranger, for_="127.0.0.1", proto="https", host="localhost") == stranger


def test_a_proxy_in_ipv6_form() -> None:
    """A socket for IPv4 and IPv6 shows an IPv4 proxy as ``::ffff:10.0.0.1``."""
    assert requester(Requester("::ffff:10.0.0.1"), for_="203.0.113.9").ip == "203.0.113.9"


@pytest.mark.parametrize(
    ("proto", "secure"),
    [
        *(("https", True), ("HTTPS", True), ("wss", True), ("http", False), ("gopher", False), ("", False)),
        *(("http, https", True), (["http", "https"], True)),
    ],
)
def test_scheme(proto: str | list[str], secure: bool) -> None:
    """The scheme is the one that the proxy names; a client's own value stands left of it."""
    assert requester(for_="203.0.113.9", proto=proto).secure is secure


def test_several_proxies() -> None:
    """Of two proxies in a row the outer one, which the client reached, names scheme and host."""
    found = requester(
        for_="203.0.113.9, 10.0.0.3", proto="http, https, http", host="evil.example, media.example, inner"
    )
    assert (found.secure, found.host) == (True, "media.example")


@pytest.mark.parametrize(
    ("host", "found"),
    [
        *((good, good) for good in ("media.example", "media.example:8443", "[::1]:443")),
        *((bad, PEER.host) for bad in ("a/b", "a b", "user@host", "a\r\nb", "[::1", "")),
    ],
)
def test_host(host: str, found: str) -> None:
    """The host is the one that the client addressed, if it is one."""
    assert requester(for_="203.0.113.9", host=host).host == found


@given(st.lists(st.text(max_size=20), max_size=5), st.text(max_size=20), st.text(max_size=20))
def test_anything(forwarded: list[str], proto: str, host: str) -> None:
    """Whatever a proxy sends, the client has an address and the request goes on."""
    found = requester(for_=forwarded, proto=proto, host=host)
    ipaddress.ip_address(found.ip)
    assert found.host
