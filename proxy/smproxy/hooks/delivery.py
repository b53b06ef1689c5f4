"""Delivery to one sink: in order within a session, sessions side by side.

At most ``in_flight`` workers exist, and only while there is work; retries wait in a heap with one timer, not in a task each.
What is in memory is bounded. With a journal, which then is the queue, an event that finds no room is read back from it when
there is room again (:mod:`smproxy.hooks.outbox_reader`), and each attempt is noted there. Without one it is refused.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from smproxy.hooks.event import Stored
from smproxy.hooks.journal.types import AttemptRecord, Mark, State
from smproxy.hooks.ordered_queue import OrderedQueue, OrderingGroup
from smproxy.hooks.outbox_reader import Ledger, OutboxReader
from smproxy.hooks.retry import FAST, RetryProfile
from smproxy.hooks.retry_timer import RetryTimer
from smproxy.hooks.sink import Dead, Delivered, Disabled, Outcome, Retry, Sink, Skipped
from smproxy.hooks.status import Counters, DeadLetter, DeliveryUpdate, SinkStatus
from smproxy.hooks.throttled_log import ThrottledLog
from smproxy.hooks.workers import Workers
from smproxy.signaling.clock import Clock

logger = logging.getLogger(__name__)

#: The journal's words for what came of an attempt.
RESULTS: dict[type[Outcome], str] = {Delivered: "delivered", Retry: "retry", Dead: "dead", Disabled: "disabled"}


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one sink may hold: events not yet settled, attempts at a time, dead letters kept."""

    queue: int = 10_000
    in_flight: int = 32
    dead_letters: int = 1_000


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
        ledger: Ledger | None = None,
    ) -> None:
        limits = limits or Limits()
        self._sink = sink
        self._clock = clock
        self._wall = clock.wall
        self._rng = rng
        self._profile = profile
        self._queue = OrderedQueue(limits.queue)
        self._ledger = ledger
        self._outbox = None
        if ledger is not None:
            self._outbox = OutboxReader(ledger, sink.name, self._queue, give=self._take_back, level=self._check_empty)
        self._loop = asyncio.get_running_loop()
        self._workers = Workers(limits.in_flight, self._work, self._worker_failed)
        self._timer = RetryTimer(self._wake)
        self._emptied: asyncio.Future[None] | None = None
        self._closed = False
        self._disabled: str | None = None
        self._forgotten = -1
        #: Events up to this id were published before the sink was there: they are none of its, whenever they are given again.
        self.since = 0
        self._counters = Counters()
        self._refusals = ThrottledLog(logger, self._loop.time)
        self._deaths = ThrottledLog(logger, self._loop.time)
        self._failures = ThrottledLog(logger, self._loop.time)
        #: Called after each attempt, unless nobody wants to know. Must neither block nor raise.
        self.on_update: Callable[[DeliveryUpdate], None] | None = None
        #: The latest events that were given up, oldest first.
        self.dead_letters: deque[DeadLetter] = deque(maxlen=limits.dead_letters)

    @classmethod
    async def start(
        cls,
        sink: Sink,
        *,
        clock: Clock,
        rng: random.Random,
        profile: RetryProfile = FAST,
        limits: Limits | None = None,
        ledger: Ledger | None = None,
    ) -> Delivery:
        """Start the sink and return its delivery, which begins with what the ``ledger`` has pending.

        Raises what ``sink.start`` raises, and ``JournalError``.
        """
        delivery = cls(sink, clock=clock, rng=rng, profile=profile, limits=limits, ledger=ledger)
        await sink.start()
        await delivery.begin()
        return delivery

    async def begin(self) -> None:
        """Begin with what the ledger has pending; the sink has been started.

        Events may be offered before, and while it runs. Raises ``JournalError``.
        """
        try:
            if self._outbox is not None:
                await self._outbox.start()
        except BaseException:
            await self._sink.stop()
            raise

    @property
    def name(self) -> str:
        """The name of the sink."""
        return self._sink.name

    @property
    def takes_internal(self) -> bool:
        """Whether the sink takes internal events."""
        return self._sink.takes_internal

    def offer(self, stored: Stored, copies: int = 1) -> bool:
        """Queue an event, more than once if there are ``copies``.

        ``False``: there is no room, or the sink takes no more.

        Without a journal the event is then lost, counted, and that is logged now and then.
        """
        if self._disabled is not None and not self._closed and self._ledger is not None:
            self._bury(stored, f"sink disabled: {self._disabled}", 0)
            return False
        if self._closed or self._disabled is not None:
            self._counters.dropped += self._ledger is None
            return False
        if self._outbox is not None and not self._outbox.direct(stored, copies):
            return False
        if not self._queue.push(stored):
            if self._outbox is not None:
                self._outbox.fall_behind(stored)
                return False
            self._drop(stored)
            return False
        for _ in range(copies - 1):
            self._queue.push(stored)
        self._dispatch()
        return True

    def skip(self, stored: Stored) -> None:
        """Settle an event that was journalled just now, without an attempt."""
        if self._outbox is not None:
            self._outbox.direct(stored, 0)
        if not self._closed and self._disabled is None:
            self._counters.skipped += 1
            self._note(stored, State.SKIPPED, None)

    def redeliver(self, stored: Stored) -> None:
        """Queue an event once more, also one that was skipped."""
        if self._closed or self._disabled is not None or stored.id <= self.since:
            return
        self._note(stored, State.PENDING, None)
        if self._queue.push(stored):
            self._dispatch()
        elif self._outbox is not None:
            self._outbox.again([stored.id])
        else:
            self._drop(stored)

    def _drop(self, stored: Stored) -> None:
        self._counters.dropped += 1
        event = stored.event
        self._refusals.warning(
            "hook sink %s: its queue of %d events is full; event %s of session %d is not sent to it (%d so far)",
            self._sink.name, len(self._queue), event.uuid, event.session, self._counters.dropped, extra=event.about,
        )  # fmt: skip

    def again(self, ids: list[int]) -> None:
        """Deliver events again that the journal has made pending.

        A sink that is disabled is enabled by that.
        """
        if self._outbox is None or self._closed or not ids:
            return
        if self._disabled is not None:
            logger.warning("hook sink %s is enabled again: a resend was asked for", self._sink.name)
            self._disabled = None
        self._outbox.again(ids)

    def forget(self, upto: int) -> int:
        """Drop what waits here, events up to this id, and dead letters; return how many waited.

        An attempt that is under way ends, and is not repeated. A sink that is disabled is enabled.
        """
        self._forgotten = upto
        count = self._backlog()
        dropped = self._queue.drain()
        if self._outbox is not None:
            self._outbox.forget(upto)
        for stored in dropped:
            if stored.id > upto:
                self._queue.push(stored)
        self.dead_letters.clear()
        self._disabled = None
        self._timer.set(self._queue.next_due())
        self._dispatch()
        if self._outbox is not None:
            self._outbox.made_room()
        self._check_empty()
        return count

    def status(self) -> SinkStatus:
        """Return the state and the counters as they are now."""
        oldest = min((group.first.event.ts for group in self._queue), default=None)
        return self._counters.status(
            self._sink.name,
            disabled=self._disabled is not None,
            backlog=self._backlog(),
            retrying=self._queue.waiting,
            oldest=None if oldest is None else max(0.0, self._clock.wall() - oldest / 1000),
        )

    async def stop(self, flush: float) -> int:
        """Take no more events, deliver what is queued for at most ``flush`` seconds.

        Return how many were left undelivered.
        """
        self._closed = True
        try:
            if self._backlog() and flush > 0:
                await asyncio.wait((self._empty(),), timeout=flush)
        finally:
            await self._workers.stop()  # a retry that falls due meanwhile starts no new one
            if self._outbox is not None:
                await self._outbox.stop()
            self._timer.set(None)
            await self._sink.stop()
        return self._backlog()

    async def drained(self) -> None:
        """Wait until all that was given is settled."""
        while self._backlog():
            await asyncio.shield(self._empty())

    def _empty(self) -> asyncio.Future[None]:
        """Return what is done when nothing is left."""
        if self._emptied is None or self._emptied.done():
            self._emptied = self._loop.create_future()
        return self._emptied

    def _backlog(self) -> int:
        return len(self._queue) + (0 if self._outbox is None else self._outbox.left)

    def _take_back(self, stored: Stored) -> bool:
        """An event comes from the journal; ``False`` when there is no room for it after all."""
        if stored.id <= self._forgotten:
            return True
        if self._disabled is not None:
            self._bury(stored, f"sink disabled: {self._disabled}", 0)
            return True
        if not self._queue.push(stored):
            return False
        self._dispatch()
        return True

    def _dispatch(self) -> None:
        """Start workers for what is ready, as far as there may be more."""
        # A worker that is about to take a group counts as running and not yet as busy.
        workers = self._workers
        if workers.running < workers.most:
            workers.ensure(self._queue.busy + self._queue.ready)

    async def _work(self) -> None:
        """Deliver whatever is ready until nothing is."""
        while (group := self._queue.take()) is not None:
            event = group.first.event
            began, at = self._loop.time(), self._wall()
            if group.attempts == 0:
                group.since = began
            try:
                outcome: Outcome = await self._sink.deliver(event)
            except Exception as error:
                outcome = Retry(None, f"{type(error).__name__}: {error}")
                self._failures.warning("hook sink %s raised an error", self._sink.name, error=error, extra=event.about)
            self._came_of(group, outcome, at, began)

    def _worker_failed(self, error: BaseException) -> None:
        logger.error("hook sink %s: a delivery worker failed", self._sink.name, exc_info=error)

    def _came_of(self, group: OrderingGroup, outcome: Outcome, at: float, began: float) -> None:
        """Settle the first event of a group, or plan the next attempt.

        The last was made ``at`` Unix time and ``began`` at loop time.
        """
        stored = group.first
        if isinstance(outcome, Skipped):
            self._counters.skipped += 1
            self._note(stored, State.SKIPPED, None)
            self._settled(group)
            return
        group.attempts += 1
        why = detail = "" if isinstance(outcome, Delivered) else outcome.why
        wait = None
        if isinstance(outcome, Retry) and stored.id > self._forgotten and (wait := self._wait(group, outcome)) is None:
            outcome, detail = Dead(why), f"{why}; gave up after attempt {group.attempts}"
        result = RESULTS[type(outcome)]
        self._counters.count(result, why)
        record = AttemptRecord(int(at * 1000), result, detail, round((self._loop.time() - began) * 1000))
        match outcome:
            case Delivered():
                self._counters.deliver(self._wall() - stored.event.ts / 1000)
                self._note(stored, State.DELIVERED, record)
                self._settled(group)
            case Retry() if wait is not None:
                self._retry(group, why, record, wait)
            case Retry():  # forgotten meanwhile
                self._settled(group)
            case Dead() | Disabled():
                self._bury(stored, why, group.attempts, record)
                self._settled(group)
                if isinstance(outcome, Disabled):
                    self._disable(outcome)

    def _note(self, stored: Stored, state: State, record: AttemptRecord | None) -> None:
        if self._ledger is not None:
            self._ledger.mark(Mark(stored.id, self._sink.name, state, record))
        if self.on_update is not None:
            self.on_update(DeliveryUpdate(self._sink.name, stored.event, state, record))

    def _settled(self, group: OrderingGroup) -> None:
        self._queue.settle(group)
        if self._outbox is not None:
            self._outbox.made_room()
        self._check_empty()

    def _check_empty(self) -> None:
        if self._emptied is not None and not self._backlog() and not self._emptied.done():
            self._emptied.set_result(None)

    def _wait(self, group: OrderingGroup, outcome: Retry) -> float | None:
        """Return the seconds until the next attempt, ``None`` when there is none."""
        if self._disabled is not None:
            return None
        elapsed = self._loop.time() - group.since
        return self._profile.wait(attempts=group.attempts, elapsed=elapsed, after=outcome.after, rng=self._rng)

    def _retry(self, group: OrderingGroup, why: str, record: AttemptRecord, wait: float) -> None:
        stored = group.first
        self._note(stored, State.PENDING, record)
        self._failures.warning(
            "hook sink %s: attempt %d at event %s failed: %s; next in %.3g s",
            self._sink.name, group.attempts, stored.event.uuid, why, wait, extra=stored.event.about,
        )  # fmt: skip
        self._queue.defer(group, self._loop.time() + wait)
        self._timer.set(self._queue.next_due())

    def _wake(self, now: float) -> None:
        self._queue.promote(now)
        self._timer.set(self._queue.next_due())
        self._dispatch()

    def _bury(self, stored: Stored, why: str, attempts: int, record: AttemptRecord | None = None) -> None:
        if stored.id <= self._forgotten:
            return
        event = stored.event
        self._counters.dead += 1
        self._counters.failing = True
        self._note(stored, State.DEAD, record or AttemptRecord(self._clock.wall_ms(), "disabled", why, 0))
        self.dead_letters.append(DeadLetter(self._sink.name, event, why, attempts, self._clock.wall_ms()))
        self._deaths.warning(
            "hook sink %s: gave up on event %s of session %d after %d attempts: %s",
            self._sink.name, event.uuid, event.session, attempts, why, extra=event.about,
        )  # fmt: skip

    def _disable(self, outcome: Disabled) -> None:
        if self._disabled is None:
            self._disabled = outcome.why
            logger.error("hook sink %s is disabled: %s; it gets no more events", self._sink.name, outcome.why)
        for stored in self._queue.drain():
            self._bury(stored, f"sink disabled: {outcome.why}", 0)
        if self._outbox is not None:
            self._outbox.made_room()
        self._timer.set(self._queue.next_due())
        self._check_empty()
