"""``packet-loss``: the network loses packets."""

from smproxy.faults.kind import FaultKind, Parameter, Room

FAULT = FaultKind(
    name="packet-loss",
    room=Room.MEDIA,
    effect="This part of the RTP packets is lost between client and origin, in both directions, retransmissions among "
    "them; RTCP and STUN are not touched.",
    publish="resolves",
    parameters=(
        Parameter("percent", 10.0, "how many of a hundred", 0, 100),
        Parameter("burst", 1, "how many are lost at a time", 1, 1000),
    ),
    live=True,
)
