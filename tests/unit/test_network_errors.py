"""Why a connection failed is told in words, without those of an HTTP library."""

from __future__ import annotations

import errno
import socket
import ssl
from http.client import RemoteDisconnected
from urllib.error import URLError

import pytest
from aiohttp import ClientConnectorError, ServerDisconnectedError
from aiohttp.client_reqrep import ConnectionKey
from smproxy.network_errors import LIMIT, connect_reason, reason_of
from websockets.exceptions import InvalidMessage

KEY = ConnectionKey("localhost", 5080, False, True, None, None, None)


def test_a_scheme_that_is_not_the_port_s() -> None:
    """Who asks a plain port for TLS, or a port with TLS for none, is told so, whichever library asked."""
    no_tls = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:992)")
    for error in (no_tls, URLError(no_tls), ClientConnectorError(KEY, no_tls)):
        assert connect_reason(error) == "no TLS is spoken there: use http or ws, or a port with TLS"
    for error in (
        RemoteDisconnected("x"),
        ServerDisconnectedError(),
        InvalidMessage("x"),
        URLError(RemoteDisconnected("x")),
    ):
        assert (
            connect_reason(error) == "the connection was closed without an answer: a port with TLS needs https or wss"
        )
    assert connect_reason(URLError(ConnectionRefusedError(errno.ECONNREFUSED, "x"))) == "Connection refused"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "Connect call failed ('::1', 5080)")),
            "Connection refused",
        ),
        (ConnectionResetError(errno.ECONNRESET, "x"), "Connection reset by peer"),
        (ClientConnectorError(KEY, socket.gaierror(socket.EAI_NONAME, "Name not known")), "Name not known"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version"), "[SSL: WRONG_VERSION_NUMBER] wrong version"),
        (ServerDisconnectedError(), "Server disconnected"),
        (OSError("two\nlines"), "two lines"),
        (ValueError(), "ValueError"),
        (ValueError("x" * 1000), "x" * LIMIT),
    ],
)
def test_reason(error: Exception, reason: str) -> None:
    """A refused, reset, unknown or unencrypted peer is told as the system tells it, in one bounded line."""
    assert reason_of(error) == reason
