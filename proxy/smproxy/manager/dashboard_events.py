"""What the dashboard follows: everything that happens, encoded once, for everybody who listens, none of whom is waited for.

Nothing is collected while nobody listens.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any

import msgspec

from smproxy.hooks.dispatcher import Hub
from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.status import News
from smproxy.manager.history import History
from smproxy.manager.session import Session
from smproxy.manager.sessions import Sessions
from smproxy.signaling.clock import Clock
from smproxy.signaling.redaction import redact_json

logger = logging.getLogger(__name__)

#: Seconds between two looks at what only counts, and in which news of one session become one.
TICK = 1.0
GATHER = 0.15

#: Sessions in one frame.
CHUNK = 200

#: Bytes that a listener may be behind, and listeners at a time.
MAX_BEHIND = 8 * 1024 * 1024
MAX_LISTENERS = 100


class TooManyListenersError(Exception):
    """The feed has as many listeners as it may have."""


def frame(event: str, data: Any) -> bytes:
    """Encode one event of the stream (WHATWG HTML, server-sent events). JSON has no line ends, so one data line does."""
    body = data if isinstance(data, bytes) else msgspec.json.encode(data)
    return b"event: %s\ndata: %s\n\n" % (event.encode(), body)


class Listener:
    """The frames for one listener. ``dropped``: it was too slow, and is to come back for the whole picture.

    ``hang_up`` is called then: who does not read would otherwise keep its connection, and the write that waits for it.
    """

    def __init__(self, feed: Feed, hang_up: Callable[[], None]) -> None:
        self.dropped = False
        self._hang_up = hang_up
        self.ended = False
        self._feed = feed
        self._frames: deque[bytes] = deque()
        self._behind = 0
        self._arrived = asyncio.Event()

    def put(self, data: bytes) -> None:
        """Queue a frame."""
        if self.ended:
            return
        self._behind += len(data)
        if self._behind > MAX_BEHIND:
            self.dropped = True
            self._frames.clear()
            self.end()
            self._hang_up()
            return
        self._frames.append(data)
        self._arrived.set()

    def end(self) -> None:
        """Put nothing more in."""
        self.ended = True
        self._arrived.set()

    def close(self) -> None:
        """Leave; can be called again."""
        self.end()
        self._feed.forget(self)

    async def take(self, timeout: float) -> bytes | None:
        """Return all that is queued, ``b""`` when nothing came for ``timeout`` seconds, ``None`` at the end."""
        if not self._frames and not self.ended:
            self._arrived.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._arrived.wait()
            except TimeoutError:
                return b""
        if not self._frames:
            return None
        data = b"".join(self._frames)
        self._frames.clear()
        self._behind = 0
        return data


class Feed:
    """Gathers what happens while somebody listens. A :class:`smproxy.hooks.sink.Tap` of the hub, and a watcher of the sessions.

    ``counts`` are looked at once a second; what has changed since is sent under its name.
    """

    def __init__(
        self,
        *,
        sessions: Sessions,
        history: History,
        hub: Hub,
        clock: Clock,
        counts: dict[str, Callable[[], Any]],
        facts: dict[str, Any],
    ) -> None:
        self._sessions = sessions
        self._history = history
        self._hub = hub
        self._clock = clock
        self._counts = counts
        self._facts = facts
        self._listeners: dict[Listener, None] = {}
        self._last: dict[str, bytes] = {}
        self._changed: dict[int, None] = {}
        self._counted: dict[int, None] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._stops: list[Callable[[], None]] = []
        self._closed = False
        self._epoch = 0

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return len(self._listeners)

    def subscribe(self, hang_up: Callable[[], None] = lambda: None) -> Listener:
        """Listen from now on; the caller closes the listener. Raises :class:`TooManyListenersError`.

        ``hang_up`` ends the connection of a listener that is too far behind.
        """
        if len(self._listeners) >= MAX_LISTENERS:
            raise TooManyListenersError(f"{MAX_LISTENERS} listeners are connected already")
        listener = Listener(self, hang_up)
        if self._closed:
            listener.end()
            return listener
        if not self._listeners:
            self._begin()
        self._listeners[listener] = None
        for name, data in self._last.items():
            listener.put(frame(name, data))
        return listener

    def forget(self, listener: Listener) -> None:
        """A listener has left."""
        if self._listeners.pop(listener, self) is None and not self._listeners:
            self._end()

    async def past(self) -> AsyncGenerator[bytes, None]:
        """Yield the greeting, and every session that is known, the oldest first; others have their turn in between."""
        yield frame("hello", self._facts | {"epoch": self._epoch, "now": self._clock.wall_ms()})
        numbers = self._history.numbers()
        for start in range(0, len(numbers), CHUNK):
            yield self._sessions_frame(numbers[start : start + CHUNK])
            await asyncio.sleep(0)
        yield frame("ready", {})

    def restart(self) -> None:
        """What was told is forgotten: end every listener, who come back and begin anew."""
        self._epoch += 1
        for listener in list(self._listeners):
            listener.close()

    def close(self) -> None:
        """End every listener, and those still to come."""
        self._closed = True
        for listener in list(self._listeners):
            listener.close()

    # What is told: the hub's events and deliveries, the sessions' statistics

    def offer(self, event: EncodedEvent) -> None:
        """A hook was told."""
        self._touch(event.session)
        if not event.internal:
            self._send(frame("hook", redact_json(event.body)))

    def delivered(self, news: News) -> None:
        """Something became of a hook at a sink."""
        if news.event.internal:
            return
        attempt = news.attempt
        told: dict[str, Any] = {
            "uuid": news.event.uuid,
            "session": news.event.session,
            "sink": news.sink,
            "state": news.state.name.lower(),
        }
        if attempt is not None:
            told["attempt"] = {
                "at": attempt.at,
                "outcome": attempt.outcome,
                "detail": attempt.detail,
                "took_ms": attempt.took_ms,
            }
        self._send(frame("delivery", told))

    def seen(self, session: Session) -> None:
        """There is news of a session: its hooks are told by :meth:`offer`, so these are its numbers."""
        self._counted[session.number] = None

    def _touch(self, number: int) -> None:
        self._changed[number] = None
        if "gather" not in self._timers:
            self._timers["gather"] = asyncio.get_running_loop().call_later(GATHER, self._tell_sessions)

    def _tell_sessions(self) -> None:
        self._timers.pop("gather", None)
        changed, self._changed = list(self._changed), {}
        for start in range(0, len(changed), CHUNK):
            self._send(self._sessions_frame(changed[start : start + CHUNK]))

    def _sessions_frame(self, numbers: Iterable[int]) -> bytes:
        found = (self._history.get(number) for number in numbers)
        return frame("sessions", [view for view in found if view is not None])

    def _tick(self) -> None:
        self._timers["tick"] = asyncio.get_running_loop().call_later(TICK, self._tick)
        counted, self._counted = self._counted, {}
        tracks = self._tracks(counted)
        if tracks:
            self._send(frame("stats", {"at": self._clock.wall_ms(), "sessions": tracks}))
        for name, count in self._counts.items():
            try:
                data = msgspec.json.encode(count())
            except Exception:
                logger.exception("the dashboard's %s cannot be counted", name)
                continue
            if self._last.get(name) != data:
                self._last[name] = data
                self._send(frame(name, data))

    def _tracks(self, numbers: Iterable[int]) -> dict[str, Any]:
        found = ((number, self._history.live(number)) for number in numbers)
        return {
            str(number): tracks
            for number, session in found
            if session is not None and (tracks := self._history.tracks(session))
        }

    def _send(self, data: bytes) -> None:
        for listener in list(self._listeners):
            listener.put(data)
            if listener.dropped:
                logger.warning("a listener of the dashboard's feed was %d bytes behind and is dropped", MAX_BEHIND)
                self.forget(listener)

    def _begin(self) -> None:
        self._last.clear()
        self._stops = [self._sessions.watch(self.seen), self._hub.watch(_Tap(self.offer), self.delivered)]
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


class _Tap:
    """A tap that nothing has to be let go of."""

    def __init__(self, offer: Callable[[EncodedEvent], None]) -> None:
        self.offer = offer

    async def close(self) -> None:
        """Nothing is held."""
