"""``/api/v1/publishers`` and ``/api/v1/subscribers``: headless clients that the server runs."""

from __future__ import annotations

import json
import os
from typing import Any, Literal

import msgspec
from aiohttp import web

from smproxy.manager.headless.clients import HeadlessClient, HeadlessClients, HeadlessError
from smproxy.manager.headless.messages import HeadlessRole, HowToEnd
from smproxy.manager.rest.errors import ApiError, json_response, read_json
from smproxy.manager.rest.query import Parameters
from smproxy.manager.views import (
    HeadlessPublisherList,
    HeadlessPublisherView,
    HeadlessSubscriberList,
    HeadlessSubscriberView,
)

#: Seconds for a client to be live, and for one that is ended to be gone.
MAX_TIMEOUT = 60.0
DEFAULT_TIMEOUT = 10.0

_ENDS: tuple[HowToEnd, ...] = ("leave", "close", "vanish")


class HeadlessAsked(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """A client that is to be started.

    ``app`` to ``host`` are connection parameters, ``params`` are others. ``timeout``: seconds for it to be live.
    ``wait``: whether the answer waits for that.
    """

    name: str
    app: str | None = None
    username: str | None = None
    password: str | None = None
    customer_scope: str | None = None
    host: str | None = None
    params: dict[str, Any] = {}
    token: str | None = None
    data_channel: bool = True
    timeout: float = DEFAULT_TIMEOUT
    wait: bool = True


class PublisherAsked(HeadlessAsked, kw_only=True):
    """A publisher that is to be started.

    ``media`` is a file of the server's machine that is looped instead of the pattern.
    """

    transport: Literal["websocket", "whip"] = "websocket"
    recording: bool = False
    meta: dict[str, Any] | None = None
    pattern: Literal["test", "counter", "clock"] = "test"
    codec: Literal["VP8", "H264"] = "VP8"
    media: str | None = None
    audio: bool = True
    video: bool = True


class SubscriberAsked(HeadlessAsked, kw_only=True):
    """A subscriber that is to be started.

    ``decode``: whether pictures are decoded, and so checked.
    """

    transport: Literal["websocket", "whep"] = "websocket"
    decode: bool = True


class MuteAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Tracks to mute (``true``) or to go on with (``false``)."""

    audio: bool | None = None
    video: bool | None = None


class HeadlessRoutes:
    """The routes of the clients of one role."""

    def __init__(self, role: HeadlessRole, clients: HeadlessClients) -> None:
        self._role = role
        self._clients = clients

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        path = f"/api/v1/{self._role}s"
        return [
            web.get(path, self.list),
            web.post(path, self.add),
            web.get(path + "/{id}", self.show),
            web.delete(path + "/{id}", self.remove),
            web.post(path + "/{id}/mute", self.mute),
        ]

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List the clients, the oldest first."""
        Parameters(request.query, ())
        views = [self._view(client) for client in self._clients.listed(self._role)]
        if self._role == "publisher":
            return json_response(HeadlessPublisherList(publishers=views))
        return json_response(HeadlessSubscriberList(subscribers=views))

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show one client."""
        Parameters(request.query, ())
        return json_response(self._view(self._find(request)))

    async def add(self, request: web.Request) -> web.StreamResponse:
        """Start a client; answer when it is live or has failed."""
        Parameters(request.query, ())
        asked: PublisherAsked | SubscriberAsked
        if self._role == "publisher":
            asked = await read_json(request, PublisherAsked, '{"name": …, "customerScope": …, …}')
            options = _publisher_options(asked)
        else:
            asked = await read_json(request, SubscriberAsked, '{"name": …, "customerScope": …, …}')
            options = {"decode": asked.decode}
        if not asked.name or not asked.name.isprintable():
            raise ApiError(400, "The name is no text that can be printed: give the stream's name.")
        if not 0 < asked.timeout <= MAX_TIMEOUT:
            raise ApiError(
                400, f"timeout={asked.timeout:g} is not a number of seconds above 0, at most {MAX_TIMEOUT:g}."
            )
        options |= {"token": asked.token, "data_channel": asked.data_channel, "timeout": asked.timeout}
        try:
            client = await self._clients.start(self._role, asked.name, asked.transport, _params(asked), options)
        except HeadlessError as error:
            raise ApiError(503, f"Not started: {error}.") from None
        if asked.wait:
            await client.settled.wait()
        return json_response(self._view(client), status=201)

    async def mute(self, request: web.Request) -> web.StreamResponse:
        """Mute tracks, or go on with them."""
        Parameters(request.query, ())
        client = self._find(request)
        asked = await read_json(request, MuteAsked, '{"audio": true, "video": false}')
        if client.state != "live":
            raise ApiError(409, f"{client.id} is not live but {client.state}.")
        self._clients.mute(client, audio=asked.audio, video=asked.video)
        return json_response(self._view(client))

    async def remove(self, request: web.Request) -> web.StreamResponse:
        """End a client, and forget it."""
        parameters = Parameters(request.query, ("how",))
        how = parameters.choice("how", _ENDS, "leave")
        client = self._find(request)
        if not await self._clients.end(client, how or "leave", DEFAULT_TIMEOUT):  # type: ignore[arg-type]
            raise ApiError(503, f"{client.id} has not ended within {DEFAULT_TIMEOUT:g} s.")
        return web.Response(status=204)

    def _find(self, request: web.Request) -> HeadlessClient:
        id = request.match_info["id"]
        client = self._clients.get(id)
        if client is None or client.role != self._role:
            known = ", ".join(each.id for each in self._clients.listed(self._role)) or "none"
            whose = "those" if self._clients.node is None else f"those of {self._clients.node}"
            raise ApiError(404, f"There is no {self._role} {id[:100]!r}: {whose} are {known}.")
        return client

    def _view(self, client: HeadlessClient) -> Any:
        kind = HeadlessPublisherView if self._role == "publisher" else HeadlessSubscriberView
        facts = {
            "id": client.id,
            "name": client.name,
            "transport": client.transport,
            "app": client.params.get("app"),
            "customerScope": client.params.get("customerScope"),
            "state": client.state,
            "error": client.error,
            "endedBy": client.ended_by,
            "session": self._clients.session(client),
            "createdAt": client.created_at,
        }
        return msgspec.convert({**facts, **client.figures}, kind)


def _publisher_options(asked: PublisherAsked) -> dict[str, Any]:
    if asked.media is not None and not os.path.isfile(asked.media):
        raise ApiError(400, f"media={asked.media[:200]!r}: there is no such file on the server's machine.")
    if not (asked.audio or asked.video or asked.data_channel):
        raise ApiError(400, "There is nothing to publish: audio, video and dataChannel are all false.")
    names = ("pattern", "codec", "media", "audio", "video")
    return {**{name: getattr(asked, name) for name in names}, "mode": "record" if asked.recording else "live"}


def _params(asked: PublisherAsked | SubscriberAsked) -> dict[str, str]:
    """Return the connection parameters as the SDK writes them."""
    given: dict[str, Any] = {
        "app": asked.app,
        "username": asked.username,
        "password": asked.password,
        "customerScope": asked.customer_scope,
        "host": asked.host,
    }
    if isinstance(asked, PublisherAsked):
        given |= {"recording": True if asked.recording else None, "meta": asked.meta}
    given |= asked.params
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
        if value is not None
    }
