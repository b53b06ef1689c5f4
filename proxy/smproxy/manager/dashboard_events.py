"""The events that the dashboard follows, encoded once for all listeners.

Nothing is collected while nobody listens.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from smproxy.hooks.broadcast import LIMIT, Broadcast, BroadcastListener
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.status import DeliveryUpdate
from smproxy.manager.history import History
from smproxy.manager.session import Session
from smproxy.manager.sessions import Sessions
from smproxy.signaling.clock import Clock
from smproxy.signaling.redaction import redact_json

logger = logging.getLogger(__name__)

#: Seconds between two looks at what only counts, and in which changes of one session become one.
TICK = 1.0
GATHER = 0.15

#: Sessions in one frame.
CHUNK = 200


def frame(event: str, data: Any) -> bytes:
    """Encode a server-sent event (WHATWG HTML). JSON has no line ends, so one data line does."""
    body = data if isinstance(data, bytes) else msgspec.json.encode(data)
    return b"event: %s\ndata: %s\n\n" % (event.encode(), body)


class DashboardEvents:
    """Gathers what happens while somebody listens, as server-sent events.

    ``counts`` are looked at once a second; what has changed since is sent under its name. ``limit``: bytes that a listener may
    be behind.
    """

    def __init__(
        self,
        *,
        sessions: Sessions,
        history: History,
        dispatcher: HookDispatcher,
        clock: Clock,
        counts: dict[str, Callable[[], Any]],
        facts: dict[str, Any],
        limit: int = LIMIT,
    ) -> None:
        self._sessions = sessions
        self._history = history
        self._dispatcher = dispatcher
        self._clock = clock
        self._counts = counts
        self._facts = facts
        self._frames: Broadcast[bytes] = Broadcast("the dashboard's events", len, limit=limit)
        self._last: dict[str, bytes] = {}
        self._changed: dict[int, None] = {}
        self._counted: dict[int, None] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._stops: list[Callable[[], None]] = []
        self._epoch = 0

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return self._frames.listeners

    @contextmanager
    def listen(self, on_dropped: Callable[[], None] = lambda: None) -> Iterator[BroadcastListener[bytes]]:
        """Listen as long as the context lasts.

        ``on_dropped`` is called when the listener is too far behind.
        """
        if not self._frames.listeners:
            self._begin()
        listener = self._frames.listen(on_dropped=on_dropped)
        try:
            yield listener
        finally:
            listener.close()
            if not self._frames.listeners:
                self._end()

    async def past(self) -> AsyncGenerator[bytes, None]:
        """Yield the greeting and every known session, the oldest first, a few at a time."""
        yield frame("hello", self._facts | {"epoch": self._epoch, "now": self._clock.wall_ms()})
        numbers = self._history.numbers()
        for start in range(0, len(numbers), CHUNK):
            yield self._sessions_frame(numbers[start : start + CHUNK])
            await asyncio.sleep(0)
        for name, data in list(self._last.items()):
            yield frame(name, data)
        yield frame("ready", {})

    def restart(self) -> None:
        """End every listener: when it comes back it begins anew."""
        self._epoch += 1
        self._frames.end_all()

    async def close(self) -> None:
        """End every listener, and those still to come."""
        await self._frames.close()

    # What is sent: the hooks and their deliveries, the sessions' statistics

    def offer(self, event: EncodedEvent) -> None:
        """Send a hook."""
        self._touch(event.session)
        if not event.internal:
            self._frames.send(frame("hook", redact_json(event.body)))

    def delivered(self, news: DeliveryUpdate) -> None:
        """Send what became of a hook at a sink."""
        if news.event.internal:
            return
        attempt = news.attempt
        update: dict[str, Any] = {
            "uuid": news.event.uuid,
            "session": news.event.session,
            "sink": news.sink,
            "state": news.state.name.lower(),
        }
        if attempt is not None:
            update["attempt"] = {
                "at": attempt.at,
                "outcome": attempt.outcome,
                "detail": attempt.detail,
                "tookMs": attempt.took_ms,
            }
        self._frames.send(frame("delivery", update))

    def seen(self, session: Session) -> None:
        """Mark a session whose numbers have changed.

        Its hooks come through :meth:`offer`.
        """
        self._counted[session.number] = None

    def _touch(self, number: int) -> None:
        self._changed[number] = None
        if "gather" not in self._timers:
            self._timers["gather"] = asyncio.get_running_loop().call_later(GATHER, self._send_sessions)

    def _send_sessions(self) -> None:
        self._timers.pop("gather", None)
        changed, self._changed = list(self._changed), {}
        for start in range(0, len(changed), CHUNK):
            self._frames.send(self._sessions_frame(changed[start : start + CHUNK]))

    def _sessions_frame(self, numbers: Iterable[int]) -> bytes:
        found = (self._history.get(number) for number in numbers)
        return frame("sessions", [view for view in found if view is not None])

    def _tick(self) -> None:
        self._timers["tick"] = asyncio.get_running_loop().call_later(TICK, self._tick)
        counted, self._counted = self._counted, {}
        tracks = self._tracks(counted)
        if tracks:
            self._frames.send(frame("stats", {"at": self._clock.wall_ms(), "sessions": tracks}))
        for name, count in self._counts.items():
            try:
                data = msgspec.json.encode(count())
            except Exception:
                logger.exception("the dashboard's %s cannot be counted", name)
                continue
            if self._last.get(name) != data:
                self._last[name] = data
                self._frames.send(frame(name, data))

    def _tracks(self, numbers: Iterable[int]) -> dict[str, Any]:
        found = ((number, self._history.live(number)) for number in numbers)
        return {
            str(number): tracks
            for number, session in found
            if session is not None and (tracks := self._history.tracks(session))
        }

    def _begin(self) -> None:
        self._last.clear()
        self._stops = [
            self._sessions.watch(self.seen),
            self._dispatcher.listen(_EventListener(self.offer)),
            self._dispatcher.on_update(self.delivered),
        ]
        self._tick()

    def _end(self) -> None:
        for stop in self._stops:
            stop()
        self._stops = []
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._changed.clear()
        self._counted.clear()


class _EventListener:
    """A listener that holds nothing."""

    def __init__(self, offer: Callable[[EncodedEvent], None]) -> None:
        self.offer = offer

    async def close(self) -> None:
        """Nothing is held."""
