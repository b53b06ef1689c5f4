"""Delivery to one sink: in order within a session, sessions side by side, each at the receiver's pace.

At most ``in_flight`` workers exist, and only while there is work; retries wait in a heap with one timer, not in a task each.
The queue is in memory and bounded. A journal fits at two places: :meth:`Delivery.offer` says when there is no room (the journal
then keeps the event and offers it again), and :meth:`Delivery._settled` is where every event ends.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from dataclasses import dataclass

import msgspec

from proxy.hooks.event import EncodedEvent
from proxy.hooks.lanes import Lane, Lanes
from proxy.hooks.retry import FAST, RetryProfile
from proxy.hooks.sink import Dead, Delivered, Disabled, Outcome, Retry, Sink
from proxy.hooks.throttle import ThrottledLog
from proxy.signaling.clock import Clock

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one sink may hold: events not yet settled, attempts at a time, dead letters kept."""

    queue: int = 10_000
    in_flight: int = 32
    dead_letters: int = 1_000


class SinkStatus(msgspec.Struct, frozen=True):
    """How one sink is doing. ``dropped`` events never entered the queue; ``dead`` ones did and were given up."""

    name: str
    backlog: int
    delivered: int
    attempts: int
    dropped: int
    dead: int
    disabled: bool
    last_error: str | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a sink was not able to deliver. ``at``: Unix time in milliseconds."""

    sink: str
    event: EncodedEvent
    why: str
    attempts: int
    at: int


class Delivery:
    """One sink and everything on its way to it. ``start`` is undone by :meth:`stop`."""

    def __init__(
        self,
        sink: Sink,
        *,
        clock: Clock,
        rng: random.Random,
        profile: RetryProfile = FAST,
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        self._sink = sink
        self._clock = clock
        self._rng = rng
        self._profile = profile
        self._in_flight = limits.in_flight
        self._lanes = Lanes(limits.queue)
        self._loop = asyncio.get_running_loop()
        self._workers: set[asyncio.Task[None]] = set()
        self._running = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due: float | None = None
        self._emptied: asyncio.Future[None] | None = None
        self._closed = False
        self._disabled: str | None = None
        self._delivered = self._attempts = self._dropped = self._dead = 0
        self._last_error: str | None = None
        self._refusals = ThrottledLog(logger, self._loop.time)
        self._deaths = ThrottledLog(logger, self._loop.time)
        self._failures = ThrottledLog(logger, self._loop.time)
        #: The latest events that were given up, oldest first.
        self.dead_letters: deque[DeadLetter] = deque(maxlen=limits.dead_letters)

    @classmethod
    async def start(
        cls, sink: Sink, *, clock: Clock, rng: random.Random, profile: RetryProfile = FAST, limits: Limits | None = None
    ) -> Delivery:
        """Start the sink and return its delivery. Raises what ``sink.start`` raises."""
        delivery = cls(sink, clock=clock, rng=rng, profile=profile, limits=limits)
        await sink.start()
        return delivery

    def offer(self, event: EncodedEvent) -> bool:
        """Queue an event; ``False`` (counted, and logged now and then) when the queue is full or the sink is no more."""
        if self._closed or self._disabled is not None:
            self._dropped += 1
            return False
        if not self._lanes.push(event):
            self._dropped += 1
            self._refusals.warning(
                "hook sink %s: its queue of %d events is full; event %s of session %d is not sent to it (%d so far)",
                self._sink.name, len(self._lanes), event.uuid, event.session, self._dropped,
            )  # fmt: skip
            return False
        self._dispatch()
        return True

    def status(self) -> SinkStatus:
        """Return the counters as they are now."""
        return SinkStatus(
            name=self._sink.name,
            backlog=len(self._lanes),
            delivered=self._delivered,
            attempts=self._attempts,
            dropped=self._dropped,
            dead=self._dead,
            disabled=self._disabled is not None,
            last_error=self._last_error,
        )

    async def stop(self, flush: float) -> int:
        """Take no more events, deliver what is queued for at most ``flush`` seconds; return how many were left undelivered."""
        self._closed = True
        try:
            if len(self._lanes) and flush > 0:
                self._emptied = self._loop.create_future()
                await asyncio.wait((self._emptied,), timeout=flush)
        finally:
            workers = tuple(self._workers)
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            if self._timer is not None:
                self._timer.cancel()
            await self._sink.stop()
        return len(self._lanes)

    def _dispatch(self) -> None:
        """Start workers for the lanes that are ready, as far as there may be more."""
        # A worker that is about to take a lane counts as running and not yet as busy.
        for _ in range(min(self._in_flight, self._lanes.busy + self._lanes.ready) - self._running):
            self._running += 1
            worker = self._loop.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._worker_done)

    def _worker_done(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled() and (error := worker.exception()) is not None:
            logger.error("hook sink %s: a delivery worker failed", self._sink.name, exc_info=error)

    async def _work(self) -> None:
        """Deliver whatever is ready until nothing is."""
        try:
            while (lane := self._lanes.take()) is not None:
                await self._attempt(lane)
        finally:
            # Not in the done callback: between the last take and here no event can have come in unseen.
            self._running -= 1

    async def _attempt(self, lane: Lane) -> None:
        event = lane.events[0]
        if lane.attempts == 0:
            lane.since = self._loop.time()
        lane.attempts += 1
        self._attempts += 1
        try:
            outcome: Outcome = await self._sink.deliver(event)
        except Exception as error:
            outcome = Retry(None, f"{type(error).__name__}: {error}")
            self._failures.warning("hook sink %s raised an error", self._sink.name, error=error)
        if isinstance(outcome, Delivered):
            self._delivered += 1
            self._settled(lane)
            return
        self._last_error = outcome.why
        if isinstance(outcome, Retry):
            self._retry(lane, outcome)
        elif isinstance(outcome, Dead):
            self._bury(event, outcome.why, lane.attempts)
            self._settled(lane)
        else:
            self._bury(event, outcome.why, lane.attempts)
            self._settled(lane)
            self._disable(outcome)

    def _settled(self, lane: Lane) -> None:
        self._lanes.settle(lane)
        self._tell_if_empty()

    def _tell_if_empty(self) -> None:
        if self._emptied is not None and not self._lanes and not self._emptied.done():
            self._emptied.set_result(None)

    def _retry(self, lane: Lane, outcome: Retry) -> None:
        now = self._loop.time()
        wait = None
        if self._disabled is None:
            wait = self._profile.wait(
                attempts=lane.attempts, elapsed=now - lane.since, after=outcome.after, rng=self._rng
            )
        if wait is None:
            self._bury(lane.events[0], outcome.why, lane.attempts)
            self._settled(lane)
            return
        self._failures.warning(
            "hook sink %s: attempt %d at event %s failed: %s; next in %.3g s",
            self._sink.name, lane.attempts, lane.events[0].uuid, outcome.why, wait,
        )  # fmt: skip
        self._lanes.defer(lane, now + wait)
        self._set_timer()

    def _set_timer(self) -> None:
        due = self._lanes.next_due()
        if due == self._timer_due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = None if due is None else self._loop.call_at(due, self._wake)

    def _wake(self) -> None:
        # An event loop may call a little early (uvloop counts whole milliseconds).
        self._timer = self._timer_due = None
        self._lanes.promote(self._loop.time() + 0.001)
        self._set_timer()
        self._dispatch()

    def _bury(self, event: EncodedEvent, why: str, attempts: int) -> None:
        self._dead += 1
        self.dead_letters.append(DeadLetter(self._sink.name, event, why, attempts, self._clock.wall_ms()))
        self._deaths.warning(
            "hook sink %s: gave up on event %s of session %d after %d attempts: %s",
            self._sink.name, event.uuid, event.session, attempts, why,
        )  # fmt: skip

    def _disable(self, outcome: Disabled) -> None:
        if self._disabled is None:
            self._disabled = outcome.why
            logger.error("hook sink %s is disabled: %s; it gets no more events", self._sink.name, outcome.why)
        for event in self._lanes.drain():
            self._bury(event, f"sink disabled: {outcome.why}", 0)
        self._set_timer()
        self._tell_if_empty()
