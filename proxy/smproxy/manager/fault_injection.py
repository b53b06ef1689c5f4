"""Faults carried out: which of them a connection gets, and what of them the manager or an origin does to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from smproxy.faults import Fault, FaultBook, FaultError, Room
from smproxy.faults.catalog import Simulated, read_simulate
from smproxy.faults.fault_registry import MAX_SESSIONS
from smproxy.faults.signaling_fault import SignalingFault
from smproxy.manager.attempt import Attempt
from smproxy.manager.relay.fault_pipeline import FaultPipeline
from smproxy.manager.relay.origin_filter import OriginFilter
from smproxy.manager.sessions import Sessions
from smproxy.signaling.node import AttemptFailed, Evict, Inject, Lift, PeerEnded
from smproxy.signaling.params import ConnectionParams, ParamError
from smproxy.signaling.payloads import ConnectError, Reason
from smproxy.signaling.redaction import redact_text

logger = logging.getLogger(__name__)

#: Faults of one connection that take its place before there is a session, or an origin.
REFUSALS = ("upgrade-refused", "connect-rejected", "origin-full")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done to one connection: ``faults`` are those that it gets, ``hooks`` those that it asked for its hooks."""

    params: ConnectionParams
    faults: tuple[Fault, ...] = ()
    hooks: tuple[Simulated, ...] = ()

    def find(self, *names: str) -> Fault | None:
        """Return the first of these faults that the connection gets."""
        return next((fault for name in names for fault in self.faults if fault.name == name), None)


