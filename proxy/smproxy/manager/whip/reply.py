"""Headers of WHIP and WHEP exchanges: which ones are passed on; answers for aiohttp."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from aiohttp import ClientResponse, web
from multidict import CIMultiDict
from yarl import URL

from smproxy.faults.exchange_fault import Cut, HttpOutcome, Unanswered
from smproxy.manager.aiohttp_protocol import until_client_leaves
from smproxy.manager.whip.links import rewrite_links
from smproxy.signaling.http_exchange import HttpResponse

#: What an origin's answer tells a client; ``Location`` and ``Link`` are rewritten besides.
PASSED_ON = (
    "Content-Type", "ETag", "Accept-Post", "Accept-Patch", "Allow", "Retry-After", "WWW-Authenticate", "Cache-Control",
)  # fmt: skip

Headers = tuple[tuple[str, str], ...]


def passed_on(response: ClientResponse, to_client: Callable[[URL], str | None] | None) -> Headers:
    """Return the headers of an origin's response for its client.

    ``to_client`` replaces the origin's URLs by ours.
    """
    headers = tuple((name, response.headers[name]) for name in PASSED_ON if name in response.headers)
    links = rewrite_links(response.headers.getall("Link", []), to_client)
    return headers + tuple(("Link", link) for link in links)


def sent_on(headers: Mapping[str, str], remote_ip: str, secure: bool) -> dict[str, str]:
    """Return the headers of a client's request for the origin, and who the client is."""
    sent = {name: headers[name] for name in _SENT_ON if name in headers}
    return sent | {"X-Forwarded-For": remote_ip, "X-Forwarded-Proto": "https" if secure else "http"}


_SENT_ON = ("Content-Type", "If-Match", "If-None-Match", "Accept", "Authorization", "User-Agent", "Last-Event-ID")


async def send(request: web.Request, outcome: HttpOutcome) -> web.StreamResponse:
    """Answer a request, or leave it without an answer, as a fault says."""
    match outcome:
        case HttpResponse():
            return web.Response(status=outcome.status, headers=CIMultiDict(outcome.headers), body=outcome.body or None)
        case Cut(response=response):
            if response is not None:
                await _send_half(request, response)
            if request.transport is not None:
                request.transport.abort()
        case Unanswered():
            with contextlib.suppress(ConnectionResetError), until_client_leaves(request):
                await asyncio.Event().wait()
    return web.Response()  # which nobody gets


async def _send_half(request: web.Request, response: HttpResponse) -> None:
    """Send the head of a response and the first half of its body."""
    out = web.StreamResponse(status=response.status, headers=CIMultiDict(response.headers))
    out.content_length = len(response.body)
    await out.prepare(request)
    await out.write(response.body[: len(response.body) // 2])
