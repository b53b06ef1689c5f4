"""Errors of connections in words."""

from __future__ import annotations

import os
import ssl

#: Characters of a reason.
LIMIT = 200


def reason_of(error: BaseException) -> str:
    """Return why a connection failed, in one line without what an HTTP library says of itself."""
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    number = getattr(cause, "errno", None)
    if isinstance(number, int) and number > 0 and not isinstance(cause, ssl.SSLError):
        return os.strerror(number)
    return " ".join(str(getattr(cause, "strerror", None) or cause).split())[:LIMIT] or type(cause).__name__
