"""One leg of a relayed connection: the protocol on one socket, and the hot path."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, Protocol, cast

from smproxy.manager.deadlines import Deadlines
from smproxy.manager.relay.scanner import FrameReader


class LegOwner(Protocol):
    """What a leg calls when something happens that is not plain forwarding."""

    def on_data_unspliced(self, leg: Leg, data: bytes) -> None:
        """Take data while the leg is not spliced."""

    def on_reader_ended(self, leg: Leg) -> None:
        """Act on a Close frame or a protocol violation."""

    def on_eof(self, leg: Leg) -> bool:
        """Act on a FIN from ``leg``; return whether its socket stays open for writing."""

    def on_lost(self, leg: Leg) -> None:
        """Act on the loss of ``leg``."""


class Leg(asyncio.Protocol):
    """The client's or the origin's socket. What it receives goes to its peer.

    ``spliced``: data is scanned and forwarded, nothing else has to be decided. The other flags are facts of the wire, and no
    flag that is set is cleared again: ``close_sent``: a Close frame was written to this leg, nothing may follow. ``eof``: a FIN
    came. ``eof_sent``: a FIN was sent. ``lost``: the socket is gone. ``pending_close`` is a Close frame that waits until what
    the peer sends is at a frame boundary.
    """

    __slots__ = (
        "at_last_sweep",
        "close_sent",
        "eof",
        "eof_sent",
        "lost",
        "on_message",
        "owner",
        "peer",
        "pending_close",
        "pinged",
        "read_paused",
        "reader",
        "received",
        "side",
        "silent_sweeps",
        "spliced",
        "transport",
        "write",
    )

    def __init__(
        self,
        owner: LegOwner,
        side: Literal["client", "origin"],
        reader: FrameReader,
        on_message: Callable[[bytes | None], None],
    ) -> None:
        self.owner = owner
        self.on_message = on_message
        self.side: Literal["client", "origin"] = side
        self.reader = reader
        self.peer: Leg = self  # until the owner links its legs
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.write: Callable[[bytes], None] = cast("Callable[[bytes], None]", None)  # to the peer
        self.spliced = False
        self.at_last_sweep = -1  # ``received`` at the latest sweep
        self.silent_sweeps = 0
        self.pinged = False  # since the latest data
        self.received = 0
        self.read_paused = False  # because the peer's write buffer is full
        self.close_sent = False
        self.pending_close = b""
        self.eof = False
        self.eof_sent = False
        self.lost = False

    # called by the transport

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if not self.spliced:
            self.owner.on_data_unspliced(self, data)
            return
        text = self.reader.whole_text(data)
        if text is None:
            self.forward(data)
        else:
            self.write(data)
            self.on_message(text)

    def forward(self, data: bytes) -> None:
        """Scan ``data``, forward what may go on, then report the messages in it."""
        reader = self.reader
        out = reader.feed(data)
        if out:
            self.write(out)
        if reader.messages:
            self.report_messages()
        if reader.ended:
            self.owner.on_reader_ended(self)

    def report_messages(self) -> None:
        """Report the messages that the reader has completed."""
        messages = self.reader.messages
        for text in messages:
            self.on_message(text)
        messages.clear()

    def eof_received(self) -> bool:
        return self.owner.on_eof(self)

    def pause_writing(self) -> None:
        if self.lost:
            return
        peer = self.peer
        if not (peer.lost or peer.eof) and peer.transport is not None:
            peer.read_paused = True
            peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.lost:
            self.peer.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.owner.on_lost(self)

    # called by the owner

    def attach(self, transport: asyncio.Transport, high_water: int) -> None:
        """Take over a socket."""
        self.transport = transport
        transport.set_write_buffer_limits(high=high_water)

    def detach(self) -> None:
        """Drop all references back to this leg.

        Connections end too fast for the cycle collector.
        """
        self.lost = True
        del self.owner, self.peer, self.on_message, self.write

    def resume_reading(self) -> None:
        """Read again after a pause."""
        if self.read_paused:
            self.read_paused = False
            if not (self.lost or self.eof):
                self.transport.resume_reading()

    def send_frame(self, frame: bytes) -> bool:
        """Write a frame of the proxy's own if the leg is open and at a frame boundary.

        Return whether it was.
        """
        if self.lost or self.close_sent or self.eof_sent or self.peer.reader.to_boundary or self.transport.is_closing():
            return False
        self.transport.write(frame)
        return True

    def send_close(self, frame: bytes, boundaries: Deadlines) -> None:
        """Send a Close frame, at once or at the end of the frame under way.

        Abort when that does not come in time.
        """
        if self.lost or self.close_sent or self.eof_sent or self.pending_close:
            return
        if self.peer.reader.to_boundary:
            self.pending_close = frame
            boundaries.start(self, self.abort)
        else:
            self.close_sent = self.send_frame(frame)

    def send_pending_close(self, boundaries: Deadlines) -> None:
        """Send the Close frame that waited for a frame boundary."""
        frame = self.pending_close
        self.drop_pending_close(boundaries)
        self.close_sent = self.send_frame(frame)

    def drop_pending_close(self, boundaries: Deadlines) -> None:
        """Forget a Close frame that waits for a frame boundary."""
        if self.pending_close:
            self.pending_close = b""
            boundaries.stop(self)

    def send_eof(self) -> None:
        """Send a FIN after what was written; over TLS close the connection."""
        if self.lost or self.eof_sent or self.transport.is_closing():
            return
        self.eof_sent = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def close(self) -> None:
        """Close once everything is written."""
        if not self.lost:
            self.transport.close()

    def abort(self) -> None:
        """Close at once."""
        if not self.lost:
            self.transport.abort()
