"""``/healthz``: whether the instance serves."""

from __future__ import annotations

from aiohttp import web

from smproxy.manager.rest.errors import json_response


def routes() -> list[web.RouteDef]:
    """Return the route. It exists only while the instance is up, so its answer never varies."""

    async def health(_request: web.Request) -> web.StreamResponse:
        return json_response({"status": "ok"})

    return [web.get("/healthz", health)]
