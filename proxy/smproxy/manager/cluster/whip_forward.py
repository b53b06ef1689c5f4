"""Requests about WHIP and WHEP sessions that another manager has begun."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

import aiohttp
from aiohttp import web

from smproxy.cluster.records import NodeRecord
from smproxy.manager.cluster.paths import KEY_HEADER
from smproxy.signaling.whip_urls import read_session

logger = logging.getLogger(__name__)

#: Seconds for the node of a session to begin its answer.
_ANSWER_WITHIN = 10.0
#: What is passed on of a request, and of its answer. Addresses in them are paths, which are the same at every manager.
_ASKED = ("Content-Type", "If-Match", "If-None-Match", "Accept", "Authorization", "Last-Event-ID")
_ANSWERED = (
    "Content-Type",
    "ETag",
    "Location",
    "Link",
    "Allow",
    "Accept-Patch",
    "Accept-Post",
    "Retry-After",
    "Cache-Control",
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WhipForward:
    """Has the manager answer that knows the session; the client need not know which one that is."""

    def __init__(self, http: aiohttp.ClientSession, managers: Callable[[], Sequence[NodeRecord]]) -> None:
        self._http = http
        self._managers = managers

    @staticmethod
    def is_for(request: web.Request) -> bool:
        """Return whether a request is about a session."""
        path = request.rel_url.raw_path
        return ("/whip/" in path or "/whep/" in path) and read_session(path) is not None

    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer here, or with what another manager answers when the session is not known here."""
        answer = await handler(request)
        managers = self._managers()
        if answer.status != 404 or answer.prepared or not managers:
            return answer
        found = await self._ask(request, await request.read(), managers)
        if found is None:
            return answer
        try:
            return await _pass_on(request, found)
        finally:
            found.close()

    async def _ask(
        self, request: web.Request, body: bytes, managers: Iterable[NodeRecord]
    ) -> aiohttp.ClientResponse | None:
        """Return the answer of the one that knows the session, whose body has not been read."""
        asked = [asyncio.create_task(self._send(request, body, each)) for each in managers]
        found: aiohttp.ClientResponse | None = None
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                for next_one in asyncio.as_completed(asked):
                    if (answer := await next_one) is not None:
                        found = answer
                        break
        except TimeoutError:
            logger.warning("no manager has answered a request about a session within %g s", _ANSWER_WITHIN)
        finally:
            for task in asked:
                task.cancel()
            for late in await asyncio.gather(*asked, return_exceptions=True):
                if isinstance(late, aiohttp.ClientResponse) and late is not found:
                    late.close()
        return found

    async def _send(self, request: web.Request, body: bytes, node: NodeRecord) -> aiohttp.ClientResponse | None:
        headers = {name: request.headers[name] for name in _ASKED if name in request.headers} | {KEY_HEADER: node.key}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=2.0)
        try:
            answer = await self._http.request(
                request.method,
                node.url + request.raw_path,
                headers=headers,
                data=body or None,
                allow_redirects=False,
                timeout=timeout,
            )
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
        if answer.status == 404:
            answer.close()
            return None
        return answer


async def _pass_on(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """Pass an answer on, or an event stream until it ends."""
    out = web.StreamResponse(status=answer.status)
    for name in _ANSWERED:
        for value in answer.headers.getall(name, ()):
            out.headers.add(name, value)
    await out.prepare(request)
    try:
        async for chunk in answer.content.iter_any():
            await out.write(chunk)
    except (aiohttp.ClientError, OSError) as error:
        logger.debug("an answer of another manager broke off: %s", error)
    return out
