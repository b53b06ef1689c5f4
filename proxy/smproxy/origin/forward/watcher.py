"""What a feed knows of those who watch it."""

from __future__ import annotations

from typing import Protocol

from smproxy.origin.forward.packet import MediaPacket


class Watcher(Protocol):
    """What a feed wants of a sender."""

    paused: bool
    dropped: int
    key_frames: int

    @property
    def resume_at(self) -> int:
        """Number of the packet that would be next if nothing had been left out; -1 before the first one."""

    def begin(self, base: int, timestamp: int) -> None:
        """Go on with packet ``base``, whatever was sent before, and what follows it. At a key frame, if there are any."""

    def forward(self, packet: MediaPacket) -> bool:
        """Send; False when the client does not keep up and wants to have this packet later."""

    def late(self, packet: MediaPacket) -> None:
        """Send a packet whose successors were sent already."""


class Progress:
    """How far a sender has come in the cache, and how many packets it may lag behind."""

    __slots__ = ("patience", "place")

    def __init__(self, place: int, patience: int) -> None:
        self.place = place
        self.patience = patience
