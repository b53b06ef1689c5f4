"""Where events go in: the hub encodes each once and offers it to every sink, waiting for none of them."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence

from proxy.hooks.delivery import DeadLetter, Delivery, Limits, SinkStatus
from proxy.hooks.event import Context, HookEvent, encode
from proxy.hooks.retry import FAST, RetryProfile
from proxy.hooks.sink import Sink, Tap
from proxy.hooks.throttle import ThrottledLog
from proxy.signaling.clock import Clock

logger = logging.getLogger(__name__)


class Hub:
    """The sinks and taps of one process. Made by :meth:`start`, ended by :meth:`stop`, which stops those it was given."""

    def __init__(self, deliveries: Sequence[Delivery], taps: Sequence[Tap]) -> None:
        self._deliveries = tuple(deliveries)
        self._taps = tuple(taps)
        self._stopped = False
        self._errors = ThrottledLog(logger, asyncio.get_running_loop().time)

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
    ) -> Hub:
        """Start every sink. ``limits`` hold for each sink by itself; ``taps`` see each event at once, before any sink.

        Raises what the ``start`` of a sink raises; those started before it are stopped again.
        """
        deliveries: list[Delivery] = []
        try:
            for sink in sinks:
                delivery = await Delivery.start(sink, clock=clock, rng=rng, profile=profile, limits=limits)
                deliveries.append(delivery)
        except BaseException:
            await asyncio.gather(*(delivery.stop(0.0) for delivery in deliveries), return_exceptions=True)
            raise
        return cls(deliveries, taps)

    def publish(self, event: HookEvent, context: Context | None = None) -> None:
        """Send ``event`` to every sink and tap, some time soon. Never blocks and never raises; call it on the event loop."""
        try:
            encoded = encode(event, context)
        except Exception as error:
            self._errors.warning("hook event %s cannot be encoded and is not sent", event.uuid, error=error)
            return
        for tap in self._taps:
            try:
                tap.offer(encoded)
            except Exception as error:
                self._errors.warning("%r failed at hook event %s", tap, event.uuid, error=error)
        for delivery in self._deliveries:
            delivery.offer(encoded)

    def status(self) -> list[SinkStatus]:
        """Return how each sink is doing, in the order in which they were given."""
        return [delivery.status() for delivery in self._deliveries]

    def dead_letters(self) -> list[DeadLetter]:
        """Return the latest events that were given up, sink by sink, oldest first."""
        return [letter for delivery in self._deliveries for letter in delivery.dead_letters]

    async def stop(self, flush: float = 2.0) -> None:
        """Deliver what is queued for at most ``flush`` seconds, then give up, which is logged; end sinks and taps."""
        if self._stopped:
            return
        self._stopped = True
        given_up = await asyncio.gather(
            *(self._stop_one(delivery, flush) for delivery in self._deliveries), self._close_taps()
        )
        lost = [line for line in given_up if line]
        if lost:
            logger.error("hook events given up at stop after %g s: %s", flush, ", ".join(lost))

    async def _stop_one(self, delivery: Delivery, flush: float) -> str:
        """Stop one delivery; say what it had to give up."""
        name = delivery.status().name
        try:
            left = await delivery.stop(flush)
        except Exception:
            logger.exception("hook sink %s did not stop cleanly", name)
            left = delivery.status().backlog
        return f"{left} for {name}" if left else ""

    async def _close_taps(self) -> None:
        for outcome in await asyncio.gather(*(tap.close() for tap in self._taps), return_exceptions=True):
            if isinstance(outcome, Exception):
                logger.error("a hook tap did not close cleanly", exc_info=outcome)
