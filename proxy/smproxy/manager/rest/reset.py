"""``POST /api/v1/reset``: a clean slate for the next test, without starting anew.

Every session ends, receivers are given a moment to take the hooks of that, then history, transcripts, hooks and faults are
forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from smproxy.faults import FaultRegistry
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.journal import JournalError
from smproxy.manager.attempt import Attempt
from smproxy.manager.conferences import Conferences
from smproxy.manager.headless.clients import HeadlessClients
from smproxy.manager.history import History
from smproxy.manager.rest.errors import ApiError, json_response
from smproxy.manager.rest.query import Parameters
from smproxy.manager.sessions import Sessions
from smproxy.signaling.clock import Clock
from smproxy.signaling.payloads import Reason

RESET = "/api/v1/reset"

#: Seconds for connections to be gone, and for receivers to take the last hooks.
MAX_TIMEOUT = 30.0
DEFAULT_TIMEOUT = 5.0

FILTERS = ("timeout", "hooks", "faults", "sinks")
KEEP_OR_FORGET = ("forget", "keep")

#: Seconds that a client has to answer the close before its connection is cut.
POLITE = 2.0

#: Seconds between looks at whether the connections are gone.
_LOOK = 0.01


class ResetView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a reset has ended and forgotten.

    ``sessions``: how many were alive and were ended; ``forgotten``: ended sessions that are no longer remembered;
    ``hooks``: events deleted from the journal; ``undelivered``: deliveries of them that are not made any more; ``faults``:
    those that were switched off; ``clients``: headless clients that the server ran; ``sinks``: those that were added since the
    start and are removed. ``complete`` says that all connections were gone and all hooks delivered within the time.
    """

    sessions: int
    forgotten: int
    hooks: int
    undelivered: int
    faults: int
    clients: int
    sinks: int
    complete: bool
    took_ms: int


class ResetRoutes:
    """The route. One reset at a time; a second one waits for the first."""

    def __init__(
        self,
        sessions: Sessions,
        history: History,
        dispatcher: HookDispatcher,
        *,
        clock: Clock,
        begin: Callable[[], Awaitable[None]],
        faults: FaultRegistry,
        conferences: Conferences,
        clients: HeadlessClients,
        end_rooms: Callable[[], None],
    ) -> None:
        self._end_rooms = end_rooms
        self._clients = clients
        self._conferences = conferences
        self._sessions = sessions
        self._history = history
        self._dispatcher = dispatcher
        self._clock = clock
        self._begin = begin
        self._faults = faults
        self._turn = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.post(RESET, self.reset)]

    async def reset(self, request: web.Request) -> web.StreamResponse:
        """End and forget everything; answer when that is done, or the time is up."""
        parameters = Parameters(request.query, FILTERS)
        timeout = parameters.seconds("timeout", DEFAULT_TIMEOUT, most=MAX_TIMEOUT)
        keep_hooks = parameters.choice("hooks", KEEP_OR_FORGET, "forget") == "keep"
        keep_faults = parameters.choice("faults", KEEP_OR_FORGET, "forget") == "keep"
        keep_sinks = parameters.choice("sinks", KEEP_OR_FORGET, "forget") == "keep"
        async with self._turn:
            try:
                return json_response(
                    await self._reset(timeout, keep_hooks=keep_hooks, keep_faults=keep_faults, keep_sinks=keep_sinks)
                )
            except JournalError as error:
                raise ApiError(503, f"The sessions are ended, but the hooks are not forgotten: {error}") from None

    async def _end_all(self, polite: float) -> None:
        """End every session and wait until its connections are gone.

        That includes sessions of clients that come back meanwhile.
        """
        ended: dict[Attempt, float] = {}
        while attempts := self._sessions.attempts:
            now = self._clock.monotonic()
            for attempt in attempts:
                if attempt not in ended:
                    ended[attempt] = now
                    self._sessions.kick(attempt)
                    # Kicking leaves the socket of a session alone that was over before.
                    attempt.close_relay(1000, "ended by the administrator")
                elif now - ended[attempt] > polite and attempt.relay is not None:
                    attempt.relay.abort()
            await asyncio.sleep(_LOOK)

    async def _reset(self, timeout: float, *, keep_hooks: bool, keep_faults: bool, keep_sinks: bool) -> ResetView:
        began = self._clock.monotonic()
        # First, so that no fault keeps a session from ending.
        faults = 0 if keep_faults else self._faults.clear()
        alive = len(self._sessions)
        complete = True
        clients = await self._clients.end_all(timeout / 2)
        self._conferences.end_all(Reason.KICKED)
        try:
            async with asyncio.timeout(self._left(began, timeout)):
                await self._end_all(min(POLITE, timeout / 2))
        except TimeoutError:
            complete = False
        self._end_rooms()
        complete = await self._dispatcher.drained(self._left(began, timeout)) and complete
        sinks, never = (0, 0) if keep_sinks else await self._remove_sinks()
        forgotten = self._history.clear()
        hooks = undelivered = 0
        if not keep_hooks:
            hooks, undelivered = await self._dispatcher.forget()
            undelivered += never
        if not keep_faults:
            self._faults.forget_log()
        await self._begin()
        took = round((self._clock.monotonic() - began) * 1000)
        return ResetView(
            sessions=alive, forgotten=forgotten, hooks=hooks, undelivered=undelivered, faults=faults,
            clients=clients, sinks=sinks, complete=complete, took_ms=took,
        )  # fmt: skip

    async def _remove_sinks(self) -> tuple[int, int]:
        """Remove what was added; return how many sinks, and how many deliveries they never get."""
        removed = never = 0
        for name in self._dispatcher.added_sinks:
            with contextlib.suppress(KeyError):  # somebody else was quicker
                never += await self._dispatcher.remove_sink(name)
                removed += 1
        return removed, never

    def _left(self, began: float, timeout: float) -> float:
        return max(0.0, timeout - (self._clock.monotonic() - began))
