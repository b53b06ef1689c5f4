"""``/api/v1/hooks``: what the journal holds, how the sinks are doing, and events to be sent again or made up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from smproxy.hooks.dispatcher import Hub
from smproxy.hooks.journal import DeliveryRecord, Journal, JournalError, Query, Stored
from smproxy.hooks.trigger import Trigger, TriggerError
from smproxy.hooks.views import detailed, listed
from smproxy.manager.rest.errors import ApiError, json_response, require_token

HOOKS = "/api/v1/hooks"

#: Events in one answer.
MAX_LIMIT = 1_000
DEFAULT_LIMIT = 100

_MAX_NUMBER = 2**63 - 1

#: The name of a parameter, and of the field of the query that it sets.
_TEXTS = {"scope": "customer_scope", "id": "connection_id", "event": "event", "state": "state", "sink": "sink"}
_NUMBERS = {
    "session": "session",
    "since": "since_ms",
    "until": "until_ms",
    "after": "after_id",
    "before": "before_id",
}
_SWITCHES = {"dead": "dead", "newest": "newest_first", "internal": "internal"}
_KNOWN = (*_TEXTS, *_NUMBERS, *_SWITCHES, "limit", "deliveries")


class _Trigger(msgspec.Struct, forbid_unknown_fields=True):
    event: str
    params: dict[str, Any] = {}


class HookRoutes:
    """The routes of the hooks. With a ``token``, every one of them needs it."""

    def __init__(self, hub: Hub, trigger: Trigger, token: str | None) -> None:
        self._hub = hub
        self._trigger = trigger
        self._token = token

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, the more special first."""
        return [
            web.get(HOOKS, self._guarded(self.find)),
            web.get(HOOKS + "/dead", self._guarded(self.dead)),
            web.get(HOOKS + "/sinks", self._guarded(self.sinks)),
            web.post(HOOKS + "/trigger", self._guarded(self.trigger)),
            web.post(HOOKS + "/dead/resend", self._guarded(self.resend_dead)),
            web.get(HOOKS + "/{uuid}", self._guarded(self.show)),
            web.post(HOOKS + "/{uuid}/resend", self._guarded(self.resend)),
        ]

    async def find(self, request: web.Request) -> web.StreamResponse:
        """List events, the oldest first unless ``newest`` is set."""
        journal, params = self._journal, dict(request.query)
        with_deliveries = _switch("deliveries", params.pop("deliveries", "false"))
        found = await journal.find(read_query(params))
        return _raw_list(await _detailed(journal, found) if with_deliveries else map(listed, found))

    async def dead(self, request: web.Request) -> web.StreamResponse:
        """List events that a sink gave up, with the attempts."""
        journal = self._journal
        return _raw_list(await _detailed(journal, await journal.find(read_query({**request.query, "dead": "true"}))))

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show one event, with every attempt to deliver it."""
        return _raw(detailed(*await self._known(request)))

    async def sinks(self, request: web.Request) -> web.StreamResponse:
        """Tell how each sink is doing."""
        return json_response(self._hub.status())

    async def resend(self, request: web.Request) -> web.StreamResponse:
        """Deliver an event again."""
        sink = self._sink(request)
        stored, _ = await self._known(request)
        return json_response({"resent": await self._hub.resend(stored.event.uuid, sink)})

    async def resend_dead(self, request: web.Request) -> web.StreamResponse:
        """Deliver every dead letter again."""
        sink = self._sink(request)
        _ = self._journal
        return json_response({"resent": await self._hub.resend_dead(sink)})

    async def trigger(self, request: web.Request) -> web.StreamResponse:
        """Publish a synthetic event; the answer is the event as the sinks are sent it."""
        try:
            asked = msgspec.json.decode(await request.read(), type=_Trigger)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ApiError(400, f'The body is {{"event": …, "params": {{…}}}} in JSON: {error}') from None
        try:
            event = await self._trigger.fire(asked.event, asked.params)
        except TriggerError as error:
            raise ApiError(400, f"Not triggered: {error}") from None
        return _raw(event.body)

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            require_token(request, self._token)
            try:
                return await handler(request)
            except JournalError as error:
                raise ApiError(503, str(error)) from None

        return guarded

    @property
    def _journal(self) -> Journal:
        if self._hub.journal is None:
            raise ApiError(503, "There is no journal.")
        return self._hub.journal

    async def _known(self, request: web.Request) -> tuple[Stored, tuple[DeliveryRecord, ...]]:
        uuid = request.match_info["uuid"]
        known = await self._journal.get(uuid.lower())
        if known is None:
            raise ApiError(404, f"The journal has no event {uuid}")
        return known

    def _sink(self, request: web.Request) -> str | None:
        sink = request.query.get("sink")
        known = [status.name for status in self._hub.status()]
        if sink is not None and sink not in known:
            raise ApiError(404, f"There is no sink {sink}: those are {', '.join(known) or 'none'}")
        return sink


def read_query(params: Mapping[str, str]) -> Query:
    """Read the filters of a listing.

    Raises:
        ApiError: 400, a parameter is unknown or cannot be read.
    """
    values: dict[str, Any] = {"limit": DEFAULT_LIMIT}
    for name, text in params.items():
        if name == "accessToken":
            continue
        if name in _TEXTS:
            values[_TEXTS[name]] = text
        elif name in _NUMBERS:
            values[_NUMBERS[name]] = _number(name, text, 0, _MAX_NUMBER)
        elif name in _SWITCHES:
            values[_SWITCHES[name]] = _switch(name, text)
        elif name == "limit":
            values["limit"] = _number(name, text, 1, MAX_LIMIT)
        else:
            raise ApiError(400, f"There is no parameter {name!r}: those are {', '.join(_KNOWN)}.")
    return Query(**values)


def _number(name: str, text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        limits = f"from {least} to {most}" if most != _MAX_NUMBER else f"from {least} on"
        raise ApiError(400, f"{name}={text!r} is not a whole number {limits}.")
    return int(text)


def _switch(name: str, text: str) -> bool:
    value = {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
    if value is None:
        raise ApiError(400, f"{name}={text!r} is neither true nor false.")
    return value


async def _detailed(journal: Journal, found: Iterable[Stored]) -> list[bytes]:
    known = [await journal.get(stored.event.uuid) for stored in found]
    return [detailed(*each) for each in known if each is not None]


def _raw(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


def _raw_list(rows: Iterable[bytes]) -> web.Response:
    return _raw(b"[" + b",".join(rows) + b"]")
