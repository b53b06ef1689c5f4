"""``connect-rejected``: the connection is refused by policy."""

from smproxy.faults.kind import FaultKind, Parameter, Room, close_code

FAULT = FaultKind(
    name="connect-rejected",
    room=Room.SIGNALING,
    effect="The upgrade is accepted, then refused with `NetConnection.Connect.Rejected` and a Close frame; no origin "
    "is dialled. Hook: `connect_error`, error 3.",
    publish="rejects with `NetConnection.Connect.Rejected`",
    parameters=(
        Parameter("type", "status", "which of the two forms the message has", choices=("status", "error")),
        close_code(1008),
        Parameter("reason", "rejected by a fault", "reason in the Close frame"),
    ),
)
