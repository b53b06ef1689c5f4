"""The head of an HTTP request, as a WebSocket proxy reads it (RFC 9112; RFC 6455, 4.2.1).

No I/O. ``websockets`` has the same checks as a generator that reads line by line; here the head is at hand as a whole, and one
regular expression over all of its header lines costs a tenth of that.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable

from websockets.exceptions import InvalidHeader
from websockets.headers import parse_connection, parse_subprotocol, parse_upgrade

#: Bytes of a request head, its first line included.
HEAD_LIMIT = 16 * 1024
#: Most header lines, as in websockets.
MAX_HEADERS = 128

_header_lines = re.compile(rb"(?:[-!#$%&'*+.^_`|~0-9a-zA-Z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*").fullmatch
_fields = re.compile(r"([^:\r]+):[\t ]*((?:[^\r]*[^\r\t ])?)[\t ]*\r\n").findall
_target = re.compile(r"/[\x21-\x7e]*").fullmatch
_absolute = re.compile(
    r"(?:https?|wss?)://((?:\[[0-9a-f:.]+\]|[^][/?#@:]+)(?::[0-9]*)?)((?:[/?].*)?)", re.IGNORECASE
).fullmatch
_request_line = re.compile(rb"([-!#$%&'*+.^_`|~0-9a-zA-Z]+) ([\x21-\x7e]+) (HTTP/1\.[0-9])").fullmatch

#: A second value of any of these makes the request ambiguous.
_SINGLE = frozenset(("host", "origin", "sec-websocket-key", "sec-websocket-version"))


class Headers(dict[str, str]):
    """The first value of each header field, by its name in lower case.

    ``repeated`` has the others.

    ``websockets`` has a class for that with more comfort; filling it was a fiftieth of a short session.
    """

    __slots__ = ("repeated",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self.repeated: dict[str, list[str]] = {}
        for name, value in fields:
            name = name.lower()
            if name in self:
                self.repeated.setdefault(name, []).append(value)
            else:
                self[name] = value

    def all(self, name: str) -> list[str]:
        """Return all values of a field in their order; ``name`` in lower case."""
        return [self[name], *self.repeated.get(name, ())] if name in self else []


class BadRequest(Exception):
    """A request that gets an HTTP error.

    It has ``status``, the text for ``errorMessage``, and headers for the response.
    """

    def __init__(self, status: int, text: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers


def parse_request_line(line: bytes) -> tuple[str, str, str]:
    """Return method, target and version of a request line without its line end.

    Raises:
        BadRequest: 400, it is none.
    """
    match = _request_line(line)
    if match is None:
        raise BadRequest(400, "malformed request line")
    method, target, version = match.groups()
    return method.decode(), target.decode(), version.decode()


def origin_form(target: str) -> tuple[str, str | None]:
    """Return a request target without scheme and authority, and its authority, if any.

    An absolute target has them (RFC 9112, 3.2.2).

    Raises:
        BadRequest: 400, it is absolute, but no http or https URL.
    """
    if target.startswith("/") or "://" not in target.partition("?")[0]:
        return target, None
    match = _absolute(target)
    if match is None:
        raise BadRequest(400, "malformed request target")
    authority, path = match.groups()
    return path if path.startswith("/") else f"/{path}", authority


def with_target(head: bytes, method: str, target: str, version: str, authority: str) -> bytes:
    """Rewrite a head for a target in origin form.

    The authority of the absolute one replaces ``Host`` (RFC 9112, 3.2.2).
    """
    _, *lines = head[:-4].split(b"\r\n")
    kept = [line for line in lines if line[:5].lower() != b"host:"]
    first = f"{method} {target} {version}".encode()
    return b"\r\n".join([first, f"Host: {authority}".encode(), *kept, b"", b""])


def parse_headers(lines: bytes) -> Headers:
    """Read header lines, each with its CRLF, without the empty line at the end.

    Raises:
        BadRequest: as ``parse_fields``.
    """
    return Headers(parse_fields(lines))


def parse_fields(lines: bytes) -> list[tuple[str, str]]:
    """Return names and values of header lines, each with its CRLF, in order.

    Raises:
        BadRequest: 400 when a line is malformed (folded lines count as such), 431 when there are too many.
    """
    if _header_lines(lines) is None:
        raise BadRequest(400, "malformed header line")
    fields: list[tuple[str, str]] = _fields(lines.decode("iso-8859-1"))
    if len(fields) > MAX_HEADERS:
        raise BadRequest(431, f"more than {MAX_HEADERS} header lines")
    return fields


def is_websocket(headers: Headers) -> bool:
    """Return whether the request asks for the WebSocket protocol.

    Another upgrade, such as ``h2c``, may be ignored.
    """
    if headers.get("upgrade", "").lower() == "websocket":
        return True
    try:
        return any(token.lower() == "websocket" for value in headers.all("upgrade") for token in parse_upgrade(value))
    except InvalidHeader:
        return False


def check_handshake(method: str, target: str, version: str, headers: Headers) -> tuple[str, tuple[str, ...]]:
    """Check a client's opening handshake; return its key and the subprotocols it offers.

    Raises:
        BadRequest: with the status that RFC 6455, section 4.2.1, or RFC 9110 asks for.
    """
    if method != "GET":
        raise BadRequest(405, "a WebSocket handshake is a GET request", (("Allow", "GET"),))
    if version != "HTTP/1.1":
        raise BadRequest(400, "a WebSocket handshake needs HTTP/1.1")
    if _target(target) is None:
        raise BadRequest(400, "malformed request target")
    if headers.repeated and (ambiguous := _SINGLE & headers.repeated.keys()):
        raise BadRequest(400, f"more than one {min(ambiguous)} header")
    if "host" not in headers:
        raise BadRequest(400, "missing Host header")
    if not _wants_upgrade(headers):
        raise BadRequest(400, "missing Connection: Upgrade header")
    if headers.get("sec-websocket-version") != "13":
        raise BadRequest(426, "only WebSocket version 13 is spoken here", (("Sec-WebSocket-Version", "13"),))
    if "transfer-encoding" in headers or any(value != "0" for value in headers.all("content-length")):
        raise BadRequest(400, "a WebSocket handshake has no body")
    key = headers.get("sec-websocket-key", "")
    try:
        length = len(binascii.a2b_base64(key, strict_mode=True))
    except ValueError:
        length = 0
    if length != 16:
        raise BadRequest(400, "Sec-WebSocket-Key is not 16 bytes in base64")
    offered: list[str] = []
    try:
        for value in headers.all("sec-websocket-protocol"):
            offered += parse_subprotocol(value)
    except InvalidHeader:
        raise BadRequest(400, "malformed Sec-WebSocket-Protocol header") from None
    return key, tuple(offered)


def _wants_upgrade(headers: Headers) -> bool:
    if headers.get("connection", "").lower() == "upgrade":
        return True
    try:
        return any(
            token.lower() == "upgrade" for value in headers.all("connection") for token in parse_connection(value)
        )
    except InvalidHeader:
        return False
