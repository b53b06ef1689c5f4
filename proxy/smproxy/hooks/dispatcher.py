"""Where events go in: the hub encodes each once, has it journalled and offers it to every sink, waiting for none of them."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

from smproxy.hooks.delivery import Delivery, Limits
from smproxy.hooks.event import Context, HookEvent, Stored, encode
from smproxy.hooks.journal import Journal, JournalError
from smproxy.hooks.retry import FAST, RetryProfile
from smproxy.hooks.sink import Sink, Tap
from smproxy.hooks.status import DeadLetter, News, SinkStatus
from smproxy.hooks.throttle import ThrottledLog
from smproxy.signaling.clock import Clock

logger = logging.getLogger(__name__)


class Hub:
    """The sinks and taps of one process. Made by :meth:`start`, ended by :meth:`stop`, which stops those it was given."""

    def __init__(self, deliveries: Sequence[Delivery], taps: Sequence[Tap], journal: Journal | None) -> None:
        self._deliveries = tuple(deliveries)
        self._taps = tuple(taps)
        self._published = 0
        self._stopped = False
        self._errors = ThrottledLog(logger, asyncio.get_running_loop().time)
        #: The journal that the hub was given. It is not the hub's to stop.
        self.journal = journal
        if journal is not None:
            journal.on_committed(self._offer)

    @classmethod
    async def start(
        cls,
        sinks: Sequence[Sink],
        *,
        clock: Clock,
        rng: random.Random,
        profile: RetryProfile = FAST,
        limits: Limits | None = None,
        taps: Sequence[Tap] = (),
        journal: Journal | None = None,
    ) -> Hub:
        """Start every sink, with what the journal has pending for it. ``limits`` hold for each sink by itself.

        Each event is journalled, then ``taps`` see it, then the sinks. Raises what the ``start`` of a sink raises,
        :class:`JournalError`, and ``ValueError`` when two sinks have the same name; those started before are stopped again.
        """
        deliveries: list[Delivery] = []
        try:
            if journal is not None:
                names = [sink.name for sink in sinks]
                if twice := next((name for name in names if names.count(name) > 1), None):
                    raise ValueError(f"the hook sink {twice} is given twice")
                await journal.begin_sinks(names)
            for sink in sinks:
                delivery = await Delivery.start(
                    sink, clock=clock, rng=rng, profile=profile, limits=limits, ledger=journal
                )
                deliveries.append(delivery)
        except BaseException:
            await asyncio.gather(*(delivery.stop(0.0) for delivery in deliveries), return_exceptions=True)
            raise
        return cls(deliveries, taps, journal)

    def watch(self, tap: Tap, on_news: Callable[[News], None]) -> Callable[[], None]:
        """Have ``tap`` see each event, and ``on_news`` what becomes of it at each sink; return what ends that.

        There is one such watcher at a time. Neither may block.
        """
        self._taps = (*self._taps, tap)
        for delivery in self._deliveries:
            delivery.on_news = on_news

        def unwatch() -> None:
            self._taps = tuple(each for each in self._taps if each is not tap)
            for delivery in self._deliveries:
                delivery.on_news = None

        return unwatch

    def publish(self, event: HookEvent, context: Context | None = None) -> None:
        """Send ``event`` to every sink and tap, some time soon. Never blocks and never raises; call it on the event loop."""
        try:
            encoded = encode(event, context)
        except Exception as error:
            self._errors.warning("hook event %s cannot be encoded and is not sent", event.uuid, error=error)
            return
        if self.journal is not None and not self._stopped:
            self.journal.append(encoded)
        else:
            self._published += 1
            self._offer((Stored(self._published, encoded),))

    def _offer(self, batch: Sequence[Stored]) -> None:
        """Events are journalled: tell of them."""
        for stored in batch:
            for tap in self._taps:
                try:
                    tap.offer(stored.event)
                except Exception as error:
                    self._errors.warning("%r failed at hook event %s", tap, stored.event.uuid, error=error)
            for delivery in self._deliveries:
                delivery.offer(stored)

    async def resend(self, uuid: str, sink: str | None = None) -> int:
        """Deliver an event again to every sink that has settled it, or to one; return to how many.

        It takes its turn in its session's lane, after what is queued there. Raises :class:`JournalError`.
        """
        return await self._reset(uuid, sink)

    async def resend_dead(self, sink: str | None = None) -> int:
        """Deliver again what was given up, at one sink or at all; return how many deliveries. Raises :class:`JournalError`."""
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
        """Wait until every sink has settled what it was given, at most ``timeout`` seconds; return whether all have."""
        if self.journal is not None:
            await self.journal.flush()
        waits = [asyncio.ensure_future(delivery.drained()) for delivery in self._deliveries]
        if not waits:
            return True
        _, late = await asyncio.wait(waits, timeout=timeout)
        for wait in late:
            wait.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return not late

    async def forget(self) -> tuple[int, int]:
        """Forget every event so far: in the journal, and what sinks have yet to get. What sinks are told next is new.

        Return how many events the journal forgot, and how many deliveries are not made. Raises :class:`JournalError`.
        """
        upto, events = (self._published, 0) if self.journal is None else await self.journal.forget()
        return events, sum(delivery.forget(upto) for delivery in self._deliveries)

    def status(self) -> list[SinkStatus]:
        """Return how each sink is doing, in the order in which they were given."""
        return [delivery.status() for delivery in self._deliveries]

    def dead_letters(self) -> list[DeadLetter]:
        """Return the latest events that were given up, sink by sink, oldest first."""
        return [letter for delivery in self._deliveries for letter in delivery.dead_letters]

    async def stop(self, flush: float = 2.0) -> None:
        """Deliver what is queued for at most ``flush`` seconds and end sinks and taps.

        What is left over stays in the journal for the next start; without one it is given up, which is logged.
        """
        if self._stopped:
            return
        self._stopped = True
        if self.journal is not None:
            await self.journal.flush()
        outcomes = await asyncio.gather(
            *(self._stop_one(delivery, flush) for delivery in self._deliveries), self._close_taps()
        )
        left = ", ".join(line for line in outcomes if line)
        kept = self.journal is not None and self.journal.path is not None and self.journal.healthy
        if left and kept:
            logger.warning("hook events not delivered after %g s: %s; the next start goes on with them", flush, left)
        elif left:
            logger.error("hook events given up at stop after %g s: %s", flush, left)

    async def _stop_one(self, delivery: Delivery, flush: float) -> str:
        """Stop one delivery; say what is left."""
        try:
            left = await delivery.stop(flush)
        except Exception:
            logger.exception("hook sink %s did not stop cleanly", delivery.name)
            left = delivery.status().backlog
        return f"{left} for {delivery.name}" if left else ""

    async def _close_taps(self) -> None:
        for outcome in await asyncio.gather(*(tap.close() for tap in self._taps), return_exceptions=True):
            if isinstance(outcome, Exception):
                logger.error("a hook tap did not close cleanly", exc_info=outcome)
