"""Faults of one client's media, carried out by the origin on its peer connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from smproxy.faults.kind import FaultKind, Layer
from smproxy.network import NetworkLink


class FaultyPeer(Protocol):
    """The peer connection with one client, as a fault acts on it.

    Nothing is done once the fault or the peer has ended.
    """

    @property
    def up(self) -> bool:
        """Whether ICE and DTLS are up, or were."""

    def drop_inbound(self) -> None:
        """Receive nothing of the client any more, not even its connectivity checks."""

    def filter_packets(self, passes: Callable[[bytes], bool]) -> None:
        """Lose the RTP and RTCP packets, in both directions, for which ``passes`` returns False."""

    def impair(self, up: NetworkLink | None, down: NetworkLink | None) -> None:
        """Have all datagrams from the client (up) and to it (down) go over these links."""

    def fail(self) -> None:
        """End the peer connection as if it had broken; the client keeps its socket for a while."""

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something later."""


class MediaFault(FaultKind):
    """The effect of one fault on one client's media.

    Everything that it did to the peer ends with it, except a peer that it has ended.
    """

    layer = Layer.MEDIA
    peer: FaultyPeer

    def negotiating(self) -> None:
        """The peer connection is made, and the description not sent yet.

        Also called when the fault came later.
        """

    def connected(self) -> None:
        """The transport is up; or the fault came later."""


def is_rtcp(datagram: bytes) -> bool:
    """Return whether a packet is RTCP: its type is where RTP's payload type is (RFC 5761, 4)."""
    return 191 < datagram[1] < 224
