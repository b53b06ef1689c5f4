"""URLs and host names as users write them."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")


def read_url(text: str, *schemes: str) -> SplitResult:
    """Take apart a URL with a host and one of the schemes.

    Raises:
        ValueError: It cannot be dialled; the text says why and quotes nothing, as it may hold a password.
    """
    if not text.isprintable() or " " in text:
        raise ValueError("it contains a space or a control character")
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        raise ValueError("bad or missing host") from None
    if parts.scheme not in schemes:
        raise ValueError(f"it must start with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if not host:
        raise ValueError("it has no host")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("bad port")
    try:
        host_name(host)
    except ValueError:
        raise ValueError("bad or missing host") from None
    return parts


def host_name(text: str) -> str:
    """Return an IP address, or a host name as it goes to the resolver (RFC 5890).

    Raises:
        ValueError: It is neither.
    """
    text = text.removeprefix("[").removesuffix("]")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        name = text.encode("idna").decode()
    except UnicodeError:
        name = ""
    if not _NAME.fullmatch(name):
        raise ValueError("it takes a host name or an IP address, without scheme and port")
    return name
