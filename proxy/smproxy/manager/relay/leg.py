"""One leg of a relayed session: the protocol that has the connection, and the hot path."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, Protocol, cast

from smproxy.manager.relay.scanner import Tap


class Legs(Protocol):
    """The session, as its legs see it."""

    def irregular(self, leg: Leg, data: bytes) -> None:
        """Take data that may not simply flow."""

    def tap_ended(self, leg: Leg) -> None:
        """Act on a Close frame or a fault."""

    def eof(self, leg: Leg) -> bool:
        """Act on the end of what ``leg`` sends; return whether it stays open for writing."""

    def lost(self, leg: Leg) -> None:
        """Act on the loss of ``leg``."""


class Leg(asyncio.Protocol):
    """The client's or the origin's connection. What it receives goes to its peer.

    ``flowing``: data is scanned and goes on, nothing else is to be minded. ``sealed``: a Close frame has been written to this
    leg, nothing may follow. ``farewell``: a Close frame that waits until what the peer sends is at a frame boundary.
    """

    __slots__ = (
        "eof",
        "eof_sent",
        "farewell",
        "flowing",
        "hear",
        "heard",
        "lost",
        "peer",
        "pinged",
        "quiet",
        "received",
        "sealed",
        "session",
        "side",
        "stalled",
        "tap",
        "transport",
        "write",
    )

    def __init__(
        self,
        session: Legs,
        side: Literal["client", "origin"],
        tap: Tap,
        hear: Callable[[bytes | None], None],
    ) -> None:
        self.session = session
        self.hear = hear
        self.side: Literal["client", "origin"] = side
        self.tap = tap
        self.peer: Leg = self  # until the session links its legs
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.write: Callable[[bytes], None] = cast(Callable[[bytes], None], None)  # to the peer
        self.flowing = False
        self.heard = -1  # what ``received`` was at the latest sweep
        self.quiet = 0  # sweeps without a sound
        self.pinged = False  # since the latest sound
        self.received = 0
        self.stalled = False  # not read from, because the peer's buffer is full
        self.sealed = False
        self.farewell = b""
        self.eof = False
        self.eof_sent = False
        self.lost = False

    # What the transport says

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if not self.flowing:
            self.session.irregular(self, data)
            return
        text = self.tap.whole(data)
        if text is None:
            self.flow(data)
        else:
            self.write(data)
            self.hear(text)

    def flow(self, data: bytes) -> None:
        """Scan ``data``, forward what may go on, then report."""
        tap = self.tap
        out = tap.feed(data)
        if out:
            self.write(out)
        if tap.said:
            self.tell()
        if tap.ended:
            self.session.tap_ended(self)

    def tell(self) -> None:
        """Report what the tap has heard."""
        said = self.tap.said
        for text in said:
            self.hear(text)
        said.clear()

    def eof_received(self) -> bool:
        return self.session.eof(self)

    def pause_writing(self) -> None:
        if self.lost:
            return
        peer = self.peer
        if not (peer.lost or peer.eof) and peer.transport is not None:
            peer.stalled = True
            peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.lost:
            self.peer.read_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self.session.lost(self)

    # What the session does

    def attach(self, transport: asyncio.Transport, high_water: int) -> None:
        """Have the connection."""
        self.transport = transport
        transport.set_write_buffer_limits(high=high_water)

    def detach(self) -> None:
        """Let go of everything that refers back to this leg: sessions come and go too fast for the cycle collector."""
        self.lost = True
        del self.session, self.peer, self.hear, self.write

    def read_on(self) -> None:
        """Read again after a stall."""
        if self.stalled:
            self.stalled = False
            if not (self.lost or self.eof):
                self.transport.resume_reading()

    def inject(self, frame: bytes) -> bool:
        """Write a frame of our own to this leg if it is open and at a frame boundary; tell whether it was."""
        if self.lost or self.sealed or self.eof_sent or self.peer.tap.gap or self.transport.is_closing():
            return False
        self.transport.write(frame)
        return True

    def end_output(self) -> None:
        """Say that nothing follows what was written: with a FIN, or over TLS by closing the connection."""
        if self.lost or self.eof_sent or self.transport.is_closing():
            return
        self.eof_sent = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def shut(self) -> None:
        """Close once everything is written."""
        if not self.lost:
            self.transport.close()

    def abort(self) -> None:
        """Close at once."""
        if not self.lost:
            self.transport.abort()
