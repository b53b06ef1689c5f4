"""The fan-out behind the webhook socket: whoever listens is sent every event, and nobody is waited for."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator

from proxy.hooks.event import EncodedEvent

logger = logging.getLogger(__name__)


class TooManyListenersError(Exception):
    """The interceptor has as many listeners as it may have."""


class Subscription(AsyncIterator[str]):
    """The events for one listener, as JSON texts; the listener closes it when it leaves.

    The iteration ends when the interceptor ends it: with ``dropped`` because the listener was too slow, else because it stops.
    """

    def __init__(self, owner: Interceptor, customer_scope: str | None, limit: int) -> None:
        self.customer_scope = customer_scope
        self.dropped = False
        #: Set when nothing more is put in; what is still queued can be read, unless the listener was dropped.
        self.ended = asyncio.Event()
        self._owner = owner
        self._limit = limit
        self._queue: deque[str] = deque()
        self._arrived = asyncio.Event()

    def put(self, text: str) -> bool:
        """Queue one event; ``False`` when the queue was full and the listener is dropped for it."""
        if self.ended.is_set():
            return True
        if len(self._queue) >= self._limit:
            self.dropped = True
            self._queue.clear()
            self.end()
            return False
        self._queue.append(text)
        self._arrived.set()
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
    """All listeners; a :class:`proxy.hooks.sink.Tap` of the hub. ``queue``: events that a listener may be behind."""

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

    def subscribe(self, customer_scope: str | None = None) -> Subscription:
        """Listen from now on, to all events or to those of one customer scope; the caller closes the subscription.

        Raises :class:`TooManyListenersError`.
        """
        if len(self._listeners) >= self._max_listeners:
            raise TooManyListenersError(f"{self._max_listeners} listeners are connected already")
        subscription = Subscription(self, customer_scope, self._queue)
        self._listeners[subscription] = None
        if self._closed:
            subscription.end()
        return subscription

    def offer(self, event: EncodedEvent) -> None:
        """Give the event to every listener that wants it."""
        if not self._listeners:
            return
        text = event.body.decode()
        for listener in self._listeners:
            if listener.customer_scope is None or listener.customer_scope == event.customer_scope:
                if listener.put(text):
                    continue
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
