"""A leg that handles its data later than it came, for connections with a fault that delays."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Literal

from smproxy.manager.relay.leg import Leg, LegOwner
from smproxy.manager.relay.scanner import FrameReader

#: Bytes that wait before the leg is no longer read.
MAX_WAITING = 256 * 1024


class DelayedLeg(Leg):
    """Keep what is received for ``delay()`` seconds, always in order.

    That holds for the end of the connection, too.
    """

    __slots__ = ("_aborted", "_delay", "_loss", "_timer", "_waiting", "_waiting_bytes")

    def __init__(
        self,
        owner: LegOwner,
        side: Literal["client", "origin"],
        reader: FrameReader,
        on_message: Callable[[bytes | None], None],
        delay: Callable[[], float],
    ) -> None:
        super().__init__(owner, side, reader, on_message)
        self._delay = delay
        self._waiting: deque[tuple[float, int, Callable[[], object]]] = deque()
        self._waiting_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._aborted = False
        self._loss = False  # waits to be reported

    def data_received(self, data: bytes) -> None:
        if self._keep(len(data), lambda: Leg.data_received(self, data)):
            Leg.data_received(self, data)
        elif self._waiting_bytes > MAX_WAITING:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        return Leg.eof_received(self) if self._keep(0, self._late_eof) else True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._keep(0, lambda: Leg.connection_lost(self, exc)):
            Leg.connection_lost(self, exc)
        else:
            self._loss = True

    def abort(self) -> None:
        """Close at once; what waits is lost."""
        self._forget()
        self._aborted = True
        if self._loss:
            self._loss = False
            asyncio.get_running_loop().call_soon(self._report_loss)
        super().abort()

    def detach(self) -> None:
        """Drop everything that refers back to this leg."""
        self._forget()
        self._aborted = True
        super().detach()

    def _report_loss(self) -> None:
        if not (self._gone or self.lost):
            Leg.connection_lost(self, None)

    def _late_eof(self) -> None:
        if not Leg.eof_received(self):
            self.close()

    def _keep(self, size: int, work: Callable[[], object]) -> bool:
        """Do ``work`` later, or say that it is to be done now."""
        if self._aborted:
            return not self._gone
        seconds = self._delay()
        if seconds <= 0 and not self._waiting:
            return True
        loop = asyncio.get_running_loop()
        self._waiting.append((loop.time() + seconds, size, work))
        self._waiting_bytes += size
        if self._timer is None:  # it is that of the first in the queue, which none overtakes
            self._timer = loop.call_at(self._waiting[0][0], self._work)
        return False

    def _work(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        while self._waiting and self._waiting[0][0] <= loop.time() + 0.001:  # uvloop counts whole milliseconds
            _, size, work = self._waiting.popleft()
            self._waiting_bytes -= size
            work()
        if self._waiting:
            self._timer = loop.call_at(self._waiting[0][0], self._work)
        if not (self.lost or self.eof or self.read_paused or self._waiting_bytes > MAX_WAITING):
            self.transport.resume_reading()

    def _forget(self) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def _gone(self) -> bool:
        """Whether the owner has dropped this leg."""
        return not hasattr(self, "owner")
