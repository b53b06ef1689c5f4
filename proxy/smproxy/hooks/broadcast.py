"""The fan-out behind the webhook socket: whoever listens is sent every event, and nobody is waited for."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass

from smproxy.hooks.event import EncodedEvent

logger = logging.getLogger(__name__)


class TooManyListenersError(Exception):
    """The interceptor has as many listeners as it may have."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a listener wants: events of one customer scope, of some kinds (``session``) or states (``connected``), or all."""

    customer_scope: str | None = None
    names: frozenset[str] = frozenset()

    def matches(self, event: EncodedEvent) -> bool:
        """Say whether the listener is to see ``event``. It never sees internal ones."""
        return (
            not event.internal
            and (self.customer_scope is None or self.customer_scope == event.customer_scope)
            and (not self.names or event.event in self.names or event.state in self.names)
        )


ALL = Filter()


class Subscription(AsyncIterator[str]):
    """The events for one listener, as JSON texts; the listener closes it when it leaves.

    The iteration ends when the interceptor ends it: with ``dropped`` because the listener was too slow, else because it stops.
    One that is made with ``held`` keeps new events back, the latest ones, until :meth:`release`: see
    :mod:`smproxy.hooks.replay`.
    """

    def __init__(self, owner: Interceptor, wanted: Filter, limit: int, *, held: bool = False) -> None:
        self.wanted = wanted
        self.dropped = False
        #: Set when nothing more is put in; what is still queued can be read, unless the listener was dropped.
        self.ended = asyncio.Event()
        self._owner = owner
        self._limit = limit
        self._queue: deque[str] = deque()
        self._arrived = asyncio.Event()
        self._held: deque[EncodedEvent] | None = deque() if held else None
        self._overflowed = False
        self._sent: Collection[str] = ()

    def put(self, event: EncodedEvent) -> bool:
        """Queue one event; ``False`` when the queue was full and the listener is dropped for it."""
        if self.ended.is_set():
            return True
        if self._held is not None:
            self._held.append(event)
            if len(self._held) > self._limit:
                self._held.popleft()
                self._overflowed = True
            return True
        if self._sent:
            if event.uuid in self._sent:
                return True
            self._sent = ()  # journal and hub have one order: whatever follows this event is new too
        if len(self._queue) >= self._limit:
            self.dropped = True
            self._queue.clear()
            self.end()
            return False
        self._queue.append(event.body.decode())
        self._arrived.set()
        return True

    def release(self, sent: Collection[str]) -> bool:
        """Let go what was held back, without the events whose uuids are in ``sent``, now or when they come.

        ``False``, and everything stays as it is, when more came than could be held: the journal has what was lost.
        """
        if self._held is None:
            return True
        if self._overflowed:
            self._overflowed = False
            self._held = deque(event for event in self._held if event.uuid not in sent)
            return False
        self._queue.extend(event.body.decode() for event in self._held if event.uuid not in sent)
        self._sent, self._held = sent, None
        return True

    def end(self) -> None:
        """Put nothing more in."""
        self.ended.set()
        self._arrived.set()

    def close(self) -> None:
        """Leave; can be called again."""
        self.end()
        self._owner.forget(self)

    async def __anext__(self) -> str:
        while not self._queue:
            if self.ended.is_set():
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return self._queue.popleft()


class Interceptor:
    """All listeners; a :class:`smproxy.hooks.sink.Tap` of the hub. ``queue``: events that a listener may be behind."""

    def __init__(self, *, queue: int = 1_000, max_listeners: int = 100) -> None:
        self._queue = queue
        self._max_listeners = max_listeners
        # A dict is a set that keeps the order of joining.
        self._listeners: dict[Subscription, None] = {}
        self._closed = False
        self._left = asyncio.Event()
        #: How many listeners were dropped for being slow.
        self.dropped = 0

    @property
    def listeners(self) -> int:
        """How many listen now, counting those whose end they have not seen yet."""
        return len(self._listeners)

    def subscribe(self, wanted: Filter = ALL, *, held: bool = False) -> Subscription:
        """Listen from now on; the caller closes the subscription. ``held``: keep events back until it is released.

        Raises :class:`TooManyListenersError`.
        """
        if len(self._listeners) >= self._max_listeners:
            raise TooManyListenersError(f"{self._max_listeners} listeners are connected already")
        subscription = Subscription(self, wanted, self._queue, held=held)
        self._listeners[subscription] = None
        if self._closed:
            subscription.end()
        return subscription

    def offer(self, event: EncodedEvent) -> None:
        """Give the event to every listener that wants it."""
        for listener in self._listeners:
            if listener.wanted.matches(event) and not listener.put(event):
                self.dropped += 1
                logger.warning("a listener of the webhook socket was %d events behind and is dropped", self._queue)

    def forget(self, subscription: Subscription) -> None:
        """A listener has left."""
        self._listeners.pop(subscription, None)
        self._left.set()

    async def close(self, timeout: float = 2.0) -> None:
        """End every subscription, and those still to come; wait until all have left, at most ``timeout`` seconds."""
        self._closed = True
        for listener in self._listeners:
            listener.end()
        try:
            async with asyncio.timeout(timeout):
                while self._listeners:
                    self._left.clear()
                    await self._left.wait()
        except TimeoutError:
            logger.warning(
                "%d listeners of the webhook socket have not left within %g s", len(self._listeners), timeout
            )
