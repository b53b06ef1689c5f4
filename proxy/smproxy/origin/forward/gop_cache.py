"""The packets of a video track since its last key frame, bounded, for late subscribers."""

from __future__ import annotations

from collections.abc import Sequence

from smproxy.origin.rtp_packet import RtpPacket

#: Bounds of what is kept, about 10 s of 720p. Beyond them nothing is kept until the next key frame.
MAX_PACKETS = 4096
MAX_BYTES = 4 << 20
#: Seconds of what is kept: nobody would catch up with more in a sensible time.
MAX_AGE = 60.0


class GopCache:
    """Packets in the order of their numbers, the first of which begins a key frame.

    Empty while there is none.
    """

    __slots__ = ("_bytes", "_frame", "_keyed", "base", "packets")

    def __init__(self) -> None:
        self.packets: list[RtpPacket] = []
        #: Number from which on packets may still come that belong to the key frame.
        self.base = 0
        self._keyed = False
        self._bytes = 0
        self._frame = 0

    def __len__(self) -> int:
        """Count the packets that a newcomer can begin with."""
        return len(self.packets) if self._keyed else 0

    def clear(self) -> None:
        """Forget all until the next key frame."""
        self.packets = []
        self._keyed = False
        self._bytes = self._frame = 0

    def new_frame(self) -> None:
        """Let the next packet begin a frame, of which it is not known yet whether it is a key frame."""
        if not self._keyed:
            self.packets = []
            self._bytes = 0
        self._frame = len(self.packets)

    def key_frame(self, base: int) -> None:
        """Begin with the current frame.

        It turned out to be a key frame, and ``base`` is the first number it may have.
        """
        self.packets = self.packets[self._frame :]
        self.base = base
        self._bytes = _size(self.packets)
        self._frame = 0
        self._keyed = True

    def append(self, packet: RtpPacket) -> bool:
        """Keep the newest packet; False when that would be too much, and all is forgotten."""
        packets = self.packets
        packets.append(packet)
        self._bytes += len(packet.payload)
        age = packet.arrival - packets[0].arrival
        if len(packets) > MAX_PACKETS or self._bytes > MAX_BYTES or age > MAX_AGE:
            self.clear()
            return False
        return True

    def insert(self, packet: RtpPacket) -> int:
        """Keep a late packet and return its place; -1 when it belongs before the first one."""
        place = len(self.packets)
        while place and self.packets[place - 1].number > packet.number:
            place -= 1
        if not place and not self._begins(packet):
            return -1
        before = place < self._frame
        if place == self._frame < len(self.packets):
            before = packet.timestamp != self.packets[place].timestamp
        self._frame += before
        self.packets.insert(place, packet)
        self._bytes += len(packet.payload)
        return place

    def _begins(self, packet: RtpPacket) -> bool:
        """Return whether a packet before the first one is of the same frame.

        Its parameter sets may come late.
        """
        return bool(self.packets) and packet.timestamp == self.packets[0].timestamp

    def frames(self, place: int, *, until_current: bool = False) -> int:
        """Count the frames from a place on, without the current one if that is said."""
        end = self._frame if until_current else len(self.packets)
        return len({packet.timestamp for packet in self.packets[place:end]})

    def find(self, number: int) -> int:
        """Return the place of the first packet with this number or a later one.

        -1 when it would be before the first one.
        """
        packets = self.packets
        if not len(self) or number < packets[0].number:
            return -1
        low, high = 0, len(packets)
        while low < high:
            middle = (low + high) // 2
            if packets[middle].number < number:
                low = middle + 1
            else:
                high = middle
        return low


def _size(packets: Sequence[RtpPacket]) -> int:
    return sum(len(packet.payload) for packet in packets)
