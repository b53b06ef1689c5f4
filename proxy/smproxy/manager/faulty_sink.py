"""A sink behind a disturbed line: what hook faults do to the deliveries of one sink."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Any

from smproxy.faults.hook_fault import MAX_KEPT
from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.journal import JournalError
from smproxy.hooks.sink import SKIPPED, Delivered, Outcome, Sink

logger = logging.getLogger(__name__)

#: Sends an event, by its uuid, again to one sink, by its name, if that has settled it.
Resend = Callable[[str, str], Awaitable[int]]


class DisturbedSink:
    """A sink that passes over what a fault keeps or loses, and repeats what one repeats: each once, at the first attempt.

    What is delivered late or again is resent one event at a time. One that was kept must have been passed over before.
    """

    def __init__(self, sink: Sink, copies: Callable[[str], int]) -> None:
        self._sink = sink
        self._copies = copies
        self._treated: OrderedDict[str, None] = OrderedDict()
        self._met = asyncio.Event()
        self._due: deque[tuple[str, bool]] = deque(maxlen=MAX_KEPT)
        self._sending: asyncio.Task[None] | None = None
        self.start = sink.start
        self.stop = sink.stop

    @property
    def name(self) -> str:
        """The sink's name."""
        return self._sink.name

    @property
    def takes_internal(self) -> bool:
        """Whether the sink's format has internal events."""
        return self._sink.takes_internal

    async def deliver(self, event: EncodedEvent) -> Outcome:
        """Make one attempt."""
        if event.uuid in self._treated or (copies := self._copies(event.uuid)) == 1:
            return await self._sink.deliver(event)
        if copies == 0:
            self._treat(event)
            return SKIPPED
        outcome = await self._sink.deliver(event)
        if isinstance(outcome, Delivered):
            self._treat(event)
            for _ in range(copies - 1):
                await self._sink.deliver(event)
        return outcome

    def again(self, uuid: str, resend: Resend, *, kept: bool) -> None:
        """Have an event sent again, after those that are due already."""
        self._due.append((uuid, kept))
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send(resend))
            self._sending.add_done_callback(self._sent)

    async def finish(self, timeout: float) -> None:
        """Send what is due, for at most ``timeout`` seconds: what was not passed over yet is the journal's to deliver."""
        if self._sending is not None:
            _, late = await asyncio.wait((self._sending,), timeout=timeout)
            for task in late:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _send(self, resend: Resend) -> None:
        while self._due:
            uuid, kept = self._due.popleft()
            while kept and uuid not in self._treated:
                self._met.clear()
                await self._met.wait()
            try:
                await resend(uuid, self.name)
            except JournalError as error:
                logger.error("hook event %s, which a fault has kept, cannot be delivered: %s", uuid, error)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending = None
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("hook sink %s: delivering what faults have kept failed", self.name, exc_info=error)

    def _treat(self, event: EncodedEvent) -> None:
        self._treated[event.uuid] = None
        bound(self._treated)
        self._met.set()


def bound(kept: OrderedDict[str, Any]) -> None:
    """Forget the oldest of too many."""
    while len(kept) > MAX_KEPT:
        kept.popitem(last=False)
