"""``GET /api/v1/hooks/wait``: answers once an event has come, at once if it has.

So a test in any language can wait for a hook with one request: no receiver, no polling. What came since the instance started,
or since its latest reset, counts too, so that a test may ask after it has done what it tests.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from aiohttp import web

from smproxy.hooks.broadcast import HookBroadcast, HookListener
from smproxy.hooks.journal import Journal, JournalError, JournalQuery
from smproxy.hooks.replay import SinceError, find_start
from smproxy.manager.aiohttp_protocol import until_client_leaves
from smproxy.manager.rest.client_limit import ClientLimit
from smproxy.manager.rest.errors import ApiError, json_response
from smproxy.manager.rest.query import Parameters, whole_number
from smproxy.signaling.clock import MAX_SESSION_NUMBER, Clock
from smproxy.signaling.hook_names import NAMES, STATES

WAIT = "/api/v1/hooks/wait"

#: Seconds to wait.
MAX_TIMEOUT = 60.0
DEFAULT_TIMEOUT = 10.0

#: Events that come nearest, in the answer to a wait in vain; and the latest events among which they are looked for.
NEAREST = 3
LOOKED_AT = 200

ROLES = ("publisher", "subscriber")
FILTERS = ("event", "state", "id", "session", "customerScope", "app", "role", "since", "timeout")

_PAGE = 100


class Nearest(msgspec.Struct, frozen=True):
    """An event that came near: for each field that differs, what was wanted and what it was."""

    event: dict[str, Any]
    differences: dict[str, tuple[Any, Any]]


class NotYet(msgspec.Struct, frozen=True, rename="camel"):
    """No event was as asked for within the time."""

    error_message: str
    timestamp: int
    nearest: list[Nearest]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The conditions on an event: its fields, by the names of the parameters.

    A value is any of several.
    """

    fields: Mapping[str, frozenset[str]]

    def differences(self, event: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Return each field that is not as wanted: what was wanted, and what it is."""
        payload, connection = event["payload"], event["connection"]
        state = payload.get("state") or payload.get("event")
        found = {
            "event": event["event"],
            "state": state,
            "session": payload["session"],
            "id": connection["id"],
            "customerScope": connection["customerScope"],
            "app": connection["app"],
            "role": connection["role"],
        }
        different: dict[str, tuple[Any, Any]] = {}
        for name, values in self.fields.items():
            value = found[name]
            if str(value) in values or (name == "event" and state in values):
                continue
            shown = state if name == "event" and not values.intersection(STATES) else value
            different[name] = (sorted(values) if len(values) > 1 else next(iter(values)), shown)
        return different

    @property
    def only(self) -> JournalQuery:
        """What of it the journal can look for itself."""
        single = {name: next(iter(values)) for name, values in self.fields.items() if len(values) == 1}
        event, state = single.get("event"), single.get("state")
        if event is not None and event not in STATES:
            event, state = None, state or event
        return JournalQuery(
            event=event,
            state=state,
            session=int(single["session"]) if "session" in single else None,
            connection_id=single.get("id"),
            customer_scope=single.get("customerScope"),
            limit=_PAGE,
        )


class WaitRoutes:
    """The route. ``began`` says from where on events count that came before the request."""

    def __init__(self, broadcast: HookBroadcast, journal: Journal | None, *, clock: Clock) -> None:
        self._broadcast = broadcast
        self._places = ClientLimit("waits for a hook")
        self._journal = journal
        self._clock = clock
        self._since_ms: int | None = clock.wall_ms()
        self._after_id: int | None = None

    def routes(self) -> list[web.RouteDef]:
        """Return the route. It goes before that of a single event."""
        return [web.get(WAIT, self.wait)]

    async def begin(self) -> None:
        """From here on: what came before no longer counts."""
        if self._journal is not None:
            newest = await self._journal.find(JournalQuery(newest_first=True, internal=True, limit=1))
            self._after_id = newest[0].id if newest else None
        self._since_ms = None

    async def wait(self, request: web.Request) -> web.StreamResponse:
        """Wait for an event."""
        parameters = Parameters(request.query, FILTERS)
        wanted, timeout = _read(parameters)
        if self._journal is None:
            raise ApiError(503, "There is no journal.")
        seen: dict[str, Nearest] = {}
        with self._places.take(), until_client_leaves(request):
            try:
                start = await self._start(parameters.text("since"))
                with contextlib.closing(self._broadcast.listen(held=True)) as listener:
                    async with asyncio.timeout(timeout):
                        body = await self._found(wanted, start, listener, seen)
            except TimeoutError:
                body = None
            except JournalError as error:
                raise ApiError(503, str(error)) from None
        if body is not None:
            return web.Response(body=body, content_type="application/json")
        return self._in_vain(wanted, timeout, seen)

    async def _start(self, since: str | None) -> JournalQuery:
        assert self._journal is not None
        if since is None:
            await self._journal.flush()  # listeners from now on are not sent what came before
            return JournalQuery(after_id=self._after_id, since_ms=self._since_ms)
        try:
            start = await find_start(self._journal, since)
        except SinceError as error:
            raise ApiError(400, f"{error}.") from None
        return JournalQuery(after_id=start.after_id, since_ms=start.since_ms)

    async def _found(
        self, wanted: Wanted, start: JournalQuery, listener: HookListener, seen: dict[str, Nearest]
    ) -> bytes | None:
        """Look into the past, then wait for what comes.

        Nothing is lost in between: the listener keeps it meanwhile.
        """
        while True:
            body = await self._in_journal(wanted, start, seen)
            if body is not None:
                return body
            if listener.release(lambda _: False):
                break
        async for hook in listener:
            event = msgspec.json.decode(hook.body)
            different = wanted.differences(event)
            if not different:
                return hook.body
            _note(seen, event, different)
        raise ApiError(503, "The stream manager stops, or the wait did not keep up with the events.")

    async def _in_journal(self, wanted: Wanted, start: JournalQuery, seen: dict[str, Nearest]) -> bytes | None:
        assert self._journal is not None
        query = replace(wanted.only, after_id=start.after_id, since_ms=start.since_ms)
        while page := await self._journal.find(query):
            for stored in page:
                if not wanted.differences(msgspec.json.decode(stored.event.body)):
                    return stored.event.body
            query = replace(query, after_id=page[-1].id)
        for stored in reversed(await self._journal.find(replace(start, newest_first=True, limit=LOOKED_AT))):
            event = msgspec.json.decode(stored.event.body)
            if different := wanted.differences(event):
                _note(seen, event, different)
        return None

    def _in_vain(self, wanted: Wanted, timeout: float, seen: dict[str, Nearest]) -> web.Response:
        asked = " ".join(f"{name}={','.join(sorted(values))}" for name, values in wanted.fields.items())
        nearest = sorted(seen.values(), key=lambda each: len(each.differences))[:NEAREST]
        message = f"No event{' with ' if asked else ''}{asked} within {timeout:g} s"
        if nearest:
            first = nearest[0].differences
            but = ", ".join(f"{name} {was!r} instead of {want!r}" for name, (want, was) in first.items())
            message += f"; the nearest had {but}."
        else:
            message += "; there was no event at all."
        return json_response(NotYet(message, self._clock.wall_ms(), nearest), status=408)


def _note(seen: dict[str, Nearest], event: dict[str, Any], different: dict[str, tuple[Any, Any]]) -> None:
    """Keep the events that differ least, of equal ones the latest."""
    seen[event["uuid"]] = Nearest(event, different)
    if len(seen) > NEAREST:
        worst = max(seen, key=lambda uuid: len(seen[uuid].differences))  # of equal ones the first, which is the oldest
        del seen[worst]


def _read(parameters: Parameters) -> tuple[Wanted, float]:
    fields: dict[str, frozenset[str]] = {}
    if names := parameters.choices("event", NAMES):
        fields["event"] = names
    states = [name for name in NAMES if name not in STATES or name == "local_track"]
    if chosen := parameters.choices("state", states):
        fields["state"] = chosen
    if (role := parameters.choice("role", ROLES)) is not None:
        fields["role"] = frozenset({role})
    if (session := parameters.text("session")) is not None:
        fields["session"] = frozenset({str(whole_number("session", session, least=1, most=MAX_SESSION_NUMBER))})
    for name in ("id", "customerScope", "app"):
        if (value := parameters.text(name)) is not None:
            fields[name] = frozenset({value})
    return Wanted(fields), parameters.seconds("timeout", DEFAULT_TIMEOUT, most=MAX_TIMEOUT)
