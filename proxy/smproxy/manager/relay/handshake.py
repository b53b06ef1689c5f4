"""The opening handshakes of the relay, with the client and with the origin. No I/O.

The answer to the client, the request to the origin and its answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache, partial

from websockets.headers import build_host

from smproxy.http_head import BadRequest, parse_fields
from smproxy.manager.upgrade import UpgradeRequest

#: The subprotocol that the relay offers to origins of its own accord, as the vendor's proxy does.
JSON = "json"
_JSON_ALONE = (JSON,)

_target = re.compile(r"/[\x21-\x7e]*").fullmatch
_name = re.compile(r"[-!#$%&'*+.^_`|~0-9a-zA-Z]+").fullmatch
_value = re.compile(r"[\x20-\x7e]*").fullmatch
_status_line = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?").fullmatch


#: There are few origins, and telling an address from a name is slow.
_host = lru_cache(maxsize=1024)(partial(build_host, secure=False))


class HandshakeFailed(Exception):
    """The origin did not accept; the text is one line that says why."""


def switching(request: UpgradeRequest, subprotocol: str | None) -> bytes:
    """Write the 101 for a client. No extension is ever accepted."""
    chosen = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {request.accept}\r\n{chosen}\r\n"
    ).encode()


def offer(request: UpgradeRequest) -> tuple[str, ...]:
    """Return the subprotocols to offer to the origin: the client's, and ``json``."""
    offered = request.subprotocols
    if not offered:
        return _JSON_ALONE
    return offered if JSON in offered else (*offered, JSON)


def origin_request(request: UpgradeRequest, host: str, port: int, target: str, extra: Mapping[str, str]) -> bytes:
    """Write the request to the origin.

    It has the client's key, so that one ``Sec-WebSocket-Accept`` holds for both legs, its ``User-Agent``, and what the vendor's
    proxy adds about it. Nothing else of what the client sent goes on: no ``Origin``, as with the vendor's proxy, no cookies, no
    credentials, no forwarding headers and no attempt token of its own making.

    Raises:
        ValueError: ``target`` or ``extra`` has characters that do not belong there.
    """
    if _target(target) is None:
        raise ValueError("invalid character in the target of an origin request")
    agent = request.headers.get("user-agent")
    more = "" if agent is None else f"User-Agent: {agent}\r\n"
    if request.remote_port:  # a reverse proxy in front may not tell it
        more += f"X-Forwarded-For-Meta-Port: {request.remote_port}\r\n"
    for name, value in extra.items():
        if _name(name) is None or _value(value) is None:
            raise ValueError(f"invalid character in the header {name!r} of an origin request")
        more += f"{name}: {value}\r\n"
    return (
        f"GET {target} HTTP/1.1\r\n"
        f"Host: {_host(host, port)}\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {request.key}\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: {', '.join(offer(request))}\r\n"
        f"X-Forwarded-For: {request.remote_ip}\r\n"
        f"X-Forwarded-For-Meta-Secure: {'true' if request.secure else 'false'}\r\n"
        f"X-Forwarded-For-Meta-Type: {'WEB' if 'origin' in request.headers else 'DIRECT'}\r\n"
        f"{more}\r\n"
    ).encode("iso-8859-1")


def check_response(head: bytes, request: UpgradeRequest) -> str | None:
    """Check an origin's response head, with the empty line at its end.

    Return the subprotocol that it chose.

    Raises:
        HandshakeFailed: it is no acceptance of what was asked (RFC 6455, section 4.1).
    """
    line, _, lines = head[:-2].partition(b"\r\n")
    match = _status_line(line)
    if match is None:
        raise HandshakeFailed("the origin's answer is not HTTP/1.1")
    status = int(match[1])
    if status != 101:
        raise HandshakeFailed(f"the origin answered HTTP {status}")
    try:
        fields = parse_fields(lines)
    except BadRequest as error:
        raise HandshakeFailed(f"the origin's answer: {error}") from None
    headers: dict[str, str] = {}
    for name, value in fields:
        # A repeated header is one list (RFC 9110, 5.3), which none of these may be, save Connection.
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if headers.get("upgrade", "").lower() != "websocket":
        raise HandshakeFailed("the origin's answer is no upgrade to websocket")
    if "upgrade" not in headers.get("connection", "").lower():
        raise HandshakeFailed("the origin's answer lacks Connection: Upgrade")
    if headers.get("sec-websocket-accept") != request.accept:
        raise HandshakeFailed("the origin's Sec-WebSocket-Accept does not fit the key")
    if headers.get("sec-websocket-extensions"):
        raise HandshakeFailed("the origin chose an extension that was not offered")
    chosen = headers.get("sec-websocket-protocol")
    if chosen is not None and chosen not in offer(request):
        raise HandshakeFailed("the origin chose a subprotocol that was not offered")
    return chosen
