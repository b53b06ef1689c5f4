"""Handlers that are made when somebody asks for them: their imports are no part of a start."""

from __future__ import annotations

import functools
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler


def late(make: Callable[[], Handler]) -> Handler:
    """Return a handler that ``make`` makes at the first request."""
    made = functools.cache(make)

    async def handle(request: web.Request) -> web.StreamResponse:
        return await made()(request)

    return handle
