"""The HTTP requests of WHIP and WHEP on aiohttp."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web

from smproxy.origin.connection_request import read_attempt
from smproxy.origin.whip.events import EventStream
from smproxy.origin.whip.exchanges import HttpExchanges
from smproxy.signaling.http_exchange import HttpRequest, HttpResponse, problem
from smproxy.signaling.node_channel import ATTEMPT_HEADER
from smproxy.signaling.whip import MAX_SDP
from smproxy.signaling.whip_urls import read_whip_target

#: Seconds that a body may take.
_BODY_TIMEOUT = 10.0
#: Seconds between comments on an event stream that is silent.
_KEEP_ALIVE = 15.0


class WhipHandler:
    """Answers every HTTP request on the origin's port."""

    def __init__(self, exchanges: HttpExchanges) -> None:
        self._exchanges = exchanges

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Respond to a request."""
        path, _, query = request.raw_path.partition("?")
        target = read_whip_target(path)
        if target is None:
            return _written(problem(404, "There is nothing here: WHIP is at /{scope}/whip/endpoint/{name}."))
        if request.method == "GET" and (stream := self._exchanges.event_stream(target)) is not None:
            return await _send_events(request, stream)
        try:
            async with asyncio.timeout(_BODY_TIMEOUT):
                body = await _read_body(request)
        except TimeoutError:
            return _written(problem(408, f"The body did not come within {_BODY_TIMEOUT:g} s."))
        if body is None:
            return _written(problem(413, f"The body is longer than {MAX_SDP} bytes."))
        headers = {name.lower(): value for name, value in request.headers.items()}
        exchanged = HttpRequest(request.method, path, query, headers, body)
        attempt = read_attempt(request.headers.get(ATTEMPT_HEADER))
        return _written(await self._exchanges.handle(target, exchanged, attempt))


async def _read_body(request: web.BaseRequest) -> bytes | None:
    """Read the body; ``None`` when it is too long."""
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MAX_SDP:
            return None
    return bytes(body)


def _written(response: HttpResponse) -> web.Response:
    written = web.Response(status=response.status, body=response.body or None)
    for name, value in response.headers:
        written.headers.add(name, value)
    return written


async def _send_events(request: web.BaseRequest, stream: EventStream) -> web.StreamResponse:
    """Send events until the stream ends or its client is gone."""
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    with suppress(ConnectionError):
        while True:
            try:
                async with asyncio.timeout(_KEEP_ALIVE):
                    event = await stream.get()
            except TimeoutError:
                event = b":\n\n"
            if event is None:
                break
            await response.write(event)
        await response.write_eof()
    return response
