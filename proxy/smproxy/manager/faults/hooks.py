"""Hook faults carried out, between the hub and those that it tells.

The hub and its journal know nothing of it. Each event is looked at once, when the hub tells its taps; what is kept or lost is
passed over by the sinks, as one that has no place in their format is, and what comes late or again is sent again as a person
would resend it: so the order within sessions that no fault is for is untouched, and every attempt is on record.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec

from smproxy.faults import Fault, FaultRegistry, Layer
from smproxy.faults.hook_fault import HookEventView, HookFault
from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.sink import EventListener, Sink
from smproxy.hooks.throttle import ThrottledLog
from smproxy.manager.faulty_sink import DisturbedSink, Resend, bound

logger = logging.getLogger(__name__)

#: Seconds that sinks have at the end to take what was kept.
LAST = 1.0

_OVER = frozenset({"disconnected", "connect_error"})


class _Connection(msgspec.Struct):
    id: str | None = None
    app: str | None = None
    role: str = ""


class _Head(msgspec.Struct):
    connection: _Connection = msgspec.field(default_factory=_Connection)


_decoder = msgspec.json.Decoder(_Head)


class HookFaults:
    """All hook faults of one simulator. ``tap`` and ``sink`` go around what the hub is given; ``stop`` undoes ``start``."""

    def __init__(self, registry: FaultRegistry) -> None:
        self._registry = registry
        self._taps: tuple[EventListener, ...] = ()
        self._events: OrderedDict[str, EncodedEvent] = OrderedDict()
        self._kept: OrderedDict[str, None] = OrderedDict()
        self._copies: OrderedDict[str, int] = OrderedDict()
        self._states: dict[Fault, HookFault] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._sinks: list[DisturbedSink] = []
        self._resend: Resend | None = None
        self._unwatch: Callable[[], None] | None = None
        self._errors = ThrottledLog(logger, asyncio.get_running_loop().time)

    def tap(self, taps: Sequence[EventListener]) -> EventListener:
        """Return what the hub is to tell in place of its taps."""
        self._taps = tuple(taps)
        return self

    def sink(self, sink: Sink) -> Sink:
        """Return what the hub is to deliver to in place of a sink."""
        self._sinks.append(DisturbedSink(sink, self.copies))
        return self._sinks[-1]

    def start(self, resend: Resend) -> None:
        """Act on faults; ``resend`` is the hub's."""
        self._resend = resend
        self._unwatch = self._registry.watch(self._changed)

    async def stop(self) -> None:
        """Let go of all that is kept, and disturb nothing more."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        for state in list(self._states.values()):
            state.end()
        self._states.clear()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        await asyncio.sleep(0)  # for what was let go to be on its way
        await asyncio.gather(*(sink.finish(LAST) for sink in self._sinks))
        self._resend = None

    # what the hub tells -----------------------------------------------------------------------------------------------

    def offer(self, event: EncodedEvent) -> None:
        """Decide what becomes of an event; then tell the taps."""
        copies = 1
        if self._resend is not None and (self._registry.has_hook_faults or self._states):
            try:
                copies = self._pass(event)
            except Exception as error:
                self._errors.warning("a hook fault failed; event %s goes on", event.uuid, error=error)
        for _ in range(copies):
            self._tell(event)

    async def close(self) -> None:
        """Close the taps."""
        outcomes = await asyncio.gather(*(tap.close() for tap in self._taps), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    def copies(self, uuid: str) -> int:
        """Return how often a sink is to deliver an event that it has for the first time: 0 of one that is kept or lost."""
        return 0 if uuid in self._kept else self._copies.get(uuid, 1)

    # the faults -------------------------------------------------------------------------------------------------------

    def _pass(self, event: EncodedEvent) -> int:
        told = _told(event)
        self._remember(event)
        copies = 1
        for fault in self._registry.hook_faults(event.session):
            state = self._state(fault)
            if not fault.is_for(told, event.session):
                state.observe(told)
            elif copies:
                copies = state.take(told) * copies
        for fault, state in list(self._states.items()):
            # The fault of a connection's own asking: the next session of the stream may bring what it waits for.
            if fault.session is not None and fault.session != event.session:
                state.observe(told)
                if not state.keeps and fault not in self._registry.hook_faults(fault.session):
                    del self._states[fault]
        if event.state in _OVER and event.session != 0:
            self._registry.forget_session(event.session)
            self._drop_idle(event.session)
        if copies == 0:
            self._kept[event.uuid] = None
            bound(self._kept)
        elif copies > 1:
            self._copies[event.uuid] = copies
            bound(self._copies)
        return copies

    def _remember(self, event: EncodedEvent) -> None:
        self._events[event.uuid] = event
        bound(self._events)

    def _state(self, fault: Fault) -> HookFault:
        state = self._states.get(fault)
        if state is None:
            made = fault.kind(fault.parameters, random.Random(f"{fault.seed}/hooks"))  # noqa: S311
            assert isinstance(made, HookFault)
            state = self._states[fault] = made
            state.delivery = _FaultDelivery(self, fault)
        return state

    def _drop_idle(self, session: int) -> None:
        """Forget the faults of a session's own asking that wait for nothing."""
        for fault, state in list(self._states.items()):
            if fault.session == session and not state.keeps:
                del self._states[fault]

    def _changed(self, fault: Fault, on: bool) -> None:
        if fault.kind.layer is Layer.HOOKS and not on and (state := self._states.pop(fault, None)) is not None:
            state.end()

    # what they do -----------------------------------------------------------------------------------------------------

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something later, if this has not been stopped by then."""

        def due() -> None:
            self._timers.discard(timer)
            try:
                work()
            except Exception as error:
                self._errors.warning("a hook fault failed", error=error)

        timer = asyncio.get_running_loop().call_later(seconds, due)
        self._timers.add(timer)

    def deliver(self, events: Sequence[HookEventView]) -> None:
        """Deliver events that were kept, or once more."""
        # Not from within the telling of another event, which these are to follow, or of one of these.
        asyncio.get_running_loop().call_soon(self._tell_again, [told.uuid for told in events])

    def _tell_again(self, uuids: list[str]) -> None:
        for uuid in uuids:
            if (event := self._events.get(uuid)) is not None:
                self._tell(event)
            if self._resend is not None:
                for sink in self._sinks:
                    sink.again(uuid, self._resend, kept=uuid in self._kept)

    def _tell(self, event: EncodedEvent) -> None:
        for tap in self._taps:
            try:
                tap.offer(event)
            except Exception as error:
                self._errors.warning("%r failed at hook event %s", tap, event.uuid, error=error)


class _FaultDelivery:
    """What one fault can do; a :class:`smproxy.faults.hook_fault.HookDelivery`."""

    def __init__(self, owner: HookFaults, fault: Fault) -> None:
        self.draw = fault.draw
        self.later = owner.later
        self.deliver = owner.deliver
        self._fault = fault

    def acted(self, event: HookEventView, detail: str = "") -> None:
        self._fault.acted(event.session, event, detail)


def _told(event: EncodedEvent) -> HookEventView:
    connection = _decoder.decode(event.body).connection
    return HookEventView(
        uuid=event.uuid,
        session=event.session,
        event=event.event,
        state=event.state,
        stream=event.context.stream,
        internal=event.internal,
        id=connection.id,
        customer_scope=event.customer_scope,
        role=connection.role,
        app=connection.app,
    )
