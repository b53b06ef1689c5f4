"""``connect-failed``: no origin can be had."""

from smproxy.faults.kind import FaultKind, Parameter, Room, close_code

FAULT = FaultKind(
    name="connect-failed",
    room=Room.SIGNALING,
    effect="The upgrade is accepted, then refused with `NetConnection.Connect.Failed` and a Close frame; no origin is "
    "dialled. Hooks: `connecting`, `connect_error`, error 2.",
    publish="rejects with `NetConnection.Connect.Failed`",
    parameters=(
        close_code(1014),
        Parameter("reason", "failed by a fault", "reason in the Close frame"),
    ),
)
