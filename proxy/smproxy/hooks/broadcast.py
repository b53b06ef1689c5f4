"""Send items to many listeners and wait for none: one log, in which each has its place.

So memory does not grow with the number of listeners, nor with how slow they are: a listener whose place falls off the end of
the log is dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from smproxy.hooks.event import EncodedEvent

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Bytes that one log keeps, and so the most that any of its listeners may be behind.
LIMIT = 8 * 1024 * 1024

#: Bytes that are counted for an item beside its own.
OVERHEAD = 512

#: Bytes that a listener is given at a time.
BATCH = 64 * 1024

#: Items after which it is looked whether some of them have been read by everybody.
_TRIM = 64


class BroadcastListener(AsyncIterator[T]):
    """One listener's place in the log; who listens closes it when it leaves.

    The iteration ends when the broadcast ends it: with ``dropped`` because the listener was too slow, else because it stops.
    One that is made with ``held`` is not dropped until :meth:`release`: see :mod:`smproxy.hooks.replay`.
    """

    def __init__(
        self, log: Broadcast[T], wanted: Callable[[T], bool], on_dropped: Callable[[], None], *, held: bool
    ) -> None:
        self.dropped = False
        #: Set when nothing more comes; what came before can still be read, unless the listener was dropped.
        self.ended = asyncio.Event()
        self._log = log
        self._wanted = wanted
        self._on_dropped = on_dropped
        self._held = held
        self._overflowed = False
        self._known: Callable[[T], bool] | None = None
        self._next = self._last = log.count
        self._arrived = asyncio.Event()

    @property
    def place(self) -> int:
        """The number of the item that the listener gets next."""
        return self._next

    def notice(self, number: int, item: T) -> None:
        """Wake the listener for an item that it wants, or move it past the item."""
        if self.ended.is_set():
            return
        self._last = number + 1
        if self._held:
            return
        if self._next == number and not self._wanted(item):
            self._next += 1
        else:
            self._arrived.set()

    def fall_off(self, first: int) -> bool:
        """Note that items before ``first`` are gone.

        Say whether the listener is dropped for it.
        """
        self._next = first
        if self._held:
            self._overflowed = True
            return False
        if self.ended.is_set():
            return False
        self.dropped = True
        self.end()
        self._on_dropped()
        return True

    def release(self, known: Callable[[T], bool]) -> bool:
        """Begin with what was held back, without the items that are ``known``.

        ``False``, and everything stays as it is, when more came than could be held.
        """
        if self._held and self._overflowed:
            self._overflowed = False
            return False
        self._held, self._known = False, known
        self._arrived.set()
        return True

    def end(self) -> None:
        """Let nothing more come."""
        self.ended.set()
        self._arrived.set()

    def close(self) -> None:
        """Leave; can be called again."""
        self.end()
        self._log.forget(self)

    async def __anext__(self) -> T:
        while True:
            while not self.dropped and self._next < self._last:
                item = self._log.item(self._next)
                self._next += 1
                if self._is_new(item):
                    return item
            if self.ended.is_set():
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()

    async def batch(self, timeout: float) -> list[T] | None:
        """Return what has come, up to some bytes.

        Empty when that is nothing for ``timeout`` seconds, ``None`` at the end.
        """
        try:
            async with asyncio.timeout(timeout):
                items = [await anext(self)]
        except TimeoutError:
            return []
        except StopAsyncIteration:
            return None
        size = self._log.size(items[0])
        while not self.dropped and self._next < self._last and size < BATCH:
            item = self._log.item(self._next)
            self._next += 1
            if self._is_new(item):
                items.append(item)
                size += self._log.size(item)
        return items

    def _is_new(self, item: T) -> bool:
        if not self._wanted(item):
            return False
        if self._known is not None:
            if self._known(item):
                return False
            self._known = None  # there is one order: whatever follows this item is new too
        return True


class Broadcast(Generic[T]):
    """The log and its listeners.

    ``name`` is what the listeners listen to; ``size`` measures an item, ``limit`` the log.
    """

    def __init__(self, name: str, size: Callable[[T], int], *, limit: int = LIMIT) -> None:
        self.size = size
        #: How many listeners were dropped for being slow.
        self.dropped = 0
        #: The number of the next item.
        self.count = 0
        self._name = name
        self._limit = limit
        self._items: deque[T] = deque()
        self._first = 0
        self._bytes = 0
        # A dict is a set that keeps the order of joining.
        self._listeners: dict[BroadcastListener[T], None] = {}
        self._closed = False
        self._left = asyncio.Event()

    @property
    def listeners(self) -> int:
        """How many listen now, counting those whose end they have not seen yet."""
        return len(self._listeners)

    @property
    def kept(self) -> int:
        """How many bytes the log has now."""
        return self._bytes

    def listen(
        self,
        wanted: Callable[[T], bool] = lambda _: True,
        *,
        held: bool = False,
        on_dropped: Callable[[], None] = lambda: None,
    ) -> BroadcastListener[T]:
        """Listen from now on; the caller closes the listener.

        ``held``: keep items back until it is released.
        """
        listener = BroadcastListener(self, wanted, on_dropped, held=held)
        self._listeners[listener] = None
        if self._closed:
            listener.end()
        return listener

    def send(self, item: T) -> None:
        """Give an item to every listener that wants it."""
        if not self._listeners:
            return
        number, self.count = self.count, self.count + 1
        self._items.append(item)
        self._bytes += self.size(item) + OVERHEAD
        for listener in self._listeners:
            listener.notice(number, item)
        if self._bytes > self._limit or not self.count % _TRIM:
            self._trim(min(listener.place for listener in self._listeners))
        if self._bytes > self._limit:
            self._make_room()

    def item(self, number: int) -> T:
        """Return an item that the log has."""
        return self._items[number - self._first]

    def forget(self, listener: BroadcastListener[T]) -> None:
        """Note that a listener has left."""
        self._listeners.pop(listener, None)
        self._left.set()
        if not self._listeners:
            self._trim(self.count)

    def end_all(self) -> None:
        """End every listener; they may come back."""
        for listener in self._listeners:
            listener.end()

    async def close(self, timeout: float = 2.0) -> None:
        """End every listener, and those still to come.

        Wait until all have left, at most ``timeout`` seconds.
        """
        self._closed = True
        self.end_all()
        try:
            async with asyncio.timeout(timeout):
                while self._listeners:
                    self._left.clear()
                    await self._left.wait()
        except TimeoutError:
            logger.warning("%d listeners of %s have not left within %g s", len(self._listeners), self._name, timeout)

    def _trim(self, first: int) -> None:
        """Drop the items before ``first``."""
        while self._first < first and self._items:
            self._bytes -= self.size(self._items.popleft()) + OVERHEAD
            self._first += 1

    def _make_room(self) -> None:
        """Drop the oldest items, and the listeners that have not read them."""
        first, left = self._first, self._bytes
        for item in self._items:
            if left <= self._limit:
                break
            left -= self.size(item) + OVERHEAD
            first += 1
        for listener in list(self._listeners):
            if listener.place < first and listener.fall_off(first):
                self.dropped += 1
                logger.warning("a listener of %s was more than %d bytes behind and is dropped", self._name, self._limit)
        self._trim(first)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events a listener wants: of one customer scope, of some names or states, or all."""

    customer_scope: str | None = None
    names: frozenset[str] = frozenset()

    def __call__(self, event: EncodedEvent) -> bool:
        """Return whether the listener is to see ``event``. It never sees internal ones."""
        return (
            not event.internal
            and (self.customer_scope is None or self.customer_scope == event.customer_scope)
            and (not self.names or event.event in self.names or event.state in self.names)
        )


ALL = Filter()

HookListener = BroadcastListener[EncodedEvent]


class HookBroadcast(Broadcast[EncodedEvent]):
    """Sends hooks to many listeners; itself an ``EventListener`` of the dispatcher."""

    def __init__(self, *, limit: int = LIMIT) -> None:
        super().__init__("the hooks", lambda event: len(event.body), limit=limit)

    def offer(self, event: EncodedEvent) -> None:
        """Give the event to every listener that wants it; internal ones to none."""
        if not event.internal:
            self.send(event)
