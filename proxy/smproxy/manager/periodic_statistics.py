"""The hook ``stats``: what came of the media of each session, every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from smproxy.manager.session import Session
from smproxy.signaling.clock import Clock
from smproxy.signaling.payloads import Payload, StatsPayload


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
        self.start()
        now, last, self._last = self._clock.monotonic(), self._last, {}
        for session in list(self._connected()):
            if not session.statistics:
                continue
            media = session.media(0)
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
