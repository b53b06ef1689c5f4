"""``origin-full``: no origin has room."""

from smproxy.faults.kind import FaultKind, Parameter, Room

FAULT = FaultKind(
    name="origin-full",
    room=Room.ORIGIN,
    effect="The connection is refused as when no origin has capacity: `NetConnection.Connect.Rejected`, close code "
    "1013. Hook: `connect_error`, error 3.",
    publish="rejects with `NetConnection.Connect.Rejected`",
    parameters=(Parameter("reason", "no origin has capacity", "reason in the Close frame"),),
)
