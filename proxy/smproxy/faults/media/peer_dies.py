"""``peer-dies``: the media connection ends at the origin's side."""

from smproxy.faults.kind import FaultKind, Parameter, Room

FAULT = FaultKind(
    name="peer-dies",
    room=Room.MEDIA,
    effect="The origin's peer connection ends some time after it came up; the socket stays for 5 s. Hook: "
    "`disconnected`, reason 4.",
    publish="resolves; the page loses its data channel (`WebRTC.DataChannel.Close`), or its socket",
    parameters=(Parameter("after", 1.0, "seconds from the transport being up"),),
    live=True,
)
