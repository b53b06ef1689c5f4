"""A publisher of made-up packets and subscribers that note what they are sent, without sockets."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from smproxy.origin.forward import DownTrack, Soon, TrackForwarder, at_once
from smproxy.origin.track import Track
from smproxy.signaling.payloads import Kind

from tests.fake_clock import FakeTime

KEY = bytes.fromhex("1050b4019d012a8002e001")
INTER = bytes.fromhex("10b1b401")
MIDDLE = b"\x00more"

#: Packets and ticks of a frame of the made-up video.
PER_FRAME, TICKS = 3, 3000


class Sent(NamedTuple):
    """A packet as a subscriber has it."""

    sequence: int
    timestamp: int
    ssrc: int
    payload_type: int
    marker: bool
    payload: bytes


def read(packet: bytes) -> Sent:
    first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", packet)
    assert first == 0x80, "an extension, a source list or padding was passed on"
    return Sent(sequence, timestamp, ssrc, second & 0x7F, second > 0x7F, packet[12:])


def rtp(sequence: int, timestamp: int, payload: bytes, *, ssrc: int = 7, marker: bool = False) -> bytes:
    second = 97 | marker << 7
    return struct.pack("!BBHII", 0x80, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


class Turn:
    """A turn of the event loop, which is over when the test says so."""

    def __init__(self) -> None:
        self._due: list[Callable[[], None]] = []

    def soon(self, call: Callable[[], None]) -> None:
        """Call it at the end of the turn."""
        self._due.append(call)

    def end(self) -> None:
        """End the turn."""
        due, self._due = self._due, []
        for call in due:
            call()


class Publisher:
    """A track, its forwarder, and packets for it. Payloads end with a number, so that each is told from the others."""

    def __init__(
        self,
        clock: FakeTime,
        *,
        codec: str = "VP8",
        sequence: int = 65000,
        timestamp: int = 0xFFFFF000,
        ssrc: int = 7,
        soon: Soon = at_once,
    ) -> None:
        self.clock = clock
        audio = codec == "opus"
        self.track = Track("t", Kind.AUDIO if audio else Kind.VIDEO, codec, 48000 if audio else 90000, clock)
        self.track.started = True
        self.wanted = 0
        self.track.on_wanted = self._was_wanted
        self.forwarder = TrackForwarder(self.track, soon)
        self.wanted = 0
        self.sequence, self.timestamp, self.ssrc = sequence, timestamp, ssrc
        self.made = 0

    def _was_wanted(self, _track: Track) -> None:
        self.wanted += 1

    def packet(self, payload: bytes, *, marker: bool = False) -> bytes:
        """Make the next packet and do not send it."""
        self.made += 1
        data = rtp(self.sequence, self.timestamp, payload + b"#%d" % self.made, ssrc=self.ssrc, marker=marker)
        self.sequence += 1
        return data

    def make_frame(self, *, key: bool = False, packets: int = PER_FRAME) -> list[bytes]:
        """Make a video frame and do not send it."""
        made = [
            self.packet((KEY if key else INTER) if number == 0 else MIDDLE, marker=number == packets - 1)
            for number in range(packets)
        ]
        self.timestamp += TICKS
        self.clock.now += TICKS / 90000
        return made

    def frame(self, *, key: bool = False, packets: int = PER_FRAME) -> None:
        """Send a video frame."""
        for data in self.make_frame(key=key, packets=packets):
            self.track.packet(data)

    def frames(self, count: int) -> None:
        """Send frames that are no key frames."""
        for _ in range(count):
            self.frame()

    def sound(self) -> None:
        """Send 20 ms of audio."""
        self.track.packet(self.packet(b"sound"))
        self.timestamp += 960
        self.clock.now += 0.02


class Subscriber:
    """A sender and what it sent. ``full`` makes its socket take nothing, ``broken`` makes it raise."""

    def __init__(self, clock: FakeTime, *, codec: str = "VP8", seed: int = 1) -> None:
        self.sent: list[Sent] = []
        #: How many packets were written at a time.
        self.written: list[int] = []
        self.full = self.broken = False
        audio = codec == "opus"
        self.sender = DownTrack(
            kind=Kind.AUDIO if audio else Kind.VIDEO,
            codec=codec,
            clock_rate=48000 if audio else 90000,
            ssrc=4242,
            payload_type=111 if audio else 96,
            write=self._write,
            monotonic=clock,
            rng=random.Random(seed),
        )

    def _write(self, packets: Sequence[bytes]) -> bool:
        if self.broken:
            raise RuntimeError("broken")
        if not self.full:
            self.sent += map(read, packets)
            self.written.append(len(packets))
        return not self.full

    @property
    def payloads(self) -> list[bytes]:
        return [each.payload for each in self.sent]

    def is_continuous(self) -> bool:
        """Say whether every sequence number follows the one before."""
        numbers = [each.sequence for each in self.sent]
        return all((after - before) & 0xFFFF == 1 for before, after in pairwise(numbers))

    def never_goes_back(self) -> bool:
        """Say whether no timestamp is before the one before it."""
        stamps = [each.timestamp for each in self.sent]
        return all((after - before) & 0xFFFFFFFF < 1 << 31 for before, after in pairwise(stamps))
