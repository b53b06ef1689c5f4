"""``packet-loss``: the network loses packets."""

import random

from smproxy.faults.media_fault import MediaFault, is_rtcp
from smproxy.faults.parameter import Parameter


class PacketLoss(MediaFault):
    """Lose RTP packets in bursts, the same ones for the same seed."""

    name = "packet-loss"
    effect = (
        "This part of the RTP packets is lost between client and origin, in both directions, retransmissions among "
        "them; RTCP and STUN are not touched."
    )
    publish = "resolves"
    live = True

    percent = Parameter(10.0, "how many of a hundred", 0, 100)
    burst = Parameter(1, "how many are lost at a time", 1, 1000)

    def negotiating(self) -> None:
        """Lose packets from the first one on."""
        self.peer.filter_packets(BurstLoss(self.percent, self.burst, self.rng))


class BurstLoss:
    """A packet filter that loses so many of a hundred RTP packets, in bursts."""

    def __init__(self, percent: float, burst: int, rng: random.Random) -> None:
        # A burst begins with this probability, so that on average the wished part is lost.
        part = percent / 100
        self._begin = 1.0 if part >= 1 else part / (burst * (1 - part) + part)
        self._burst = burst
        self._rng = rng
        self._left = 0

    def __call__(self, datagram: bytes) -> bool:
        """Return whether a datagram passes."""
        if is_rtcp(datagram):
            return True
        if self._left:
            self._left -= 1
            return False
        if self._rng.random() >= self._begin:
            return True
        self._left = self._burst - 1
        return False
