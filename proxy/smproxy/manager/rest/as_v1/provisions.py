"""``/as/v1/streams/provision``: provisions of Stream Manager 2.0.

Source: Red5, Stream Manager 2.0, Streams service. The vendor's pages have ``provisionGuid`` or ``streamGuid`` as
the key; both are taken.
"""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from smproxy.manager.origin_registry import OriginRegistry
from smproxy.manager.provisions import Level, Provision, ProvisionError, ProvisionExistsError, Provisions
from smproxy.manager.rest.as_v1.group import GUID, check_group, choose, endpoint_count, flag
from smproxy.manager.rest.as_v1.login import Login
from smproxy.manager.rest.as_v1.streams import GroupStreamRoutes
from smproxy.manager.rest.errors import ApiError, json_response, read_json
from smproxy.manager.rest.stream_path import read_stream_path, split_guid
from smproxy.signaling.params import META_DEPTH, deeper_than

PROVISION = "/as/v1/streams/provision/{group}"

_FORM = '[{"provisionGuid": "live/cam", "streams": [{"streamGuid": "live/cam_1", "abrLevel": 1}]}]'


class _Rendition(msgspec.Struct, rename="camel"):
    stream_guid: str
    abr_level: int = 1


class _Provision(msgspec.Struct, rename="camel"):
    provision_guid: str | None = None
    stream_guid: str | None = None
    streams: list[_Rendition] = []


class GroupProvisionRoutes:
    """The provision routes of Stream Manager 2.0."""

    def __init__(
        self, provisions: Provisions, streams: GroupStreamRoutes, registry: OriginRegistry, login: Login
    ) -> None:
        self._provisions = provisions
        self._streams = streams
        self._registry = registry
        self._login = login

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post(PROVISION, self.create),
            web.put(PROVISION, self.update),
            web.get(PROVISION, self.list),
            web.post(f"{PROVISION}/distribute/{GUID}", self.distribute),
            web.get(f"{PROVISION}/{GUID}", self.show),
            web.delete(f"{PROVISION}/{GUID}", self.remove),
        ]

    async def create(self, request: web.Request) -> web.StreamResponse:
        """Keep new provisions: all of them, or none."""
        self._check(request)
        asked = await _read(request)
        for scope, name, _, _ in asked:
            if self._provisions.find(scope, name) is not None:
                raise ApiError(409, f"Provision already exists for {scope}/{name}")
        try:
            for each in asked:
                self._provisions.add(*each)
        except ProvisionExistsError as error:
            raise ApiError(409, str(error)) from None
        except ProvisionError as error:
            raise ApiError(400, str(error)) from None
        return web.Response(status=201)

    async def update(self, request: web.Request) -> web.StreamResponse:
        """Replace provisions: all of them, or none."""
        self._check(request)
        asked = await _read(request)
        for scope, name, _, _ in asked:
            self._find(scope, name)
        for each in asked:
            self._provisions.put(*each)
        return web.Response()

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List the provisions."""
        self._check(request)
        return json_response([each.document["provision"] for each in self._provisions if "provision" in each.document])

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show a provision, or with ``status=true`` where its live levels are."""
        self._check(request)
        provision = self._find(*read_stream_path(request))
        if not flag(request, "status", False):
            return json_response(provision.document["provision"])
        live = []
        for level in provision.levels:
            try:
                live.append(self._streams.location(self._streams.live(provision.scope, level.name)))
            except ApiError:
                continue
        return json_response(live)

    async def remove(self, request: web.Request) -> web.StreamResponse:
        """Forget a provision."""
        self._check(request)
        scope, name = read_stream_path(request)
        self._find(scope, name)
        self._provisions.remove(scope, name)
        return web.Response()

    async def distribute(self, request: web.Request) -> web.StreamResponse:
        """Name the servers for the levels of a provision."""
        self._check(request)
        scope, name = read_stream_path(request)
        provision = self._find(scope, name)
        count = endpoint_count(request)
        nodes = choose(request, self._registry)[:count]
        return json_response(
            [
                {"streamGuid": f"{scope}/{level.name}", "serverAddress": nodes[index % len(nodes)].address}
                for index, level in enumerate(provision.levels)
            ]
        )

    def _check(self, request: web.Request) -> None:
        self._login.require(request)
        check_group(request)

    def _find(self, scope: str, name: str) -> Provision:
        provision = self._provisions.find(scope, name)
        if provision is None or "provision" not in provision.document:
            raise ApiError(404, f"There is no provision {scope}/{name}.")
        return provision


async def _read(request: web.Request) -> list[tuple[str, str, tuple[Level, ...], dict[str, Any]]]:
    checked = await read_json(request, list[_Provision], _FORM)
    documents = await read_json(request, list[dict[str, Any]], _FORM)
    if deeper_than(documents, META_DEPTH):
        raise ApiError(400, f"The body is {_FORM} in JSON, not nested as deep as this.")
    found = []
    for provision, document in zip(checked, documents, strict=True):
        scope, name = split_guid(provision.provision_guid or provision.stream_guid or "")
        levels = []
        for stream in provision.streams:
            level_scope, level = split_guid(stream.stream_guid)
            if level_scope != scope or not 0 < stream.abr_level <= 100:
                raise ApiError(400, f"The stream {stream.stream_guid[:100]!r} is no level, from 1 to 100, in {scope}.")
            levels.append(Level(level, stream.abr_level))
        found.append((scope, name, tuple(levels), {"provision": document}))
    if len({each[:2] for each in found}) < len(found):
        raise ApiError(409, "A provision is there twice.")
    return found
