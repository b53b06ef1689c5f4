"""``/api/v1/hooks/sinks``: where hooks go; sinks are added and removed while it runs."""

from __future__ import annotations

import msgspec
from aiohttp import web

from smproxy.hooks.deliveries import SinkError
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.journal import JournalError
from smproxy.hooks.sink import Sink
from smproxy.hooks.sinks.named import NamedSink
from smproxy.hooks.sinks.scoped import ScopedSink
from smproxy.hooks.sinks.uris import parse_hook_uri
from smproxy.hooks.status import SinkStatus
from smproxy.manager.rest.errors import ApiError, json_response, read_json
from smproxy.manager.rest.query import Parameters
from smproxy.signaling.clock import Clock

SINKS = "/api/v1/hooks/sinks"

#: Characters of a name.
MAX_NAME = 200


class SinkList(msgspec.Struct, frozen=True):
    """How each sink is doing, in the order in which they were given."""

    sinks: list[SinkStatus]


class SinkAsked(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """A sink that is to be added: the options ``--hook-…``, and a name."""

    uri: str
    name: str | None = None
    format: str = "envelope"
    secret: str | None = None
    customer_scope: str | None = None
    insecure: bool = False


class SinkRoutes:
    """The routes of the sinks."""

    def __init__(self, dispatcher: HookDispatcher, *, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(SINKS, self.list),
            web.post(SINKS, self.add),
            web.delete(SINKS + "/{sink:.+}", self.remove),
        ]

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List the sinks with their state and counters."""
        Parameters(request.query, ())
        return json_response(SinkList(self._dispatcher.status()))

    async def add(self, request: web.Request) -> web.StreamResponse:
        """Add a sink, which gets what is published from now on."""
        Parameters(request.query, ())
        sink = self._make(await read_json(request, SinkAsked, '{"uri": …, "name": …, "format": …}'))
        try:
            status = await self._dispatcher.add_sink(sink)
        except SinkError as error:
            raise ApiError(409, f"Not added: {error}.") from None
        except JournalError as error:
            raise ApiError(503, f"Not added: {error}.") from None
        return json_response(status, status=201)

    async def remove(self, request: web.Request) -> web.StreamResponse:
        """Remove a sink. What it has not got by now it never gets."""
        Parameters(request.query, ())
        name = request.match_info["sink"]
        try:
            await self._dispatcher.remove_sink(name)
        except KeyError:
            known = ", ".join(status.name for status in self._dispatcher.status())
            raise ApiError(404, f"There is no sink {name[:MAX_NAME]}: those are {known or 'none'}.") from None
        except JournalError as error:
            raise ApiError(503, f"It is removed, but the journal does not know: {error}.") from None
        return web.Response(status=204)

    def _make(self, asked: SinkAsked) -> Sink:
        if asked.name is not None and not (asked.name.isprintable() and 0 < len(asked.name) <= MAX_NAME):
            raise ApiError(400, f"The name is not 1 to {MAX_NAME} characters that can be printed.")
        if asked.customer_scope == "":
            raise ApiError(400, "The customerScope is empty: give one, or leave it out.")
        try:
            sink = parse_hook_uri(
                asked.uri, clock=self._clock, format=asked.format, secret=asked.secret, verify_tls=not asked.insecure
            )
        except ValueError as error:
            raise ApiError(400, f"Not added: {error}.") from None
        if asked.customer_scope is not None:
            sink = ScopedSink(sink, asked.customer_scope)
        return sink if asked.name is None else NamedSink(sink, asked.name)
