"""What every route shares: CORS, and errors in the form that stream manager clients parse."""

from __future__ import annotations

import hmac
import ipaddress
import logging
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from yarl import URL

from smproxy.signaling.clock import Clock

logger = logging.getLogger(__name__)

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "content-type, authorization",
    "Access-Control-Expose-Headers": "Location, Link, Session-Host",
    "Access-Control-Max-Age": "600",
}


_FOREIGN = (
    "Pages of other sites need --admin-token, and its token as accessToken; "
    "pages of this server are to be opened as localhost or by IP address."
)


class ApiError(Exception):
    """A refusal: an HTTP status and one sentence."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


def json_response(value: Any, *, status: int = 200) -> web.Response:
    """Answer with JSON; the vendor's extension insists on the content type."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def error_response(status: int, message: str, clock: Clock) -> web.Response:
    """Answer with the error body of the stream manager's interface."""
    return json_response({"errorMessage": message, "timestamp": clock.wall_ms()}, status=status)


def make_middleware(clock: Clock) -> Middleware:
    """Make the outermost middleware: answers preflights, adds CORS headers, and words every error."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        response: web.StreamResponse
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response = web.Response(status=204)
        else:
            try:
                response = await handler(request)
            except ApiError as error:
                response = error_response(error.status, str(error), clock)
            except web.HTTPException as error:
                response = error_response(error.status, f"{error.reason}: {request.method} {request.path}", clock)
                if "Allow" in error.headers:
                    response.headers["Allow"] = error.headers["Allow"]
            except Exception:
                logger.exception("%s %s failed", request.method, request.path)
                response = error_response(500, "Internal error: see the log of the stream manager.", clock)
        if not response.prepared:
            response.headers.update(_CORS)
        return response

    return middleware


def require_token(request: web.Request, token: str | None) -> None:
    """Check ``accessToken``, or ``Authorization: Bearer``, in constant time.

    Where no token is set none is asked for, but a page of another site is turned away: whoever visits it while the simulator
    runs has not asked for its help.

    Raises:
        ApiError: 401, the token is missing or wrong; 403, there is none and a page of another site asks.
    """
    if token is None:
        origin = request.headers.get("Origin")
        if not _is_local(origin) and not _is_own_address(origin, request):
            raise ApiError(403, _FOREIGN)
        return
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    given = request.query.get("accessToken") or (bearer.strip() if scheme.lower() == "bearer" else "")
    if not hmac.compare_digest(given.encode(errors="replace"), token.encode(errors="replace")):
        raise ApiError(401, "The accessToken is missing or wrong.")


def _is_local(origin: str | None) -> bool:
    """Say whether a page's origin is on this machine; a client that is no page has none."""
    if origin is None:
        return True
    try:
        host = URL(origin).host or ""
        return host == "localhost" or host.endswith(".localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_own_address(origin: str | None, request: web.Request) -> bool:
    """Say whether a page came from here, opened by an IP address.

    A host *name* that is the same proves nothing: its owner can let it point here after the page was loaded (DNS rebinding).
    An address cannot be made to point elsewhere, so a page of this address and port was loaded from this address and port.
    """
    try:
        page, here = URL(origin or ""), URL(f"{request.scheme}://{request.host}")
        ipaddress.ip_address(page.host or "")
        return page.origin() == here.origin()
    except ValueError:
        return False
