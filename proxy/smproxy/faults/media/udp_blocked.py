"""``udp-blocked``: the client's network lets no UDP through."""

import random

from smproxy.faults.media_fault import MediaFault
from smproxy.faults.parameter import Parameter
from smproxy.network import Conditions, NetworkLink


class UdpBlocked(MediaFault):
    """Lose every datagram of the client but those of a relay."""

    name = "udp-blocked"
    effect = (
        "No datagram passes between client and origin, as behind a firewall that lets only TCP through; those of a TURN server "
        "do, which has the address `relay`, and media over TCP (`--media-tcp`). Without either the transport does not come up."
    )
    publish = "resolves: the start of a stream does not wait for its media connection"
    live = True

    relay = Parameter("127.0.0.9", "the address that relayed datagrams come from; that of `--turn`")

    def negotiating(self) -> None:
        """Lose them from the first one on."""
        seeds = [self.rng.getrandbits(64) for _ in range(2)]
        links = (
            NetworkLink(Conditions(loss=100), random.Random(seed), exempt=self.relay, udp_only=True)  # noqa: S311 - to be repeated
            for seed in seeds
        )
        self.peer.impair(*links)
