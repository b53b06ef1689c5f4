"""``peer-dies``: the media connection ends at the origin's side."""

from smproxy.faults.media_fault import MediaFault
from smproxy.faults.parameter import Parameter


class PeerDies(MediaFault):
    """End the peer connection."""

    name = "peer-dies"
    effect = (
        "The origin's peer connection ends some time after it came up; the socket stays for 5 s. Hook: "
        "`disconnected`, reason 4."
    )
    publish = "resolves; the page loses its data channel (`WebRTC.DataChannel.Close`), or its socket"
    live = True

    after = Parameter(1.0, "seconds from the transport being up")

    def connected(self) -> None:
        """Wait, then end it."""
        self.peer.later(self.after, self.peer.fail)
