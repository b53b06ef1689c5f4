"""Encode each event once, have it journalled, and give it to listeners and sinks."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from smproxy.hooks.deliveries import Deliveries
from smproxy.hooks.delivery import Delivery, Limits
from smproxy.hooks.event import Context, EncodedEvent, EventFactory, HookEvent, Stored, encode
from smproxy.hooks.journal import Journal, JournalError
from smproxy.hooks.retry import FAST, RetryProfile
from smproxy.hooks.sink import EventListener, Sink
from smproxy.hooks.status import DeadLetter, DeliveryUpdate, SinkStatus
from smproxy.hooks.throttled_log import ThrottledLog
from smproxy.signaling.clock import Clock
from smproxy.signaling.payloads import EVENT_OF, INTERNAL_EVENTS, Connection, Payload

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Says how often an event goes out: 0 is not at all, which the journal records as skipped.
Interception = Callable[[Stored], int]


class HookDispatcher:
    """The sinks and listeners of one process.

    Made by :meth:`start`, ended by :meth:`stop`, which stops those it was given.

    Internal events (:data:`smproxy.signaling.payloads.INTERNAL_EVENTS`) are neither journalled nor sent unless some sink takes
    them.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        listeners: Sequence[EventListener],
        journal: Journal | None,
        events: EventFactory,
    ) -> None:
        self._deliveries = deliveries
        self._listeners = tuple(listeners)
        self._events = events
        self._published = 0
        self._stopped = False
        self._errors = ThrottledLog(logger, asyncio.get_running_loop().time)
        self._published_callbacks: tuple[Callable[[HookEvent, Context], None], ...] = ()
        self._update_callbacks: tuple[Callable[[DeliveryUpdate], None], ...] = ()
        self._interceptions: tuple[Interception, ...] = ()
        #: The journal that the dispatcher was given, and does not stop.
        self.journal = journal

    @classmethod
    async def start(
        cls,
        sinks: Sequence[Sink],
        *,
        clock: Clock,
        rng: random.Random,
        events: EventFactory | None = None,
        profile: RetryProfile = FAST,
        limits: Limits | None = None,
        listeners: Sequence[EventListener] = (),
        journal: Journal | None = None,
    ) -> HookDispatcher:
        """Start every sink, with what the journal has pending for it.

        ``limits`` hold for each sink by itself.

        Each event is journalled, then given to ``listeners``, then to the sinks. ``events`` makes what :meth:`emit` sends.

        Raises what the ``start`` of a sink raises, :class:`JournalError`, and ``ValueError`` when two sinks have the same name;
        those started before are stopped again.
        """
        events = events or EventFactory(node=1, clock=clock, rng=rng)
        deliveries = Deliveries(clock=clock, rng=rng, profile=profile, limits=limits, journal=journal)
        dispatcher = cls(deliveries, listeners, journal, events)
        await deliveries.start(sinks)
        if journal is not None:
            journal.on_committed(dispatcher._dispatch)
        return dispatcher

    # Who follows: each method returns what undoes it; no callback may block, and what one raises is logged.

    def listen(self, listener: EventListener) -> Callable[[], None]:
        """Give ``listener`` each event from now on, once it is journalled."""
        self._listeners = (*self._listeners, listener)

        def undo() -> None:
            self._listeners = _without(self._listeners, listener)

        return undo

    def on_published(self, callback: Callable[[HookEvent, Context], None]) -> Callable[[], None]:
        """Call back with each event at the moment when it is published, before it is journalled."""
        self._published_callbacks = (*self._published_callbacks, callback)

        def undo() -> None:
            self._published_callbacks = _without(self._published_callbacks, callback)

        return undo

    def on_update(self, callback: Callable[[DeliveryUpdate], None]) -> Callable[[], None]:
        """Call back after each attempt to deliver an event."""
        self._update_callbacks = (*self._update_callbacks, callback)
        self._deliveries.on_update(self._update)

        def undo() -> None:
            self._update_callbacks = _without(self._update_callbacks, callback)
            if not self._update_callbacks:
                self._deliveries.on_update(None)

        return undo

    def intercept(self, interception: Interception) -> Callable[[], None]:
        """Ask ``interception`` how often each journalled event goes out to listeners and sinks."""
        self._interceptions = (*self._interceptions, interception)

        def undo() -> None:
            self._interceptions = _without(self._interceptions, interception)

        return undo

    @property
    def takes_internal(self) -> bool:
        """Whether any sink takes internal events."""
        return self._deliveries.takes_internal

    # Sinks that come and go

    @property
    def added_sinks(self) -> frozenset[str]:
        """The names of the sinks that were added since the start."""
        return self._deliveries.added

    async def add_sink(self, sink: Sink) -> SinkStatus:
        """Add a sink, which gets what is published from now on; return its state.

        Raises :class:`JournalError`, what its ``start`` raises, and ``SinkError`` when there is one of this name, or too many.
        """
        return await self._deliveries.add(sink)

    async def remove_sink(self, name: str) -> int:
        """Remove a sink; return how many events it has not got, which it never gets.

        They stay in the journal. Raises :class:`JournalError`, and ``KeyError`` for an unknown one.
        """
        return await self._deliveries.remove(name)

    # The way of an event

    def emit(
        self, payload: Payload, sequence: int, connection: Connection, context: Context | None = None
    ) -> EncodedEvent | None:
        """Make the event of ``payload``, which happened now, and publish it.

        Return it unless nobody takes it.
        """
        if EVENT_OF[type(payload)] in INTERNAL_EVENTS and not self._deliveries.takes_internal:
            return None
        event = self._events.make(payload, sequence, connection)
        if context is not None and context.epoch is not None:
            event = msgspec.structs.replace(event, epoch=context.epoch)
        return self.publish(event, context)

    def publish(self, event: HookEvent, context: Context | None = None) -> EncodedEvent | None:
        """Send ``event`` to every sink and listener, some time soon.

        Return it as it is sent, ``None`` if it is not.

        Never blocks and never raises; call it on the event loop.
        """
        if event.event in INTERNAL_EVENTS and not self._deliveries.takes_internal:
            return None
        try:
            encoded = encode(event, context)
        except Exception as error:
            self._errors.warning("hook event %s cannot be encoded and is not sent", event.uuid, error=error)
            return None
        for callback in self._published_callbacks:
            self._guarded(callback, event.uuid, event, encoded.context)
        if self.journal is not None and not self._stopped:
            self.journal.append(encoded)
        else:
            self._published += 1
            self._dispatch((Stored(self._published, encoded),))
        return encoded

    def _dispatch(self, batch: Sequence[Stored]) -> None:
        """Give events that are journalled to listeners and sinks."""
        for stored in batch:
            copies = 1
            for interception in self._interceptions:
                try:
                    copies *= interception(stored)
                except Exception as error:
                    self._errors.warning("%r failed at hook event %s", interception, stored.event.uuid, error=error)
            if self._listeners:
                for _ in range(copies):
                    self._notify(stored)
            self._deliveries.offer(stored, copies)

    def redeliver(self, stored: Stored) -> None:
        """Give an event, skipped or not, once more to every listener and sink, after what is queued."""
        self._notify(stored)
        self._deliveries.redeliver(stored)

    def _notify(self, stored: Stored) -> None:
        for listener in self._listeners:
            self._guarded(listener.offer, stored.event.uuid, stored.event)

    def _update(self, update: DeliveryUpdate) -> None:
        for callback in self._update_callbacks:
            self._guarded(callback, update.event.uuid, update)

    def _guarded(self, callback: Callable[..., None], uuid: str, *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception as error:
            self._errors.warning("%r failed at hook event %s", callback, uuid, error=error)

    async def resend(self, uuid: str, sink: str | None = None) -> int:
        """Deliver an event again to every sink that has settled it, or to one; return to how many.

        It takes its turn, after what is queued of its session. Raises :class:`JournalError`.
        """
        return await self._reset(uuid, sink)

    async def resend_dead(self, sink: str | None = None) -> int:
        """Deliver again what was given up, at one sink or at all; return how many deliveries.

        Raises :class:`JournalError`.
        """
        return await self._reset(None, sink)

    async def _reset(self, uuid: str | None, sink: str | None) -> int:
        if self.journal is None:
            raise JournalError("there is no journal: nothing can be sent again")
        count = 0
        for delivery in self._deliveries:
            if sink is None or sink == delivery.name:
                ids = await self.journal.reset(delivery.name, uuid)
                delivery.again(ids)
                count += len(ids)
        return count

    async def drained(self, timeout: float) -> bool:
        """Wait until every sink has settled what it was given, at most ``timeout`` seconds.

        Return whether all have.
        """
        if self.journal is not None:
            await self.journal.flush()
        return await self._deliveries.drained(timeout)

    async def forget(self) -> tuple[int, int]:
        """Forget every event so far: in the journal, and what sinks have yet to get.

        What sinks get next is new.

        Return how many events the journal forgot, and how many deliveries are not made. Raises :class:`JournalError`.
        """
        upto, events = (self._published, 0) if self.journal is None else await self.journal.forget()
        return events, self._deliveries.forget(upto)

    def status(self) -> list[SinkStatus]:
        """Return the state and the counters of each sink, in the order in which they were given."""
        return self._deliveries.status()

    def dead_letters(self) -> list[DeadLetter]:
        """Return the latest events that were given up, sink by sink, oldest first."""
        return self._deliveries.dead_letters()

    async def stop(self, flush: float = 2.0) -> None:
        """Deliver what is queued for at most ``flush`` seconds and end sinks and listeners.

        What is left over stays in the journal for the next start; without one it is given up, which is logged.
        """
        if self._stopped:
            return
        self._stopped = True
        if self.journal is not None:
            await self.journal.flush()
        outcomes = await asyncio.gather(
            *(self._stop_one(delivery, flush) for delivery in self._deliveries), self._close_listeners()
        )
        left = ", ".join(line for line in outcomes if line)
        kept = self.journal is not None and self.journal.path is not None and self.journal.healthy
        if left and kept:
            logger.warning("hook events not delivered after %g s: %s; the next start goes on with them", flush, left)
        elif left:
            logger.error("hook events given up at stop after %g s: %s", flush, left)

    async def _stop_one(self, delivery: Delivery, flush: float) -> str:
        """Stop one delivery; return what is left."""
        try:
            left = await delivery.stop(flush)
        except Exception:
            logger.exception("hook sink %s did not stop cleanly", delivery.name)
            left = delivery.status().backlog
        return f"{left} for {delivery.name}" if left else ""

    async def _close_listeners(self) -> None:
        for outcome in await asyncio.gather(*(each.close() for each in self._listeners), return_exceptions=True):
            if isinstance(outcome, Exception):
                logger.error("a hook listener did not close cleanly", exc_info=outcome)


def _without(items: tuple[T, ...], item: T) -> tuple[T, ...]:
    return tuple(each for each in items if each != item)
