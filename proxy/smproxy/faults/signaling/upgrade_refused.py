"""``upgrade-refused``: an HTTP error in place of the WebSocket."""

from smproxy.faults.kind import FaultKind, Parameter, Room

FAULT = FaultKind(
    name="upgrade-refused",
    room=Room.SIGNALING,
    effect="The upgrade is answered with an HTTP error, as by a balancer in front. No hooks.",
    publish="rejects with an event of type `error`",
    parameters=(Parameter("status", 503, "HTTP status", 400, 599),),
)
