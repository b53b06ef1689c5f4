"""The subscribers of a track as its forwarder knows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from smproxy.origin.rtp_packet import RtpPacket


class ForwardTarget(Protocol):
    """The side of a subscriber's slot that a forwarder uses."""

    paused: bool
    dropped: int
    key_frames: int

    @property
    def resume_at(self) -> int:
        """Number of the packet that would be next if nothing had been left out.

        -1 before the first one.
        """

    def begin(self, base: int, timestamp: int) -> None:
        """Go on with packet ``base``, whatever was sent before, and what follows it.

        At a key frame, if there are any.
        """

    def forward(self, packets: Sequence[RtpPacket]) -> bool:
        """Send packets, one at least, all or none.

        False when the client does not keep up and wants to have them later.
        """

    def late(self, packet: RtpPacket) -> None:
        """Send a packet whose successors were sent already."""


class CatchUp:
    """How far a slot has come in the cache, and how many packets it may lag behind."""

    __slots__ = ("patience", "place")

    def __init__(self, place: int, patience: int) -> None:
        self.place = place
        self.patience = patience
