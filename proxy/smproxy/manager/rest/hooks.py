"""``/api/v1/hooks``: the journal, replays and synthetic events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.journal import DeliveryRecord, Journal, JournalError, JournalQuery, Stored
from smproxy.hooks.trigger import Trigger, TriggerError
from smproxy.hooks.views import detailed, listed
from smproxy.manager.rest.errors import ApiError, json_response, read_json
from smproxy.manager.rest.query import Parameters

HOOKS = "/api/v1/hooks"

#: Events in one answer.
MAX_LIMIT = 1_000
DEFAULT_LIMIT = 100

_MAX_NUMBER = 2**63 - 1

#: The name of a parameter, and of the field of the query that it sets.
_TEXTS = {"customerScope": "customer_scope", "id": "connection_id", "event": "event", "state": "state", "sink": "sink"}
_NUMBERS = {
    "session": "session",
    "since": "since_ms",
    "until": "until_ms",
    "after": "after_id",
    "before": "before_id",
}
_SWITCHES = {"dead": "dead", "newest": "newest_first", "internal": "internal"}
FILTERS = (*_TEXTS, *_NUMBERS, *_SWITCHES, "limit")


class _Trigger(msgspec.Struct, forbid_unknown_fields=True):
    event: str
    params: dict[str, Any] = {}


class HookRoutes:
    """The routes of the hooks."""

    def __init__(self, dispatcher: HookDispatcher, trigger: Trigger) -> None:
        self._dispatcher = dispatcher
        self._trigger = trigger

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, the more special first."""
        return [
            web.get(HOOKS, self._journalled(self.find)),
            web.get(HOOKS + "/dead", self._journalled(self.dead)),
            web.post(HOOKS + "/trigger", self._journalled(self.trigger)),
            web.post(HOOKS + "/dead/resend", self._journalled(self.resend_dead)),
            web.get(HOOKS + "/{uuid}", self._journalled(self.show)),
            web.post(HOOKS + "/{uuid}/resend", self._journalled(self.resend)),
        ]

    async def find(self, request: web.Request) -> web.StreamResponse:
        """List events, the oldest first unless ``newest`` is set."""
        journal, parameters = self._journal, Parameters(request.query, (*FILTERS, "deliveries"))
        found = await journal.find(read_query(parameters))
        if parameters.switch("deliveries"):
            return _raw_list(await _detailed(journal, found))
        return _raw_list(map(listed, found))

    async def dead(self, request: web.Request) -> web.StreamResponse:
        """List events that a sink gave up, with the attempts."""
        journal = self._journal
        query = replace(read_query(Parameters(request.query, FILTERS)), dead=True)
        return _raw_list(await _detailed(journal, await journal.find(query)))

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show one event, with every attempt to deliver it."""
        Parameters(request.query, ())
        return _raw(detailed(*await self._known(request)))

    async def resend(self, request: web.Request) -> web.StreamResponse:
        """Deliver an event again."""
        sink = self._sink(request)
        stored, _ = await self._known(request)
        return json_response({"resent": await self._dispatcher.resend(stored.event.uuid, sink)})

    async def resend_dead(self, request: web.Request) -> web.StreamResponse:
        """Deliver every dead letter again."""
        sink = self._sink(request)
        _ = self._journal
        return json_response({"resent": await self._dispatcher.resend_dead(sink)})

    async def trigger(self, request: web.Request) -> web.StreamResponse:
        """Publish a synthetic event; the answer is the event as the sinks are sent it."""
        Parameters(request.query, ())
        asked = await read_json(request, _Trigger, '{"event": …, "params": {…}}')
        try:
            event = await self._trigger.fire(asked.event, asked.params)
        except TriggerError as error:
            raise ApiError(400, f"Not triggered: {error}") from None
        return _raw(event.body)

    def _journalled(self, handler: Handler) -> Handler:
        async def journalled(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except JournalError as error:
                raise ApiError(503, str(error)) from None

        return journalled

    @property
    def _journal(self) -> Journal:
        if self._dispatcher.journal is None:
            raise ApiError(503, "There is no journal.")
        return self._dispatcher.journal

    async def _known(self, request: web.Request) -> tuple[Stored, tuple[DeliveryRecord, ...]]:
        uuid = request.match_info["uuid"]
        known = await self._journal.get(uuid.lower())
        if known is None:
            raise ApiError(404, f"The journal has no event {uuid}")
        return known

    def _sink(self, request: web.Request) -> str | None:
        sink = Parameters(request.query, ("sink",)).text("sink")
        known = [status.name for status in self._dispatcher.status()]
        if sink is not None and sink not in known:
            raise ApiError(404, f"There is no sink {sink}: those are {', '.join(known) or 'none'}")
        return sink


def read_query(parameters: Parameters) -> JournalQuery:
    """Read the filters of a listing."""
    values: dict[str, Any] = {field: parameters.text(name) for name, field in _TEXTS.items()}
    for name, field in _NUMBERS.items():
        values[field] = parameters.optional_number(name, least=0, most=_MAX_NUMBER)
    for name, field in _SWITCHES.items():
        values[field] = parameters.switch(name)
    return JournalQuery(**values, limit=parameters.number("limit", DEFAULT_LIMIT, least=1, most=MAX_LIMIT))


async def _detailed(journal: Journal, found: Iterable[Stored]) -> list[bytes]:
    known = [await journal.get(stored.event.uuid) for stored in found]
    return [detailed(*each) for each in known if each is not None]


def _raw(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


def _raw_list(rows: Iterable[bytes]) -> web.Response:
    return _raw(b'{"hooks":[' + b",".join(rows) + b"]}")
