"""Putting the packets of one track back in order, within bounds. Sans-I/O."""

from __future__ import annotations

from smproxy.origin.rtp_packet import RtpPacket

#: Seconds that a missing packet is waited for: long enough for a retransmission that is asked for at once.
PATIENCE = 0.4
#: Packets that may wait for a missing one.
DEPTH = 512


class JitterBuffer:
    """Gives packets in the order of their numbers.

    Gives up those that do not come, which shows in the numbers.
    """

    def __init__(self, patience: float = PATIENCE, depth: int = DEPTH) -> None:
        self._patience = patience
        self._depth = depth
        self._next = -1
        self._waiting: dict[int, RtpPacket] = {}  # in the order of arrival

    def push(self, packet: RtpPacket) -> list[RtpPacket]:
        """Take a packet; return those whose turn it is."""
        number = packet.number
        ready: list[RtpPacket] = []
        if packet.restart or self._next < 0:
            ready = self.flush()
            self._next = number
        if number < self._next:
            return ready  # given up already, or it came twice
        if number > self._next:
            self._waiting.setdefault(number, packet)
            return ready + self.expire(packet.arrival)
        self._next += 1
        ready.append(packet)
        return ready + self._following() if self._waiting else ready

    def expire(self, now: float) -> list[RtpPacket]:
        """Give up what is missing for too long; ``now`` in seconds."""
        ready: list[RtpPacket] = []
        while self._waiting:
            oldest = next(iter(self._waiting.values())).arrival
            if len(self._waiting) <= self._depth and now - oldest <= self._patience:
                break
            ready += self._skip()
        return ready

    def flush(self) -> list[RtpPacket]:
        """Return all that still waits: nothing more will come."""
        ready: list[RtpPacket] = []
        while self._waiting:
            ready += self._skip()
        return ready

    def _skip(self) -> list[RtpPacket]:
        self._next = min(self._waiting)
        return self._following()

    def _following(self) -> list[RtpPacket]:
        ready: list[RtpPacket] = []
        while (found := self._waiting.pop(self._next, None)) is not None:
            ready.append(found)
            self._next += 1
        return ready
