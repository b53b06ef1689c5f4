"""HTTP requests and responses as they stand in a session's transcript."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smproxy.faults.exchange_fault import HttpOutcome
from smproxy.signaling.http_exchange import HttpResponse

#: Characters of a body that are kept; of a longer one ``cut`` says that it is the beginning.
MAX_BODY = 24_000

#: Headers that are kept, in the transcript's own spelling. ``Authorization`` is not among them.
_HEADERS = {
    "Content-Type": "contentType",
    "If-Match": "ifMatch",
    "ETag": "etag",
    "Location": "location",
    "Link": "link",
    "Retry-After": "retryAfter",
}


def request_note(method: str, target: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Return what is kept of a request."""
    return {"request": f"{method} {target}"} | _kept(headers, body)


def response_note(outcome: HttpOutcome) -> dict[str, Any]:
    """Return what is kept of a response; ``status`` 0: a fault has left the request without one."""
    if not isinstance(outcome, HttpResponse):
        return {"status": 0}
    headers: dict[str, str] = {}
    for name, value in outcome.headers:  # repeated ones are one list (RFC 9110, 5.3)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return {"status": outcome.status} | _kept(headers, outcome.body)


def _kept(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    kept: dict[str, Any] = {key: headers[name] for name, key in _HEADERS.items() if name in headers}
    text = body.decode(errors="replace")
    return kept | ({"body": text[:MAX_BODY]} if body else {}) | ({"cut": True} if len(text) > MAX_BODY else {})
