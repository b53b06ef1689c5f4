"""Choose each connection's faults; apply those switched on or off later to live sessions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from smproxy.faults import Fault, FaultError, FaultRegistry, Layer
from smproxy.faults.catalog import Simulated, read_simulate
from smproxy.faults.exchange_fault import ExchangeFault
from smproxy.faults.media_fault import MediaFault
from smproxy.faults.origin_fault import OriginFault
from smproxy.faults.signaling_fault import SignalingFault
from smproxy.log_fields import about
from smproxy.manager.attempt import Attempt
from smproxy.manager.faults.connection import ConnectionFaults, Use
from smproxy.manager.faults.exchange import ExchangePipeline, SessionActions
from smproxy.manager.faults.media import MediaFaults
from smproxy.manager.faults.origin import ChangeNode, OriginFaults, lose
from smproxy.manager.relay.fault_pipeline import FaultPipeline
from smproxy.manager.relay.origin_filter import OriginFilter
from smproxy.manager.relay.rewrite import Rewriter
from smproxy.manager.sessions import Sessions
from smproxy.signaling.node_channel import AttemptFailed
from smproxy.signaling.params import ConnectionParams, ParamError
from smproxy.signaling.payloads import ConnectError
from smproxy.tasks import Timers

logger = logging.getLogger(__name__)


class FaultInjection:
    """Draws the faults of each connection from the registry, and has them carried out."""

    def __init__(
        self,
        registry: FaultRegistry,
        sessions: Sessions,
        *,
        simulate: bool = True,
        change_node: ChangeNode = lambda node, action, seconds: False,
    ) -> None:
        self._registry = registry
        self._sessions = sessions
        self._simulate = simulate
        self._media = MediaFaults(registry, sessions)
        self._origins = OriginFaults(sessions, change_node)
        self._timers: dict[Fault, asyncio.TimerHandle] = {}
        self._later = Timers()
        self._unwatch: Callable[[], None] | None = None

    def start(self) -> None:
        """Act on faults that are switched on or off from now on."""
        self._unwatch = self._registry.watch(self._changed)
        for fault in self._registry.active():
            self._watch_end(fault)

    def stop(self) -> None:
        """Do nothing more by itself."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._later.cancel()
        self._origins.stop()

    def choose(self, params: ConnectionParams, method: str = "GET") -> ConnectionFaults:
        """Draw the faults of a new connection: those that it asks for, then those that are for it.

        ``method``: that of the HTTP request with which it begins: GET with an upgrade to WebSocket, POST with an offer, or an
        OPTIONS that comes before that.

        Raises:
            ParamError: ``simulate`` cannot be understood.
        """
        asked, active = self._asked(params), self._registry.connection_faults()
        if not asked and not active:
            return ConnectionFaults(params, (), ())
        hooks = tuple(each for each in asked if each.kind.layer is Layer.HOOKS)
        own = self._registry.simulate((each for each in asked if each not in hooks), None)
        known = (fault for fault in [*own, *active] if _begins_with(fault, method))
        drawn = (fault for fault in known if fault.wants(params, None))
        return ConnectionFaults(params, tuple(Use(fault, fault.behaviour()) for fault in drawn), hooks)

    def pipeline(
        self,
        faults: ConnectionFaults,
        attempt: Attempt,
        origin_filter: OriginFilter | None,
        rewriter: Rewriter | None = None,
    ) -> FaultPipeline | None:
        """Make what the messages of an attempt pass; ``None`` when no fault acts on them."""
        return faults.pipeline(attempt.session, partial(self._report_refusal, attempt), origin_filter, rewriter)

    def exchanges(self, faults: ConnectionFaults, attempt: Attempt) -> ExchangePipeline | None:
        """Make what the HTTP requests of an attempt pass; ``None`` when no fault acts on them."""
        actions = SessionActions(
            report_refusal=partial(self._report_refusal, attempt),
            end=partial(lose, self._sessions, attempt),
            later=self._later.after,
        )
        return faults.exchanges(attempt.session, actions)

    def preflight(self, params: ConnectionParams) -> ExchangePipeline | None:
        """Make what an OPTIONS that comes before an offer passes; ``None`` when no fault acts on it.

        Raises:
            ParamError: ``simulate`` cannot be understood.
        """
        actions = SessionActions(report_refusal=lambda error: None, end=lambda: None, later=self._later.after)
        return self.choose(params, "OPTIONS").exchanges(None, actions)

    def begin(self, faults: ConnectionFaults, attempt: Attempt, *, dialled: bool) -> None:
        """Begin what is not done on the relay; ``dialled``: the origin will know the attempt."""
        if faults.hooks:
            self._registry.simulate(faults.hooks, attempt.session)
        if dialled:
            for use in faults.uses:
                self._begin(use, attempt)

    def _asked(self, params: ConnectionParams) -> list[Simulated]:
        if params.simulate is None:
            return []
        if not self._simulate:
            logger.info(
                "simulate=%r is passed over: --simulate off",
                params.simulate,
                extra=about(None, params.id, params.customer_scope),
            )
            return []
        try:
            return read_simulate(params.simulate)
        except FaultError as error:
            refusal = ParamError("simulate", params.simulate, f"is not usable: {error}", "see docs/faults.md")
            refusal.connection = params.connection
            raise refusal from None

    def _begin(self, use: Use, attempt: Attempt) -> None:
        match use.behaviour:
            case MediaFault() as behaviour:
                self._media.inject(use.fault, behaviour, attempt)
            case OriginFault() as behaviour:
                self._origins.join(use.fault, behaviour, attempt)

    def _report_refusal(self, attempt: Attempt, error: ConnectError) -> None:
        self._sessions.report(attempt.node, AttemptFailed(attempt.token, error))

    def _changed(self, fault: Fault, on: bool) -> None:
        """Act on a fault that was switched on or off."""
        if not on:
            if (timer := self._timers.pop(fault, None)) is not None:
                timer.cancel()
            self._media.lift(fault)
            return
        self._watch_end(fault)
        if fault.kind.live and fault.kind.layer is not Layer.HOOKS:
            for attempt in self._sessions.attempts:
                session = self._sessions.find(attempt.session)
                if session is None or session.attempt is not attempt:
                    continue  # over, or taken over by another attempt
                if fault.wants(attempt.params, attempt.session):
                    self._begin(Use(fault, fault.behaviour()), attempt)

    def _watch_end(self, fault: Fault) -> None:
        """Have a fault whose time is over end by itself."""
        if fault.ttl is not None:
            self._timers[fault] = asyncio.get_running_loop().call_later(fault.ttl + 0.01, self._registry.active)


def _begins_with(fault: Fault, method: str) -> bool:
    """Return whether a use of a fault begins with such a request.

    Faults of one protocol do not act on the other.
    """
    kind = fault.kind
    if method == "GET":
        return not issubclass(kind, ExchangeFault) or issubclass(kind, SignalingFault)
    if issubclass(kind, ExchangeFault):
        return kind.first_request(fault.parameters) == method
    return method == "POST" and not issubclass(kind, SignalingFault)
