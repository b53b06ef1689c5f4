"""``…/admin/event/meta``: provisions of the stream manager API.

Source: Red5, Stream Manager REST API 3.0 to 4.0, provisioning.
"""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from smproxy.manager.provisions import Level, Provision, ProvisionError, Provisions
from smproxy.manager.rest.errors import ApiError, json_response, read_json
from smproxy.manager.rest.stream_path import read_stream_path
from smproxy.signaling.params import META_DEPTH, deeper_than

META = "/streammanager/api/{version:3\\.0|3\\.1|4\\.0}/admin/event/meta"

_FORM = '{"meta": {"stream": [{"name": "cam_1", "level": 1, "properties": {...}}]}}'


class _Stream(msgspec.Struct):
    name: str
    level: int | str = 1


class _Meta(msgspec.Struct):
    stream: list[_Stream]


class _Body(msgspec.Struct):
    meta: _Meta


class ProvisionRoutes:
    """The provisioning routes of the stream manager API."""

    def __init__(self, provisions: Provisions) -> None:
        self._provisions = provisions

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(META, self.list),
            web.post(META + "/{path:.+}", self.create),
            web.get(META + "/{path:.+}", self.show),
            web.put(META + "/{path:.+}", self.update),
            web.delete(META + "/{path:.+}", self.remove),
        ]

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List the provisions."""
        return json_response([_view(provision) for provision in self._provisions if "meta" in provision.document])

    async def create(self, request: web.Request) -> web.StreamResponse:
        """Keep a new provision."""
        scope, name = read_stream_path(request)
        levels, document = await _read(request)
        try:
            return json_response(_view(self._provisions.add(scope, name, levels, document)))
        except ProvisionError as error:
            raise ApiError(400, str(error)) from None

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show a provision; what it is asked for, by ``action``, makes no difference."""
        return json_response(_view(self._find(request)))

    async def update(self, request: web.Request) -> web.StreamResponse:
        """Replace a provision."""
        known = self._find(request)
        levels, document = await _read(request)
        return json_response(_view(self._provisions.put(known.scope, known.name, levels, document)))

    async def remove(self, request: web.Request) -> web.StreamResponse:
        """Forget a provision."""
        known = self._find(request)
        self._provisions.remove(known.scope, known.name)
        return json_response(_view(known))

    def _find(self, request: web.Request) -> Provision:
        scope, name = read_stream_path(request)
        provision = self._provisions.find(scope, name)
        if provision is None or "meta" not in provision.document:
            raise ApiError(404, f"No provision found for {scope}/{name}")
        return provision


async def _read(request: web.Request) -> tuple[tuple[Level, ...], dict[str, Any]]:
    body = await read_json(request, _Body, _FORM)
    document = await read_json(request, dict[str, Any], _FORM)
    if deeper_than(document, META_DEPTH):
        raise ApiError(400, f"The body is {_FORM} in JSON, not nested as deep as this.")
    return tuple(Level(each.name, _number(each.level)) for each in body.meta.stream), {"meta": document["meta"]}


def _number(level: int | str) -> int:
    text = str(level)
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 100):
        raise ApiError(400, f"level {text[:20]!r} is not a whole number from 1 to 100.")
    return int(text)


def _view(provision: Provision) -> dict[str, Any]:
    return {
        "name": provision.name,
        "scope": provision.scope,
        "data": provision.document,
        "updated": provision.updated_ms,
    }
