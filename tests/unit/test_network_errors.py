"""Why a connection failed is told in words, without those of an HTTP library."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest
from aiohttp import ClientConnectorError, ServerDisconnectedError
from aiohttp.client_reqrep import ConnectionKey
from smproxy.network_errors import LIMIT, reason_of

KEY = ConnectionKey("localhost", 5080, False, True, None, None, None)


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
