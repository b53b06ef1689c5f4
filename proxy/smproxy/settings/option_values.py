"""Read the values of options: each takes a text, and raises ``ValueError`` with one line."""

from __future__ import annotations

import fnmatch
import ipaddress
import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smproxy.signaling.optional_hooks import OptionalHook
from smproxy.signaling.params import NAME_LIMIT
from smproxy.signaling.whip import IceServer
from smproxy.urls import host_name, read_url

if TYPE_CHECKING:
    from smproxy.faults.written import WrittenFault

#: Where a directory of pages is served, unless a path is named.
PAGES_PATH = "/webrtcexamples/"
_PATH_SEGMENT = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_OWN_PATHS = frozenset(
    {"api", "as", "auth", "cluster", "conference-api", "healthz", "metrics", "picture-check.js", "publish", "sdk",
     "streammanager", "subscribe", "web"}
)  # fmt: skip

#: The port on which Red5 origins take signaling.
ORIGIN_PORT = 5080


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port to dial."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == ORIGIN_PORT else f"{host}:{self.port}"


def _whole(least: int, most: int, message: str) -> Callable[[str], int]:
    """Make a parser of whole numbers; ``message`` names the bounds."""

    def parse(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
        if not least <= number <= most:
            raise ValueError(message)
        return number

    return parse


def _number(least: float, most: float, message: str) -> Callable[[str], float]:
    """Make a parser of numbers; ``message`` names the unit and the bounds."""

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not least <= number <= most:
            raise ValueError(message)
        return number

    return parse


port = _whole(0, 65535, "a port is a whole number from 0 to 65535")
node = _whole(0, 2**32 - 1, "a node is a whole number from 0 to 4294967295")
seed = _whole(0, 2**53 - 1, "a seed is a whole number from 0 to 9007199254740991")
count = _whole(1, 10**9, "it takes a whole number from 1 to 1000000000")
seconds = _number(0, 86_400, "it takes seconds, from 0 to 86400")
positive_seconds = _number(0.1, 86_400, "it takes seconds, from 0.1 to 86400")
days = _number(sys.float_info.min, 3650, "it takes days, up to 3650")
minutes = _number(sys.float_info.min, 10**7, "it takes minutes, above 0")


def flag(text: str) -> bool:
    """Read true or false."""
    value = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.strip().lower())
    if value is None:
        raise ValueError("it is true or false")
    return value


def on_off(text: str) -> bool:
    """Read on or off, or true or false."""
    value = {"on": True, "off": False}.get(text.strip().lower())
    return flag(text) if value is None else value


def fault(text: str) -> WrittenFault:
    """Read a fault: ``NAME[:KEY=VALUE…]``."""
    from smproxy.faults.written import read_fault  # which --help need not pay for

    return read_fault(text)


def no_flag(text: str) -> bool:
    """Read a switch that turns something off."""
    return not flag(text)


