"""Putting the packets of one RTP source back in order, within bounds. Sans-I/O."""

from __future__ import annotations

from typing import NamedTuple

from smproxy.origin.rtcp_receiver import MAX_DROPOUT, MAX_LATE
from smproxy.origin.track import payload_of

#: Seconds that a missing packet is waited for: long enough for a retransmission that is asked for at once.
PATIENCE = 0.4
#: Packets that may wait for a missing one.
DEPTH = 512


class Rtp(NamedTuple):
    """A packet in its place. ``arrival`` in seconds; ``gap``: what came before it is missing."""

    timestamp: int
    marker: bool
    payload: bytes
    arrival: float
    gap: bool


class Reorder:
    """Gives packets in the order of their sequence numbers (RFC 3550, 5.1); gives up those that do not come."""

    def __init__(self, patience: float = PATIENCE, depth: int = DEPTH) -> None:
        self._patience = patience
        self._depth = depth
        self._next = -1
        self._source = b""
        self._gap = False
        self._waiting: dict[int, tuple[bytes, float]] = {}  # in the order of arrival

    def push(self, packet: bytes, arrival: float) -> list[Rtp]:
        """Take a packet of at least 12 bytes; return those whose turn it is."""
        sequence = packet[2] << 8 | packet[3]
        ready: list[Rtp] = []
        if packet[8:12] != self._source or self._next < 0:
            ready = self._restart(packet, sequence)
        ahead = (sequence - self._next) & 0xFFFF
        if ahead >= 0x8000:
            if 0x10000 - ahead <= MAX_LATE:
                return ready  # given up already, or it came twice
            ready += self._restart(packet, sequence)
        elif ahead > MAX_DROPOUT:
            ready += self._restart(packet, sequence)
        if sequence != self._next:
            self._waiting.setdefault(sequence, (packet, arrival))
            return ready + self.expire(arrival)
        ready.append(self._take(packet, arrival))
        return ready + self._following()

    def expire(self, now: float) -> list[Rtp]:
        """Give up what is missing for too long; ``now`` in seconds."""
        ready: list[Rtp] = []
        while self._waiting:
            _, oldest = next(iter(self._waiting.values()))
            if len(self._waiting) <= self._depth and now - oldest <= self._patience:
                break
            ready += self._skip()
        return ready

    def flush(self) -> list[Rtp]:
        """Return all that still waits: nothing more will come."""
        ready: list[Rtp] = []
        while self._waiting:
            ready += self._skip()
        return ready

    def _restart(self, packet: bytes, sequence: int) -> list[Rtp]:
        ready = self.flush()
        self._gap = self._next >= 0
        self._source, self._next = packet[8:12], sequence
        return ready

    def _skip(self) -> list[Rtp]:
        self._gap = True
        self._next = min(self._waiting, key=lambda sequence: (sequence - self._next) & 0xFFFF)
        return self._following()

    def _following(self) -> list[Rtp]:
        ready: list[Rtp] = []
        while (found := self._waiting.pop(self._next, None)) is not None:
            ready.append(self._take(*found))
        return ready

    def _take(self, packet: bytes, arrival: float) -> Rtp:
        gap, self._gap = self._gap, False
        self._next = (self._next + 1) & 0xFFFF
        timestamp = int.from_bytes(packet[4:8], "big")
        return Rtp(timestamp, bool(packet[1] & 0x80), payload_of(packet), arrival, gap)
