"""The packets of a session whose media are at another node than its manager."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from smproxy.capture.pcapng import MEDIA_TYPE
from smproxy.cluster.records import NodeRecord
from smproxy.manager.cluster.paths import CAPTURE, KEY_HEADER
from smproxy.manager.origin_registry import Capture
from smproxy.manager.rest.errors import ApiError
from smproxy.manager.session_captures import follow

#: Seconds within which a node answers, and the longest time that an answer may go on for.
_ANSWER_WITHIN = 2.0
_MAX_SECONDS = 3_600.0


async def serve_capture(request: web.Request, capture: Capture | None) -> web.StreamResponse:
    """Send the packets of an attempt at this node's origin, without the beginning of a file."""
    try:
        seconds = float(request.query.get("seconds", "0"))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= _MAX_SECONDS:
        raise ApiError(400, f"seconds must be a number from 0 to {_MAX_SECONDS:g}.")
    ring = None if capture is None else capture(request.query.get("attempt", ""), seconds > 0)
    if ring is None:
        raise ApiError(404, "Nothing is captured of this attempt.")
    response = web.StreamResponse(headers={"Content-Type": MEDIA_TYPE})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        async for data in follow(ring, seconds, asyncio.get_running_loop().time):
            await response.write(data)
    return response


@asynccontextmanager
async def open_capture(
    http: aiohttp.ClientSession, node: NodeRecord, attempt: str, seconds: float
) -> AsyncIterator[AsyncIterator[bytes] | None]:
    """Ask another node for the packets of an attempt; ``None`` when it has none.

    Raises:
        ConnectionError: it does not answer.
    """
    try:
        async with asyncio.timeout(_ANSWER_WITHIN):
            response = await http.get(
                node.url + CAPTURE,
                params={"attempt": attempt, "seconds": f"{seconds:g}"},
                headers={KEY_HEADER: node.key},
                timeout=aiohttp.ClientTimeout(total=None),
            )
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise ConnectionError(str(error) or "no answer") from None
    try:
        yield _chunks(response) if response.status == 200 else None
    finally:
        response.close()


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Give what comes; what breaks off is shorter, as when the origin is gone."""
    with contextlib.suppress(aiohttp.ClientError, OSError):
        async for chunk in response.content.iter_any():
            yield chunk
