"""Errors of connections in words."""

from __future__ import annotations

import os
import ssl

#: Characters of a reason.
LIMIT = 200


#: What OpenSSL makes of an answer that is no TLS.
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL")

#: Names of what libraries raise when a server closes the connection before it has answered.
_UNANSWERED = ("RemoteDisconnected", "ServerDisconnectedError", "InvalidMessage")


def connect_reason(error: BaseException) -> str:
    """Return why a client got no answer, also when the scheme of its URL is not the port's."""
    cause = getattr(error, "reason", None)
    cause = cause if isinstance(cause, BaseException) else error
    text = str(cause)
    if isinstance(cause, ssl.SSLError | OSError) and any(f"[SSL: {each}]" in text for each in _NO_TLS):
        return "no TLS is spoken there: use http or ws, or a port with TLS"
    if type(cause).__name__ in _UNANSWERED:
        return "the connection was closed without an answer: a port with TLS needs https or wss"
    return reason_of(cause)


def reason_of(error: BaseException) -> str:
    """Return why a connection failed, in one line without what an HTTP library says of itself."""
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    number = getattr(cause, "errno", None)
    if isinstance(number, int) and number > 0 and not isinstance(cause, ssl.SSLError):
        return os.strerror(number)
    return " ".join(str(getattr(cause, "strerror", None) or cause).split())[:LIMIT] or type(cause).__name__
