"""Numbers and timestamps of a track's packets, without wraps and over restarts of its source."""

from __future__ import annotations

from smproxy.origin.rtcp_receiver import MAX_DROPOUT, MAX_LATE

#: Packets that can be sent again when a subscriber asks for them. A later one from the publisher is of no use either.
HISTORY = 512


class Timeline:
    """Follows the source of a track. ``clock_rate`` in Hz; what is 16 or 32 bits wide in RTP comes as it is there."""

    __slots__ = ("_clock_rate", "arrived", "expected", "first", "highest", "shift", "ssrc", "timestamp")

    def __init__(self, clock_rate: int, now: float) -> None:
        self._clock_rate = clock_rate
        #: The source, and the sequence number that comes next; -1 before the first packet.
        self.ssrc = self.expected = -1
        #: Number of the newest packet, and of the first one of the source.
        self.highest = 0xFFFF
        self.first = 0
        #: What is added to the source's timestamps.
        self.shift = 0
        #: Timestamp of the newest frame, moved, and when it began to come; seconds, monotonic.
        self.timestamp = 0
        self.arrived = now

    def place(self, ssrc: int, sequence: int, timestamp: int, now: float) -> int:
        """Number a packet that is not simply the next one; -1 for one that is too late.

        A packet of another source, or after a jump, gets the next number and is then ``first``; timestamps go on by the time
        that passed.
        """
        ahead = (sequence - self.expected) & 0xFFFF
        if ssrc != self.ssrc or MAX_DROPOUT < ahead < 0x10000 - MAX_LATE:
            self._restart(ssrc, timestamp, now)
            ahead = 0
        elif ahead > MAX_DROPOUT:
            number = self.highest + 1 - (0x10000 - ahead)
            return -1 if number < self.first or number <= self.highest - HISTORY else number
        self.highest += ahead + 1
        self.expected = (sequence + 1) & 0xFFFF
        return self.highest

    def _restart(self, ssrc: int, timestamp: int, now: float) -> None:
        if self.ssrc >= 0:
            passed = max(int((now - self.arrived) * self._clock_rate), 1)
            self.shift = (self.timestamp + passed - timestamp) & 0xFFFFFFFF
        self.ssrc = ssrc
        self.first = self.highest + 1