class Interference:
    """Draws the faults of each connection from the book, and carries out those that live sessions get later."""

    def __init__(self, book: FaultBook, sessions: Sessions, *, simulate: bool = True) -> None:
        self.book = book
        self._sessions = sessions
        self._simulate = simulate
        self._used_on: dict[Fault, dict[str, None]] = {}
        self._timers: dict[Fault, asyncio.TimerHandle] = {}
        self._crashes: dict[tuple[Fault, str], tuple[asyncio.TimerHandle, list[str]]] = {}
        self._unwatch: Callable[[], None] | None = None

    def start(self) -> None:
        """Act on faults that are switched on or off from now on."""
        self._unwatch = self.book.watch(self._changed)
        for fault in self.book.active():
            self._watch_end(fault)

    def stop(self) -> None:
        """Do nothing more by itself."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        for timer in [*self._timers.values(), *(timer for timer, _ in self._crashes.values())]:
            timer.cancel()
        self._timers.clear()
        self._crashes.clear()

    def plan(self, params: ConnectionParams) -> Plan:
        """Draw the faults of a new connection: those that it asks for, then those that are for it.

        Raises:
            ParamError: ``simulate`` cannot be understood.
        """
        asked = self._asked(params)
        own = self.book.simulate((each for each in asked if each.kind.room is not Room.HOOKS), None)
        known = self.book.of_room(Room.SIGNALING, Room.MEDIA, Room.ORIGIN)
        return Plan(
            params,
            tuple(fault for fault in [*own, *known] if fault.wants(params, None)),
            tuple(each for each in asked if each.kind.room is Room.HOOKS),
        )

    def pipeline(self, plan: Plan, attempt: Attempt, origin_filter: OriginFilter | None) -> FaultPipeline | None:
        """Make what the messages of a session pass; ``None`` when no fault wants to see them."""
        faults: list[tuple[SignalingFault, Callable[[str], None]]] = []
        for fault in plan.faults:
            if fault.kind.room is Room.SIGNALING and fault.kind.make is not None:
                act: SignalingFault = fault.kind.make(fault.parameters, fault.rng())
                faults.append((act, partial(_note, fault, attempt.session, plan.params)))
        if not faults:
            return None
        return FaultPipeline(faults, refused=partial(self._refused, attempt), origin_filter=origin_filter)

    def begin(self, plan: Plan, attempt: Attempt) -> None:
        """Begin what is not done on the relay."""
        self.book.simulate(plan.hooks, attempt.session)
        if plan.find("connect-failed", "origin-unreachable") is None:  # with those, no origin ever knows the attempt
            for fault in plan.faults:
                self._begin_one(fault, attempt)

    def _asked(self, params: ConnectionParams) -> list[Simulated]:
        if params.simulate is None:
            return []
        if not self._simulate:
            logger.info("simulate=%r is passed over: --simulate off", redact_text(params.simulate))
            return []
        try:
            return read_simulate(params.simulate)
        except FaultError as error:
            refusal = ParamError("simulate", params.simulate, f"is not usable: {error}", "see docs/faults.md")
            refusal.connection = params.connection
            raise refusal from None

    def _begin_one(self, fault: Fault, attempt: Attempt) -> None:
        if fault.kind.room is Room.MEDIA:
            if attempt.node.command is None:
                logger.warning(
                    "fault %s: origin %s has no node channel to carry it out", fault.name, attempt.node.address
                )
                return
            seed = fault.rng().getrandbits(32)
            attempt.node.command(Inject(attempt.token, fault.name, dict(fault.parameters), seed))
            if self.book.get(fault.id) is fault:
                self._remember(fault, attempt.token)
            fault.acted(attempt.session, attempt.params)
        elif fault.name == "origin-crash":
            key = fault, attempt.node.address
            if key not in self._crashes:
                timer = asyncio.get_running_loop().call_later(float(fault.parameters["after"]), self._crash, key)
                self._crashes[key] = timer, []
            self._crashes[key][1].append(attempt.token)

    def _remember(self, fault: Fault, token: str) -> None:
        """Know on which attempts a fault is to be lifted when it is switched off."""
        tokens = self._used_on.setdefault(fault, {})
        tokens[token] = None
        if len(tokens) > MAX_SESSIONS:
            del tokens[next(iter(tokens))]

    def _refused(self, attempt: Attempt, error: ConnectError) -> None:
        self._sessions.report(attempt.node, AttemptFailed(attempt.token, error))

    def _crash(self, key: tuple[Fault, str]) -> None:
        fault, address = key
        _, tokens = self._crashes.pop(key)
        logger.warning("fault %s: origin %s loses %d sessions", fault.name, address, len(tokens))
        for token in tokens:
            attempt = self._sessions.attempt(token)
            if attempt is None or fault.over:
                continue
            fault.acted(attempt.session, attempt.params)
            if attempt.relay is not None and not attempt.relay_ended:
                attempt.relay.abort()
            self._sessions.report(attempt.node, PeerEnded(token, Reason.ORIGIN_LOST))
            if attempt.node.command is not None:
                attempt.node.command(Evict(token))

    def _changed(self, fault: Fault, on: bool) -> None:
        """A fault was switched on or off."""
        if not on:
            if (timer := self._timers.pop(fault, None)) is not None:
                timer.cancel()
            for token in self._used_on.pop(fault, ()):
                attempt = self._sessions.attempt(token)
                if attempt is not None and attempt.node.command is not None:
                    attempt.node.command(Lift(token, fault.name))
            return
        self._watch_end(fault)
        if fault.kind.live and fault.kind.room in {Room.MEDIA, Room.ORIGIN}:
            for attempt in self._sessions.attempts:
                session = self._sessions.find(attempt.session)
                if session is None or session.attempt is not attempt:
                    continue  # over, or taken over by another attempt
                if fault.wants(attempt.params, attempt.session):
                    self._begin_one(fault, attempt)

    def _watch_end(self, fault: Fault) -> None:
        """See that a fault whose time is over ends without anybody asking for it."""
        if fault.ttl is not None:
            self._timers[fault] = asyncio.get_running_loop().call_later(fault.ttl + 0.01, self.book.active)


def _note(fault: Fault, session: int, params: ConnectionParams, detail: str) -> None:
    fault.acted(session, params, detail)
