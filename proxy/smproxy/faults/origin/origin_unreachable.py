"""``origin-unreachable``: the origin cannot be dialled."""

from smproxy.faults.kind import FaultKind, Parameter, Room

FAULT = FaultKind(
    name="origin-unreachable",
    room=Room.ORIGIN,
    effect="The dial to the origin fails: `NetConnection.Connect.Failed`, close code 1014. Hooks: `connecting`, "
    "`connect_error`, error 2.",
    publish="rejects with `NetConnection.Connect.Failed`",
    parameters=(Parameter("after", 0.0, "seconds that the dial takes to fail", most=60),),
)
