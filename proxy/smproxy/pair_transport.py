"""A connection inside of the process: what is written to one transport comes to the other.

A connection over the loopback costs some 200 µs of CPU time, with both ends and a dozen messages.
"""

from __future__ import annotations

import asyncio

#: Bytes that wait for the other end before who writes is asked to pause, unless it says otherwise.
_HIGH_WATER = 65_536
#: The other end's address, as its protocol may ask for it.
_PEER = ("127.0.0.1", 0)


def connect_pair(first: asyncio.Protocol, second: asyncio.Protocol) -> None:
    """Connect two protocols.

    ``connection_made`` of both is called before this returns, of the second one first.
    """
    one, other = PairTransport(first), PairTransport(second)
    one.join(other)
    other.join(one)
    second.connection_made(other)
    first.connection_made(one)


class PairTransport(asyncio.Transport):
    """One end of a connection inside of the process.

    What is written is delivered in the next turn of the event loop.
    """

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": _PEER})
        self._protocol: asyncio.Protocol | None = protocol
        self._loop = asyncio.get_running_loop()
        self._other: PairTransport | None = None
        #: What the other end has written and this one's protocol has not got yet, and whether nothing more comes.
        self._arrived = b""
        self._ended = False
        self._turn: asyncio.Handle | None = None
        self._reading = True
        self._closing = self._eof_written = False
        #: Whether this one's protocol was asked to pause writing.
        self._full = False
        self._high = _HIGH_WATER

    def join(self, other: PairTransport) -> None:
        """Take the other end."""
        self._other = other

    # reading ----------------------------------------------------------------------------------------------------------

    def _take(self, data: bytes) -> int:
        """Take what the other end writes; return how many bytes wait now."""
        if self._closing:
            return 0
        self._arrived += data
        self._soon()
        return len(self._arrived)

    def _end(self) -> None:
        """Take that nothing more comes."""
        self._ended = True
        self._soon()

    def _soon(self) -> None:
        if self._turn is None and self._reading and not self._closing:
            self._turn = self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._turn = None
        protocol = self._protocol
        if protocol is None or not self._reading or self._closing:
            return
        if self._arrived:
            data, self._arrived = self._arrived, b""
            protocol.data_received(data)
            if self._other is not None:
                self._other.drained()
            if self._ended:
                self._soon()
        elif self._ended:
            self._ended = False  # said once
            if not protocol.eof_received():
                self.close()

    def pause_reading(self) -> None:
        """Deliver nothing for now."""
        self._reading = False

    def resume_reading(self) -> None:
        """Deliver again."""
        self._reading = True
        if self._arrived or self._ended:
            self._soon()

    def is_reading(self) -> bool:
        """Return whether what comes is delivered."""
        return self._reading and not self._closing

    # writing ----------------------------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Give the other end some bytes."""
        if self._closing or self._eof_written or self._other is None or not data:
            return
        if self._other._take(bytes(data)) > self._high and not self._full and self._protocol is not None:
            self._full = True
            self._protocol.pause_writing()

    def drained(self) -> None:
        """Note that the other end has all that was written."""
        if self._full and self._protocol is not None:
            self._full = False
            self._protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes the other end has not got yet."""
        return 0 if self._other is None else len(self._other._arrived)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return at how many bytes writing goes on, and above how many it pauses."""
        return 0, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set above how many bytes writing pauses; it goes on once there are none."""
        self._high = _HIGH_WATER if high is None else high

    def can_write_eof(self) -> bool:
        """Return that it can."""
        return True

    def write_eof(self) -> None:
        """Say that nothing more comes."""
        if not self._eof_written and not self._closing:
            self._eof_written = True
            if self._other is not None:
                self._other._end()

    # the end ----------------------------------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        """Return whether it closes or is closed."""
        return self._closing

    def close(self) -> None:
        """Close; the other end gets what was written, and then the end."""
        if not self._closing:
            self.write_eof()
            self._closing = True
            self._arrived = b""
            self._loop.call_soon(self._lost)

    def abort(self) -> None:
        """Close at once."""
        self.close()

    def _lost(self) -> None:
        protocol, self._protocol, other, self._other = self._protocol, None, self._other, None
        if other is not None:
            other.drained()
        if protocol is not None:
            protocol.connection_lost(None)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give what comes to another protocol from now on."""
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol."""
        assert self._protocol is not None
        return self._protocol
