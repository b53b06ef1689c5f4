"""What is kept of the packets of sessions: the first ones, then the latest, within bounds.

The first packets are those of ICE and DTLS, which are asked for when a session does not come about.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from smproxy.capture.packet import Packet

#: Packets that are kept from the beginning of a capture.
FIRST = 200
#: Packets and bytes of one session, and bytes of all sessions.
MAX_PACKETS = 20_000
MAX_BYTES = 8 << 20
TOTAL_BYTES = 256 << 20
#: Sessions that have ended whose packets are kept.
MAX_ENDED = 100
#: Bytes that a packet takes beside its data.
_OVERHEAD = 200


class Kept(NamedTuple):
    """What is kept of packets.

    ``missing`` are not, which were before the one with the index ``gap_at``.
    """

    packets: list[Packet]
    missing: int
    gap_at: int


class CaptureRing:
    """The packets of one session.

    ``count`` is how many there were, ``share`` how many bytes may be kept.
    """

    def __init__(self, share: int = MAX_BYTES) -> None:
        self.share = share
        self.count = 0
        self.ended = False
        self._first: list[Packet] = []
        self._latest: deque[Packet] = deque()
        self._bytes = 0

    def add(self, packet: Packet) -> None:
        """Keep a packet; the oldest after the first ones make room for it."""
        self.count += 1
        if self.count <= FIRST:
            self._first.append(packet)
            return
        self._latest.append(packet)
        self._bytes += len(packet.data) + _OVERHEAD
        if self._bytes > self.share or len(self._latest) > MAX_PACKETS:
            self.trim()

    def trim(self) -> None:
        """Keep no more than the share."""
        latest = self._latest
        while latest and (self._bytes > self.share or len(latest) > MAX_PACKETS):
            self._bytes -= len(latest.popleft().data) + _OVERHEAD

    def since(self, number: int) -> Kept:
        """Return what is kept from this number on; packets are numbered from 0."""
        oldest = self.count - len(self._latest)
        begin = max(0, len(self._first) - number)
        missing = max(0, oldest - max(number, len(self._first)))
        latest = list(self._latest)[max(0, number - oldest) :]
        return Kept(self._first[number:] + latest, missing, begin)


class CaptureRings:
    """The rings of all sessions, by their attempts; they share a number of bytes."""

    def __init__(self, total: int = TOTAL_BYTES) -> None:
        self._total = total
        self._rings: dict[str, CaptureRing] = {}
        #: Those that have ended, the oldest first.
        self._ended: deque[str] = deque()

    def find(self, attempt: str) -> CaptureRing | None:
        """Find the ring of an attempt."""
        return self._rings.get(attempt)

    def open(self, attempt: str) -> CaptureRing:
        """Return the ring of an attempt, a new one if there is none."""
        ring = self._rings.get(attempt)
        if ring is None:
            ring = self._rings[attempt] = CaptureRing()
            self._divide()
        return ring

    def end(self, attempt: str) -> None:
        """Note that an attempt has ended; its packets are kept until enough others have."""
        ring = self._rings.get(attempt)
        if ring is None or ring.ended:
            return
        ring.ended = True
        self._ended.append(attempt)
        while len(self._ended) > MAX_ENDED:
            del self._rings[self._ended.popleft()]

    def _divide(self) -> None:
        share = min(MAX_BYTES, self._total // len(self._rings))
        for ring in self._rings.values():
            if ring.share != share:
                ring.share = share
                ring.trim()
