"""A client's request for a WebSocket, read by the listener and not answered yet."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Protocol

from websockets.utils import accept_key

from smproxy.http_head import Headers
from smproxy.manager.tracing import ClientTrace
from smproxy.manager.trusted_proxies import Requester, TrustedProxies

_FORGOTTEN = Headers()


class Keeper(Protocol):
    """Keeps the connection of an upgrade that has no answer yet, and counts it until it is gone."""

    def refuse(self, status: int, error: str) -> None:
        """Answer with an HTTP error and end the connection."""

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        """Give the connection to ``protocol``."""

    def gone(self) -> None:
        """Note that the connection is gone."""


class UpgradeRequest:
    """A client's WebSocket upgrade whose head was read and is valid; nothing has been answered.

    Someone must answer it: ``Relay.open``, ``Relay.refuse`` or ``reject``. Until then the client is not read from.
    ``rest`` is what the client sent after the head.
    """

    __slots__ = (
        "_accept",
        "_keeper",
        "answered",
        "closed",
        "headers",
        "host",
        "key",
        "path",
        "remote_ip",
        "remote_port",
        "rest",
        "secure",
        "subprotocols",
        "target",
        "trace",
        "transport",
    )

    def __init__(
        self,
        *,
        target: str,
        headers: Headers,
        key: str,
        subprotocols: tuple[str, ...],
        transport: asyncio.Transport,
        rest: bytes,
        keeper: Keeper,
        proxies: TrustedProxies | None = None,
    ) -> None:
        self.target = target
        self.path = target.partition("?")[0]
        self.headers = headers
        self.key = key
        self.subprotocols = subprotocols
        self.transport = transport
        self.rest = rest
        self.answered = False
        #: The trace of the client, if there is one.
        self.trace: ClientTrace | None = None
        self.closed = False  # whether the client left before it had an answer
        peer = transport.get_extra_info("peername")
        self.remote_ip, self.remote_port = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else ("", 0)
        self.secure = transport.get_extra_info("sslcontext") is not None
        self.host = headers.get("host", "")
        if proxies:
            self._believe(proxies)
        self._keeper = keeper
        self._accept = ""

    def __repr__(self) -> str:
        return f"<UpgradeRequest {self.path} from {self.remote_ip}>"  # never the query: it carries credentials

    def _believe(self, proxies: TrustedProxies) -> None:
        """Take the client's address, scheme and host from the headers of a trusted proxy."""
        peer = Requester(self.remote_ip, self.remote_port, self.secure, self.host)
        found = proxies.requester(peer, lambda name: self.headers.all(name.lower()))
        self.remote_ip, self.remote_port, self.secure, self.host = found.ip, found.port, found.secure, found.host

    @property
    def accept(self) -> str:
        """The ``Sec-WebSocket-Accept`` that fits the key, worked out once for both legs."""
        if not self._accept:
            self._accept = accept_key(self.key)
        return self._accept

    def reject(self, status: int, error: str) -> None:
        """Answer with an HTTP error, its reason in a JSON body, and close the connection.

        Raises:
            RuntimeError: when the request has been answered before.
        """
        self._answer()
        self._keeper.refuse(status, error)

    def claim(self, protocol: asyncio.Protocol) -> bytes:
        """Give the connection to ``protocol`` and return what came after the head.

        ``connection_made`` is not called; from its ``connection_lost`` the protocol must call ``gone``.

        Raises:
            RuntimeError: when the request has been answered before.
        """
        self._answer()
        rest, self.rest = self.rest, b""
        self._keeper.hand_over(protocol)
        return rest

    def forget(self) -> None:
        """Drop headers and query: they were a third of what an idle session kept."""
        self.headers = _FORGOTTEN
        self._accept = ""
        self.target = self.path
        self.trace = None

    def gone(self) -> None:
        """Report that the claimed connection is gone, so that it no longer counts."""
        self._keeper.gone()

    def _answer(self) -> None:
        if self.answered:
            raise RuntimeError(f"{self!r} has been answered")
        self.answered = True


def error_body(error: str, timestamp: int) -> bytes:
    """Write the body of every HTTP error; ``timestamp`` in Unix milliseconds."""
    return json.dumps({"errorMessage": error, "timestamp": timestamp}).encode()


def http_error(status: int, error: str, timestamp: int, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Write an HTTP error response that ends its connection."""
    body = error_body(error, timestamp)
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Access-Control-Allow-Origin: *",
        *(f"{name}: {value}" for name, value in headers),
        "Connection: close",
        "\r\n",
    ]
    return "\r\n".join(lines).encode() + body
