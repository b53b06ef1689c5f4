"""``media-stops``: media ends without any signaling about it."""

from smproxy.faults.media_fault import MediaFault, is_rtcp
from smproxy.faults.parameter import Parameter


class MediaStops(MediaFault):
    """Receive nothing more, or no more media."""

    name = "media-stops"
    effect = (
        "The origin hears nothing more of the client, whose socket stays. With `what=all`: `reconnect` after the "
        "media gap, `disconnected`, reason 1, after the media timeout. With `what=rtp` the connection lives on "
        "without packets, and no hook tells."
    )
    publish = "resolves"
    live = True

    after = Parameter(1.0, "seconds from the transport being up")
    what = Parameter("all", "everything, or RTP only", choices=("all", "rtp"))

    def connected(self) -> None:
        """Wait, then stop it."""
        self.peer.later(self.after, self._stop)

    def _stop(self) -> None:
        if self.what == "rtp":
            self.peer.filter_packets(is_rtcp)
        else:
            self.peer.drop_inbound()
