"""``origin-full``: no origin has room."""

from smproxy.faults.admission_fault import AdmissionFault, RejectedConnection
from smproxy.faults.kind import Layer
from smproxy.faults.parameter import Parameter
from smproxy.signaling import messages

#: Registered with IANA as the close code of a server that has no room now.
TRY_AGAIN_LATER = 1013


class OriginFull(AdmissionFault):
    """Refuse the connection as when every origin is full."""

    name = "origin-full"
    layer = Layer.ORIGIN
    effect = (
        "The connection is refused as when no origin has capacity: `NetConnection.Connect.Rejected`, close code "
        "1013. Hook: `connect_error`, error 3."
    )
    whip = "POST is answered 503 with `Retry-After`"
    publish = "rejects with `NetConnection.Connect.Rejected`"

    reason = Parameter("no origin has capacity", "reason in the Close frame")

    def refuse(self) -> RejectedConnection:
        """Refuse it before it has an origin."""
        return RejectedConnection(messages.connect_status(messages.CONNECT_REJECTED), TRY_AGAIN_LATER, self.reason, 503)
