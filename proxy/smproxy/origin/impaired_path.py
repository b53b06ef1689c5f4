"""Datagrams on a bad network: each is handed on when its link has it arrive."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Any, Protocol

from smproxy.network import NetworkLink

#: Datagrams on their way in one direction; more are dropped. Ten seconds of delay at 400 packets a second.
MAX_ON_THE_WAY = 4_096


class Datagrams(Protocol):
    """A datagram transport of asyncio or uvloop, with attributes missing in the standard type."""

    def sendto(self, data: bytes, addr: Any) -> None: ...

    def get_write_buffer_size(self) -> int: ...

    def close(self) -> None: ...

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None: ...


class Receiver(Protocol):
    """What takes the datagrams that arrive."""

    def datagram_received(self, data: bytes, addr: Any) -> None: ...

    def error_received(self, exc: Exception) -> None: ...


class DelayLine:
    """One direction's datagrams on their way. Ended by ``clear``."""

    def __init__(self, link: NetworkLink) -> None:
        self.link = link
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[float, int, Callable[[bytes, Any], None], bytes, Any]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, deliver: Callable[[bytes, Any], None], data: bytes, addr: Any) -> None:
        """Take a datagram; call ``deliver(data, addr)`` when it arrives."""
        now = self._loop.time()
        if addr[0] == self.link.exempt:
            deliver(data, addr)
            return
        for arrival in self.link.offer(len(data), now):
            if arrival <= now and not self._waiting:
                deliver(data, addr)
            elif len(self._waiting) < MAX_ON_THE_WAY:
                heapq.heappush(self._waiting, (arrival, next(self._numbers), deliver, data, addr))
                if self._waiting[0][0] == arrival:
                    self._wait()

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._waiting[0][0], self._due)

    def _due(self) -> None:
        self._timer = None
        # A timer may come a little early: its clock has a resolution.
        now = self._loop.time() + 0.0005
        while self._waiting and self._waiting[0][0] <= now:
            _, _, deliver, data, addr = heapq.heappop(self._waiting)
            deliver(data, addr)
        if self._waiting and self._timer is None:
            self._wait()

    def clear(self) -> None:
        """Lose what is on its way."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class ImpairedReceiver(asyncio.DatagramProtocol):
    """A receiver that gets its datagrams from a bad network."""

    def __init__(self, receiver: Receiver, line: DelayLine) -> None:
        self._receiver = receiver
        self._line = line

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Put a datagram on its way."""
        self._line.put(self._receiver.datagram_received, data, addr)

    def error_received(self, exc: Exception) -> None:
        """Hand an error on at once."""
        self._receiver.error_received(exc)


class ImpairedTransport:
    """A transport whose datagrams go over a bad network."""

    def __init__(self, transport: Datagrams, line: DelayLine) -> None:
        self._transport = transport
        self._line = line
        self._closed = False

    def sendto(self, data: bytes, addr: Any) -> None:
        """Put a datagram on its way."""
        self._line.put(self._send, data, addr)

    def _send(self, data: bytes, addr: Any) -> None:
        if not self._closed:
            self._transport.sendto(data, addr)

    def get_write_buffer_size(self) -> int:
        """Return the bytes that wait for the machine's own network, not for the bad one."""
        return self._transport.get_write_buffer_size()

    def close(self) -> None:
        """Close it; what is on its way is lost."""
        self._closed = True
        self._transport.close()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have another protocol take what comes."""
        self._transport.set_protocol(protocol)
