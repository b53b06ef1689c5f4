"""Gives one client's packets to its capture: media opened, all else as it came."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from smproxy.capture.packet import Endpoint, Packet
from smproxy.capture.ring import CaptureRing

Open = Callable[[bytes], bytes]
Seal = Callable[[Iterable[bytes]], list[bytes]]


class PacketTap:
    """Adds packets to a ring.

    ``ours`` and ``theirs`` are where media goes from and to. What seals and opens packets is wrapped, so that a session without
    a tap pays nothing for it on the way of its media.
    """

    def __init__(self, ring: CaptureRing, wall: Callable[[], float]) -> None:
        self.ours: Endpoint = ("0.0.0.0", 0)  # noqa: S104 - not listened on
        self.theirs: Endpoint = ("0.0.0.0", 0)  # noqa: S104
        self._ring = ring
        self._wall = wall

    def received(self, data: bytes, ours: Endpoint, theirs: Endpoint) -> None:
        """Add a packet of the client."""
        self._ring.add(Packet(self._wall(), theirs, ours, data))

    def sent(self, data: bytes, ours: Endpoint, theirs: Endpoint) -> None:
        """Add a packet to the client."""
        self._ring.add(Packet(self._wall(), ours, theirs, data))

    def opening(self, unprotect: Open) -> Open:
        """Return ``unprotect``, with what it opens added."""
        add, wall = self._ring.add, self._wall

        def open_and_add(sealed: bytes) -> bytes:
            data = unprotect(sealed)
            add(Packet(wall(), self.theirs, self.ours, data))
            return data

        return open_and_add

    def sealing(self, protect: Seal) -> Seal:
        """Return ``protect``, with what it seals added."""
        add, wall = self._ring.add, self._wall

        def add_and_seal(packets: Iterable[bytes]) -> list[bytes]:
            packets = tuple(packets)
            for data in packets:
                add(Packet(wall(), self.ours, self.theirs, data))
            return protect(packets)

        return add_and_seal
