"""A bad network: what goes over it is handed on when its link has it arrive."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from smproxy.network import NetworkLink

#: Datagrams on their way in one direction; more are dropped. Ten seconds of delay at 400 packets a second.
MAX_ON_THE_WAY = 4_096


class Datagrams(Protocol):
    """What datagrams go out by."""

    def sendto(self, data: bytes, addr: Any, /) -> None: ...

    def send_all(self, datagrams: Sequence[bytes], addr: Any, /) -> None: ...

    def get_write_buffer_size(self) -> int: ...

    def close(self) -> None: ...

    def set_protocol(self, protocol: asyncio.BaseProtocol, /) -> None: ...


class Receiver(Protocol):
    """What takes the datagrams that arrive."""

    def datagram_received(self, data: bytes, addr: Any) -> None: ...

    def error_received(self, exc: Exception) -> None: ...


class DelayLine:
    """What is on its way in one direction. Ended by ``clear``."""

    def __init__(self, link: NetworkLink) -> None:
        self.link = link
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[float, int, Callable[[bytes, Any], None], bytes, Any, bool]] = []
        #: Called once when there is room again.
        self._on_room: list[Callable[[], None]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether no more datagrams are taken, and no more of a stream should be given."""
        return len(self._waiting) >= MAX_ON_THE_WAY

    def when_room(self, callback: Callable[[], None]) -> None:
        """Call back once when there is room again."""
        self._on_room.append(callback)

    def put(self, deliver: Callable[[bytes, Any], None], data: bytes, addr: Any, *, stream: bool = False) -> None:
        """Take a datagram; call ``deliver(data, addr)`` when it arrives.

        One of a ``stream`` is never lost.
        """
        now = self._loop.time()
        if addr[0] == self.link.exempt:
            deliver(data, addr)
            return
        for arrival in (self.link.carry if stream else self.link.offer)(len(data), now):
            if arrival <= now and not self._waiting:
                deliver(data, addr)
            elif stream or not self.full:
                heapq.heappush(self._waiting, (arrival, next(self._numbers), deliver, data, addr, stream))
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
            _, _, deliver, data, addr, _ = heapq.heappop(self._waiting)
            deliver(data, addr)
        self._tell_room()
        if self._waiting and self._timer is None:
            self._wait()

    def clear(self, *, closed: bool = False) -> None:
        """Lose the datagrams on their way, and hand on those of streams unless they are closed."""
        waiting, self._waiting = sorted(self._waiting), []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if closed:
            self._on_room.clear()
            return
        for _, _, deliver, data, addr, stream in waiting:
            if stream:
                deliver(data, addr)
        self._tell_room()

    def _tell_room(self) -> None:
        if self._on_room and not self.full:
            callbacks, self._on_room = self._on_room, []
            for callback in callbacks:
                callback()


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

    def send_all(self, datagrams: Sequence[bytes], addr: Any) -> None:
        """Put each of them on its way."""
        for each in datagrams:
            self.sendto(each, addr)

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


class ImpairedStreamReceiver:
    """A receiver that gets what a TCP connection brings from a bad network: late, and all of it."""

    def __init__(self, receiver: Receiver, line: DelayLine, transport: asyncio.Transport) -> None:
        self._receiver = receiver
        self._line = line
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Put a framed datagram on its way; read no more while too many are."""
        self._line.put(self._receiver.datagram_received, data, addr, stream=True)
        if self._line.full and self._transport.is_reading():
            self._transport.pause_reading()
            self._line.when_room(self._read_on)

    def _read_on(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def error_received(self, exc: Exception) -> None:
        """Hand an error on at once."""
        self._receiver.error_received(exc)


class ImpairedStream(ImpairedTransport):
    """A TCP connection over a bad network: what it has taken comes late, and all of it."""

    def sendto(self, data: bytes, addr: Any) -> None:
        """Put a framed datagram on its way; when too many are, it is lost as with a full buffer."""
        if not self._line.full:
            self._line.put(self._send, data, addr, stream=True)
