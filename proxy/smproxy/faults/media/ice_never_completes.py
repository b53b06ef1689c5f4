"""``ice-never-completes``: no media connection comes about."""

from smproxy.faults.kind import FaultKind, Room

FAULT = FaultKind(
    name="ice-never-completes",
    room=Room.MEDIA,
    effect="The origin takes the offer and answers no STUN check. It gives up after 15 s with an error. Hook: "
    "`connect_error`, error 1.",
    publish="resolves: the start of a stream does not wait for its media connection",
)
