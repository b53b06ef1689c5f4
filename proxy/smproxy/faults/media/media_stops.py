"""``media-stops``: nothing more comes, and nobody says why."""

from smproxy.faults.kind import FaultKind, Parameter, Room

FAULT = FaultKind(
    name="media-stops",
    room=Room.MEDIA,
    effect="The origin hears nothing more of the client, whose socket stays. With `what=all`: `reconnect` after the "
    "media gap, `disconnected`, reason 1, after the media timeout. With `what=rtp` the connection lives on "
    "without packets, and no hook tells.",
    publish="resolves",
    parameters=(
        Parameter("after", 1.0, "seconds from the transport being up"),
        Parameter("what", "all", "everything, or RTP only", choices=("all", "rtp")),
    ),
    live=True,
)
