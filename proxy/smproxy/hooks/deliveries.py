"""The deliveries to all sinks, which are added and removed while events flow."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence

from smproxy.hooks.delivery import Delivery, Limits
from smproxy.hooks.event import Stored
from smproxy.hooks.journal import Journal
from smproxy.hooks.retry import RetryProfile
from smproxy.hooks.sink import Sink
from smproxy.hooks.status import DeadLetter, DeliveryUpdate, SinkStatus
from smproxy.signaling.clock import Clock

#: Sinks at a time.
MAX_SINKS = 64


class SinkError(ValueError):
    """A sink that cannot be added or removed: one line that says why."""


class Deliveries:
    """Every sink with what is on its way to it, begun by :meth:`start`.

    Each is stopped by whoever iterates over them.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        rng: random.Random,
        profile: RetryProfile,
        limits: Limits | None,
        journal: Journal | None,
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._profile = profile
        self._limits = limits
        self._journal = journal
        self._all: tuple[Delivery, ...] = ()
        self._added: set[str] = set()
        #: The id of the latest event that was offered to the sinks.
        self._latest = 0
        self._turn = asyncio.Lock()
        self._on_update: Callable[[DeliveryUpdate], None] | None = None
        #: Whether any sink takes internal events.
        self.takes_internal = False

    def __iter__(self) -> Iterator[Delivery]:
        return iter(self._all)

    @property
    def added(self) -> frozenset[str]:
        """The names of the sinks that were added since the start."""
        return frozenset(self._added)

    def on_update(self, callback: Callable[[DeliveryUpdate], None] | None) -> None:
        """Call back after each attempt from now on, or no longer (``None``).

        What is called must neither block nor raise.
        """
        self._on_update = callback
        for delivery in self._all:
            delivery.on_update = callback

    async def start(self, sinks: Sequence[Sink]) -> None:
        """Start every sink, with what the journal has pending for it.

        Raises what the ``start`` of a sink raises, ``JournalError``, and ``ValueError`` when two have the same name; those
        started before are stopped again.
        """
        names = [sink.name for sink in sinks]
        if self._journal is not None:
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise ValueError(f"the hook sink {twice} is given twice")
            await self._journal.begin_sinks(names)
        try:
            for sink in sinks:
                await self._start(sink)
        except BaseException:
            await asyncio.gather(*(delivery.stop(0.0) for delivery in self._all), return_exceptions=True)
            raise

    async def add(self, sink: Sink) -> SinkStatus:
        """Add a sink, which gets what is published from now on; return its state.

        Raises ``JournalError``, what its ``start`` raises, and :class:`SinkError` when there is one of this name, or too many.
        """
        async with self._turn:
            names = [delivery.name for delivery in self._all]
            if sink.name in names:
                raise SinkError(f"there is a sink {sink.name} already: give another name")
            if len(names) >= MAX_SINKS:
                raise SinkError(f"there are {MAX_SINKS} sinks, which is the most: remove one")
            if self._journal is not None:
                await self._journal.begin_sinks([*names, sink.name], afresh=sink.name)
            try:
                delivery = await self._start(sink)
            except BaseException:
                if self._journal is not None:
                    await self._journal.begin_sinks(names)
                raise
            self._added.add(sink.name)
            return delivery.status()

    async def remove(self, name: str) -> int:
        """Remove a sink; return how many events it has not got, which it never gets.

        They stay in the journal, pending, until they are too old. Raises ``JournalError``, and ``KeyError`` for an unknown one.
        """
        async with self._turn:
            delivery = {each.name: each for each in self._all}[name]
            self._take_out(delivery)
            left = await delivery.stop(0.0)
            if self._journal is not None:
                await self._journal.begin_sinks([each.name for each in self._all])
            return left

    def offer(self, stored: Stored, copies: int) -> None:
        """Give an event to every sink, so many times; 0 settles it without an attempt."""
        self._latest = stored.id
        for delivery in self._all:
            if copies:
                delivery.offer(stored, copies)
            else:
                delivery.skip(stored)

    def redeliver(self, stored: Stored) -> None:
        """Give an event, skipped or not, once more to every sink that was there when it was offered."""
        for delivery in self._all:
            delivery.redeliver(stored)

    async def drained(self, timeout: float) -> bool:
        """Wait until every sink has settled what it was given, at most ``timeout`` seconds.

        Return whether all have.
        """
        waits = [asyncio.ensure_future(delivery.drained()) for delivery in self._all]
        if not waits:
            return True
        _, late = await asyncio.wait(waits, timeout=timeout)
        for wait in late:
            wait.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return not late

    def forget(self, upto: int) -> int:
        """Forget what sinks have yet to get, up to this id; return how many deliveries are not made."""
        return sum(delivery.forget(upto) for delivery in self._all)

    def status(self) -> list[SinkStatus]:
        """Return the state and the counters of each sink, in the order in which they were given."""
        return [delivery.status() for delivery in self._all]

    def dead_letters(self) -> list[DeadLetter]:
        """Return the latest events that were given up, sink by sink, oldest first."""
        return [letter for delivery in self._all for letter in delivery.dead_letters]

    async def _start(self, sink: Sink) -> Delivery:
        """Start a sink.

        It is offered events before it begins with what is pending, so that none is between the two.
        """
        delivery = Delivery(
            sink, clock=self._clock, rng=self._rng, profile=self._profile, limits=self._limits, ledger=self._journal
        )
        delivery.on_update = self._on_update
        await sink.start()
        delivery.since = self._latest
        self._all = (*self._all, delivery)
        self.takes_internal = any(each.takes_internal for each in self._all)
        try:
            await delivery.begin()
        except BaseException:
            self._take_out(delivery)
            raise
        return delivery

    def _take_out(self, delivery: Delivery) -> None:
        self._all = tuple(each for each in self._all if each is not delivery)
        self._added.discard(delivery.name)
        self.takes_internal = any(each.takes_internal for each in self._all)