def address(text: str) -> Address:
    """Read a host with or without a port."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s\[\]/:@]+))(?::([0-9]+))?", text)
    if match is None:
        raise ValueError("it takes HOST or HOST:PORT, an IPv6 address in brackets")
    found = Address(host_name(match[1] or match[2]), port(match[3]) if match[3] else ORIGIN_PORT)
    if found.port == 0:
        raise ValueError("port 0 cannot be dialled")
    return found


def ip_address(text: str) -> str:
    """Read an IPv4 or IPv6 address."""
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise ValueError("it takes an IPv4 or IPv6 address, such as 192.0.2.7") from None


def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Read an address, or a network in CIDR notation."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ValueError("it takes an address or a network, such as 192.0.2.7 or 10.0.0.0/8") from None


def pages(text: str) -> tuple[str, Path]:
    """Read a directory of pages, with the path to serve it at or without."""
    path, directory = PAGES_PATH, text
    if text.startswith("/") and "=" in text:
        path, _, directory = text.partition("=")
    segments = path.strip("/").split("/")
    if not all(_PATH_SEGMENT.fullmatch(segment) for segment in segments):
        raise ValueError("PATH is made of letters, digits, - and _, such as /my/pages/")
    if segments[0] in _OWN_PATHS:
        raise ValueError(f"/{segments[0]} is a path of the stream manager's own: give another PATH")
    if not directory:
        raise ValueError("it takes a directory, or PATH=DIR")
    return f"/{'/'.join(segments)}/", Path(directory)


def token(text: str) -> str:
    """Read a token, which must not be empty."""
    if not text.strip():
        raise ValueError("an empty token protects nothing: leave the option out, or give one")
    return text


def pattern(text: str) -> str:
    """Read a pattern of host names, in lower case."""
    if not text or re.search(r"[\s/]", text) or text.count(":") == 1:
        raise ValueError("it takes a host pattern without a port, such as 10.1.* or *.example.com")
    fnmatch.translate(text)
    return text.lower()


def choice(*choices: str) -> Callable[[str], str]:
    """Make a parser that takes one of some words, in lower case."""

    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"choose one of {', '.join(choices)}")
        return text.lower()

    return parse


def customer_scope(text: str) -> str:
    """Read a name, or ``required`` or ``optional``."""
    if not text.strip() or not text.isprintable() or len(text) > NAME_LIMIT:
        raise ValueError("it takes a name of at most 255 characters, required, or optional")
    return text.lower() if text.lower() in ("required", "optional") else text


def app(text: str) -> str:
    """Read the name of an application."""
    app = text.strip("/")
    if not app or not app.isprintable():
        raise ValueError("it takes an application name such as live")
    return app


def path(text: str) -> str | None:
    """Read a path, ``None`` when it is empty."""
    if not text.isprintable() or " " in text:
        raise ValueError("it takes a path such as /validateCredentials")
    return text or None


def takeover(text: str) -> str:
    """Read a form of ``--takeover``."""
    takeover_after(text)
    return text.lower()


def takeover_after(text: str) -> float | None:
    """Return after how many seconds a live name may be taken over; ``None`` for never.

    Raises:
        ValueError: it is none of the forms of ``--takeover``.
    """
    match text.lower().split("=", 1):
        case ["never"]:
            return None
        case ["always"]:
            return 0.0
        case ["after", wait]:
            return seconds(wait)
    raise ValueError("it takes never, always or after=S")


def ice_server(text: str) -> IceServer:
    """Read a STUN or TURN server."""
    url, *rest = text.split(",", 2)
    scheme = url.partition(":")[0].lower()
    if scheme not in ("stun", "stuns", "turn", "turns") or not url.isprintable() or set(url) & set(' <>"'):
        raise ValueError("it takes stun:HOST[:PORT] or turn:HOST[:PORT],USER,PASSWORD")
    if len(rest) != (2 if scheme.startswith("turn") else 0) or any(set(each) & set('"\\') for each in rest):
        raise ValueError(
            "a TURN server takes a user and a password, turn:HOST:PORT,USER,PASSWORD; a STUN server neither"
        )
    return IceServer(url, *rest)


_MEGABYTES = {"": 1, "mb": 1, "m": 1, "gb": 1000, "g": 1000, "tb": 1_000_000, "t": 1_000_000}


def megabytes(text: str) -> int:
    """Read a size; return megabytes."""
    match = re.fullmatch(r"([0-9]{1,9})\s*([a-z]*)", text.strip().lower())
    size = int(match[1]) * _MEGABYTES.get(match[2], 0) if match else 0
    if not 0 < size <= 10**9:
        raise ValueError("it takes a size such as 500 (megabytes), 500MB or 20GB")
    return size


def endpoint(text: str) -> str | None:
    """Read the URL of a hook receiver; empty, as in the real file, when there is none."""
    return hook_uri(text) if text else None


#: What a node of a cluster may do.
ROLES = ("manager", "origin", "edge")
DEFAULT_ROLES = ("manager", "origin")


def hook_uri(text: str) -> str:
    """Read the URL of a hook receiver."""
    from smproxy.hooks.sinks.uris import parse_hook_uri  # aiohttp is not needed to print --help

    parse_hook_uri(text)
    return text


def auth(text: str) -> str:
    """Read what decides on credentials."""
    kind, _, value = text.partition(":")
    if kind.lower() not in ("jwt", "digest", "file") or not value:
        raise ValueError("it takes jwt:SECRET, digest:SECRET or file:PATH")
    if kind.lower() == "jwt" and len(value.encode()) < 32:  # RFC 7518, 3.2
        raise ValueError("a secret for JSON Web Tokens has 32 bytes at least")
    return f"{kind.lower()}:{value}"


def back_end(text: str) -> str:
    """Read the base URL of an authentication back end."""
    if read_url(text, "http", "https").query:
        raise ValueError("it is a base without a query, such as http://localhost:3000")
    return text


def protocol(text: str) -> str:
    """Read ``http://`` or ``https://``."""
    if text.removesuffix("://") not in ("http", "https"):
        raise ValueError("it is http:// or https://")
    return text


def http_url(text: str) -> str:
    """Read the URL of an HTTP server."""
    read_url(text, "http", "https")
    return text


def registry(text: str) -> str:
    """Read the URL of a NATS server."""
    read_url(text, "nats", "tls")
    return text


def hook_events(text: str) -> tuple[OptionalHook, ...]:
    """Read the names of hooks that are sent on request only; ``all``: all of them."""
    names = tuple(dict.fromkeys(each.strip() for each in text.split(",")))
    if names == ("all",):
        return tuple(OptionalHook)
    if not set(names) <= set(OptionalHook):
        raise ValueError(f"it takes {', '.join(OptionalHook)} with commas between, or all")
    return tuple(OptionalHook(name) for name in names)


def roles(text: str) -> tuple[str, ...]:
    """Read the roles of a node."""
    names = tuple(dict.fromkeys(each.strip() for each in text.split(",")))
    if not set(names) <= set(ROLES):
        raise ValueError(f"it takes {', '.join(ROLES[:-1])} or {ROLES[-1]}, or two with a comma between")
    if {"origin", "edge"} <= set(names):
        raise ValueError("a node is an origin or an edge: an origin serves subscribers, too, and pulls what it lacks")
    return names


def region(text: str) -> str:
    """Read the name of a region."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise ValueError("it takes up to 64 letters, digits, dots, hyphens and underscores")
    return text


def node_id(text: str) -> str:
    """Read the name of a node."""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", text):
        raise ValueError("it takes up to 32 lower-case letters, digits and hyphens")
    return text


def cluster_ttl(text: str) -> float:
    """Read the seconds after which a silent node is dead."""
    seconds = float(text)
    if not 1.0 <= seconds <= 600.0:
        raise ValueError("it takes 1 to 600 seconds")
    return seconds
