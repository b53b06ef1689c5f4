"""The hook ``stats``: what came of the media of each session, every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from smproxy.manager.session import Session
from smproxy.signaling.clock import Clock
from smproxy.signaling.payloads import Payload, StatsPayload

#: Sessions whose hooks are made at once; whatever else happens goes on before the next.
AT_ONCE = 100


class PeriodicStatistics:
    """Emits the statistics of all connected sessions. ``stop`` undoes ``start``."""

    def __init__(
        self,
        connected: Callable[[], Iterable[Session]],
        emit: Callable[[Session, list[Payload]], None],
        *,
        clock: Clock,
        interval: float,
    ) -> None:
        self._connected = connected
        self._emit = emit
        self._clock = clock
        self._interval = interval
        #: Bytes and seconds (monotonic) at the last hook of each session.
        self._last: dict[int, tuple[int, float]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Emit from now on, the first time after one interval."""
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._due)

    def stop(self) -> None:
        """Emit nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        last, self._last = self._last, {}
        self._emit_some(iter(list(self._connected())), last, self._clock.monotonic())

    def _emit_some(self, sessions: Iterator[Session], last: dict[int, tuple[int, float]], began: float) -> None:
        some = list(islice(sessions, AT_ONCE))
        for session in some:
            if session.statistics and not session.over:
                self._emit_one(session, last)
        loop = asyncio.get_running_loop()
        if some:
            self._timer = loop.call_later(0, self._emit_some, sessions, last, began)
        else:
            pause = max(0.0, began + self._interval - self._clock.monotonic())
            self._timer = loop.call_later(pause, self._due)

    def _emit_one(self, session: Session, last: dict[int, tuple[int, float]]) -> None:
        media, now = session.media(0), self._clock.monotonic()
        before, then = last.get(session.number, (0, now - self._interval))
        # A publisher that came back is counted anew.
        bits, seconds = max(0, media.bytes - before) * 8, now - then
        self._last[session.number] = media.bytes, now
        stats = StatsPayload(
            session=session.number,
            event="stats",
            packets=media.packets,
            bytes=media.bytes,
            lost=media.lost,
            bitrate=round(bits / seconds) if seconds > 0 else 0,
            rtt_ms=session.rtt_ms,
        )
        self._emit(session, [stats])
