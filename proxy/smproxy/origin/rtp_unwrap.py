"""Sequence numbers without wraps, and over changes of the source (RFC 3550, A.1). Sans-I/O."""

from __future__ import annotations

#: A jump of more than this many packets is a restarted sender, not loss (RFC 3550, A.1).
MAX_DROPOUT = 3000
#: A packet that is later than this is a restarted sender, not a reordered packet.
MAX_LATE = 1000


class RtpUnwrapper:
    """Follows the source of a track. ``clock_rate`` in Hz.

    What is 16 or 32 bits wide in RTP comes as it is there.

    A jump is believed at its first packet, without the probation of RFC 3550: SRTP has made sure that it is the client's.
    """

    __slots__ = (
        "_clock_rate",
        "arrived",
        "expected",
        "first",
        "highest",
        "jitter",
        "offset",
        "shift",
        "ssrc",
        "timestamp",
    )

    def __init__(self, clock_rate: int) -> None:
        self._clock_rate = clock_rate
        #: The source, and the sequence number that comes next; -1 before the first packet.
        self.ssrc = self.expected = -1
        #: Number of the newest packet, of the first one of the source, and what leads from its sequence numbers to numbers.
        self.highest = 0xFFFF
        self.first = 0x10000
        self.offset = 0
        #: What is added to the source's timestamps.
        self.shift = 0
        #: Timestamp of the newest frame as the source has it, and when it began to come; seconds, monotonic.
        self.timestamp = -1
        self.arrived = 0.0
        #: Interarrival jitter in timestamp units (RFC 3550, A.8), sampled once a frame.
        self.jitter = 0.0

    def new_frame(self, timestamp: int, now: float) -> None:
        """Take the first packet of a frame; ``now`` in seconds, monotonic."""
        moved = (timestamp - self.timestamp) & 0xFFFFFFFF
        if moved < 0x80000000:  # not of a frame that was overtaken
            jitter = self.jitter
            self.jitter = jitter + (abs((now - self.arrived) * self._clock_rate - moved) - jitter) / 16
        self.timestamp = timestamp
        self.arrived = now

    def place(self, ssrc: int, sequence: int, timestamp: int, now: float) -> int:
        """Number a packet that is not simply the next one; -1 for one from before the source began.

        A packet of another source, or after a jump, gets the next number and is then ``first``; timestamps go on by the time
        that passed.
        """
        ahead = (sequence - self.expected) & 0xFFFF
        if ssrc != self.ssrc or MAX_DROPOUT < ahead < 0x10000 - MAX_LATE:
            self._restart(ssrc, sequence, timestamp, now)
            ahead = 0
        elif ahead > MAX_DROPOUT:
            number = self.highest + 1 - (0x10000 - ahead)
            return -1 if number < self.first else number
        self.highest += ahead + 1
        self.expected = (sequence + 1) & 0xFFFF
        return self.highest

    def _restart(self, ssrc: int, sequence: int, timestamp: int, now: float) -> None:
        if self.ssrc >= 0:
            passed = max(int((now - self.arrived) * self._clock_rate), 1)
            self.shift = (self.timestamp + self.shift + passed - timestamp) & 0xFFFFFFFF
        self.ssrc = ssrc
        self.timestamp = timestamp
        self.arrived = now
        self.first = self.highest + 1
        self.offset = self.first - sequence

    @property
    def newest(self) -> int:
        """Timestamp of the newest frame as the track has it, 32 bits wide."""
        return (self.timestamp + self.shift) & 0xFFFFFFFF

    @property
    def highest_sequence(self) -> int:
        """The highest sequence number of the source, extended by the count of its wraps."""
        return self.highest - self.offset
