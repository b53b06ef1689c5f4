"""Carry out the faults of hooks, where the dispatcher asks how often an event goes out.

The journal keeps every event. What a fault keeps or loses is skipped by listeners and sinks; what comes late or again is
delivered after what is queued of its session: so the order within sessions that no fault is for is untouched.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from smproxy.faults import Fault, FaultRegistry, Layer
from smproxy.faults.hook_fault import HookEventView, HookFault
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.event import Stored
from smproxy.hooks.throttled_log import ThrottledLog
from smproxy.signaling.payloads import LAST_STATES
from smproxy.tasks import Timers

logger = logging.getLogger(__name__)

_OVER = frozenset(LAST_STATES)


@dataclass(frozen=True, slots=True)
class _StoredView(HookEventView):
    """An event as faults see it, with the event itself."""

    stored: Stored

    @classmethod
    def of(cls, stored: Stored) -> _StoredView:
        event = stored.event
        return cls(
            uuid=event.uuid,
            session=event.session,
            event=event.event,
            state=event.state,
            stream=event.context.stream,
            internal=event.internal,
            id=event.connection_id,
            customer_scope=event.customer_scope,
            role=event.role,
            app=event.app,
            stored=stored,
        )


class HookFaults:
    """All hook faults of one simulator. Made by :meth:`start`, ended by :meth:`stop`."""

    def __init__(self, registry: FaultRegistry, dispatcher: HookDispatcher) -> None:
        self._registry = registry
        self._dispatcher = dispatcher
        self._behaviours: dict[Fault, HookFault] = {}
        self._timers = Timers()
        self._undo: list[Callable[[], None]] = []
        self._errors = ThrottledLog(logger, asyncio.get_running_loop().time)

    @classmethod
    def start(cls, registry: FaultRegistry, dispatcher: HookDispatcher) -> HookFaults:
        """Act on what the dispatcher sends from now on."""
        faults = cls(registry, dispatcher)
        faults._undo = [dispatcher.intercept(faults._copies), registry.watch(faults._changed)]
        return faults

    async def stop(self) -> None:
        """Deliver all that is kept, and act on nothing more."""
        for undo in self._undo:
            undo()
        for behaviour in self._behaviours.values():
            behaviour.end()
        self._behaviours.clear()
        self._timers.cancel()
        await asyncio.sleep(0)  # for what was kept to be on its way

    def _copies(self, stored: Stored) -> int:
        """Decide how often an event goes out now."""
        if not (self._registry.has_hook_faults or self._behaviours):
            return 1
        event = _StoredView.of(stored)
        copies = 1
        for fault in self._registry.hook_faults(event.session):
            behaviour = self._behaviour(fault)
            if not fault.is_for(event, event.session):
                behaviour.observe(event)
            elif copies:
                copies = behaviour.take(event) * copies
        self._show_to_others(event)
        if event.state in _OVER and event.session != 0:
            self._registry.forget_session(event.session)
            self._drop_idle(event.session)
        return copies

    def _show_to_others(self, event: HookEventView) -> None:
        """Show an event to faults that other sessions asked for: it may be what they wait for."""
        for fault, behaviour in list(self._behaviours.items()):
            if fault.session is not None and fault.session != event.session:
                behaviour.observe(event)
                if not behaviour.keeps and fault not in self._registry.hook_faults(fault.session):
                    del self._behaviours[fault]

    def _behaviour(self, fault: Fault) -> HookFault:
        behaviour = self._behaviours.get(fault)
        if behaviour is None:
            made = fault.kind(fault.parameters, random.Random(f"{fault.seed}/hooks"))  # noqa: S311
            assert isinstance(made, HookFault)
            behaviour = self._behaviours[fault] = made
            behaviour.delivery = _FaultDelivery(self, fault)
        return behaviour

    def _drop_idle(self, session: int) -> None:
        """Forget the faults that a session asked for and that keep nothing."""
        for fault, behaviour in list(self._behaviours.items()):
            if fault.session == session and not behaviour.keeps:
                del self._behaviours[fault]

    def _changed(self, fault: Fault, on: bool) -> None:
        if fault.kind.layer is Layer.HOOKS and not on and (behaviour := self._behaviours.pop(fault, None)) is not None:
            behaviour.end()

    # what faults do -------------------------------------------------------------------------------------------------

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something later, if this has not been stopped by then."""

        def due() -> None:
            try:
                work()
            except Exception as error:
                self._errors.warning("a hook fault failed", error=error)

        self._timers.after(seconds, due)

    def deliver(self, events: Sequence[HookEventView]) -> None:
        """Deliver events that were kept, or once more."""
        # Not while another event goes out, which these are to follow, or one of these.
        asyncio.get_running_loop().call_soon(self._redeliver, tuple(events))

    def _redeliver(self, events: Sequence[HookEventView]) -> None:
        for event in events:
            if isinstance(event, _StoredView):
                self._dispatcher.redeliver(event.stored)


class _FaultDelivery:
    """What one fault can do; a :class:`smproxy.faults.hook_fault.HookDelivery`."""

    def __init__(self, owner: HookFaults, fault: Fault) -> None:
        self.draw = fault.draw
        self.later = owner.later
        self.deliver = owner.deliver
        self._fault = fault

    def acted(self, event: HookEventView, detail: str = "") -> None:
        self._fault.acted(event.session, event, detail)
