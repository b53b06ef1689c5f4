"""CORS: pages of any origin may call, with and without credentials.

The access rule decides what they may do.

Source: Fetch standard, section 3.2. A request with credentials is answered only where its origin is named and not ``*``.
"""

from __future__ import annotations

from aiohttp import web

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
#: What a page may read beyond the headers that need no permission.
_EXPOSED = "Location, Link, ETag, Session-Host, Retry-After, WWW-Authenticate, Accept-Post, Accept-Patch, Allow"
#: Seconds for which a browser need not ask again.
_MAX_AGE = "600"


def is_preflight(request: web.BaseRequest) -> bool:
    """Return whether a browser asks what a page may send."""
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


async def add_headers(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Add the headers with which a browser hands a response to its page.

    A signal handler of aiohttp's ``on_response_prepare``.
    """
    if response.status == 101:
        return
    origin = request.headers.get("Origin")
    headers = response.headers
    headers["Access-Control-Allow-Origin"] = origin or "*"
    if origin is not None:
        headers["Access-Control-Allow-Credentials"] = "true"
        headers.add("Vary", "Origin")
    headers["Access-Control-Expose-Headers"] = _EXPOSED
    if is_preflight(request):
        asked = request.headers.get("Access-Control-Request-Headers")
        headers["Access-Control-Allow-Methods"] = _METHODS
        headers["Access-Control-Allow-Headers"] = asked or "content-type, authorization, if-match"
        headers["Access-Control-Max-Age"] = _MAX_AGE
