"""Shared by all routes: access, limits of the body, and errors in one form."""

from __future__ import annotations

import logging
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web_protocol import RequestPayloadError

from smproxy.manager.access import AccessError, AccessRule
from smproxy.manager.aiohttp_protocol import BodyTooSlowError, begun, timed_body
from smproxy.manager.rest.cors import is_preflight
from smproxy.manager.trusted_proxies import Requester, TrustedProxies
from smproxy.signaling.clock import Clock
from smproxy.signaling.http_exchange import PROBLEM, problem
from smproxy.signaling.whip_urls import read_endpoint, read_session

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Paths of Stream Manager 2.0. Its documents call the key ``error``, the vendor's pages read ``errorMessage``.
_MANAGER_2 = ("/as/v1/", "/auth/login")


class ApiError(Exception):
    """A refusal: an HTTP status and one sentence."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class BodyError(ApiError):
    """A body that cannot be had: nothing that follows on the connection can be understood."""


def json_response(value: Any, *, status: int = 200) -> web.Response:
    """Answer with JSON; the vendor's extension insists on the content type."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def error_response(status: int, message: str, clock: Clock, *, path: str = "") -> web.Response:
    """Answer with the interface's error body; that of Stream Manager 2.0 has ``error``, too."""
    body = {"errorMessage": message, "timestamp": clock.wall_ms()}
    return json_response({"error": message, **body} if path.startswith(_MANAGER_2) else body, status=status)


def make_middleware(clock: Clock, access: AccessRule, proxies: TrustedProxies | None = None) -> Middleware:
    """Make the middleware: preflights, access rule, reading of bodies, and all error answers.

    Behind a proxy of ``proxies`` every handler sees the client's address, scheme and host.

    A handler finds the whole body read: whatever can go wrong with it on the way is answered here.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        response: web.StreamResponse
        begun(request)
        if proxies:
            request = _as_sent(request, proxies)
        if is_preflight(request):
            response = web.Response(status=204)
        else:
            try:
                access.check(request)
                await _read_body(request)
                response = await handler(request)
            except BodyError as error:
                response = _body_refusal(request, error, clock)
                response.force_close()
            except (ApiError, AccessError) as error:
                response = error_response(error.status, str(error), clock, path=request.path)
            except web.HTTPException as error:
                response = error_response(
                    error.status, f"{error.reason}: {request.method} {request.path}", clock, path=request.path
                )
                if "Allow" in error.headers:
                    response.headers["Allow"] = error.headers["Allow"]
            except ConnectionError:
                response = error_response(400, "The client has left.", clock)
            except Exception:
                logger.exception("%s %s failed", request.method, request.path)
                response = error_response(500, "Internal error: see the log of the stream manager.", clock)
        return response

    return middleware


def _body_refusal(request: web.Request, error: BodyError, clock: Clock) -> web.Response:
    """Answer in the form of the interface asked for: at WHIP and WHEP a problem (RFC 9457)."""
    path = request.rel_url.raw_path
    if read_endpoint(path) is None and read_session(path) is None:
        return error_response(error.status, str(error), clock, path=request.path)
    return web.Response(body=problem(error.status, str(error)).body, status=error.status, content_type=PROBLEM)


def _as_sent(request: web.Request, proxies: TrustedProxies) -> web.Request:
    """Return the request as its client sent it to the proxy in front, where that is trusted."""
    peer = Requester(request.remote or "", secure=request.secure, host=request.host)
    found = proxies.requester(peer, lambda name: request.headers.getall(name, ()))
    if found == peer:
        return request
    return request.clone(remote=found.ip, scheme="https" if found.secure else "http", host=found.host)


async def _read_body(request: web.Request) -> None:
    """Read the body, so that the handler has it.

    Raises:
        BodyError: it cannot be had: too slow, too long, broken, or its client has left.
    """
    if not request.can_read_body:
        return
    try:
        with timed_body(request):
            await request.read()
    except BodyTooSlowError:
        request.content.feed_eof()  # or aiohttp would go on reading
        raise BodyError(408, "The request body took too long.") from None
    except web.HTTPRequestEntityTooLarge as error:
        raise BodyError(413, f"The request body is longer than {request._client_max_size} bytes.") from error
    except (RequestPayloadError, ConnectionError) as error:
        request.content.feed_eof()
        reason = " ".join(str(error).split()) or "the client has left"
        raise BodyError(400, f"The request body cannot be read: {reason}") from None


async def read_json(request: web.Request, kind: type[T], form: str) -> T:
    """Read a body in JSON. ``form`` shows what it looks like, for who got it wrong.

    Raises:
        ApiError: 400, it is no JSON, or not of this form.
    """
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, f"The body is {form} in JSON: {error}") from None
    except RecursionError:
        raise ApiError(400, f"The body is {form} in JSON, not nested as deep as this.") from None
