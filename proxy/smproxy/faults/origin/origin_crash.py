"""``origin-crash``: the origin is lost with all that it carries."""

from smproxy.faults.kind import FaultKind, Parameter, Room

FAULT = FaultKind(
    name="origin-crash",
    room=Room.ORIGIN,
    effect="Some time after the first session that it is for, all such sessions of that origin lose socket and media "
    "at once, without a goodbye. Hooks: `disconnected`, reason 4; before the transport is up `connect_error`, "
    "error 2.",
    publish="resolves; the page loses its connection",
    parameters=(Parameter("after", 1.0, "seconds from the first session"),),
    live=True,
)
