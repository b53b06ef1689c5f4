"""``connect-rejected``: the connection is refused by policy."""

from smproxy.faults.admission_fault import AdmissionFault, RejectedConnection
from smproxy.faults.kind import Layer
from smproxy.faults.parameter import Parameter, close_code
from smproxy.signaling import messages


class ConnectRejected(AdmissionFault):
    """Refuse the connection before it has an origin."""

    name = "connect-rejected"
    layer = Layer.SIGNALING
    effect = (
        "The upgrade is accepted, then refused with `NetConnection.Connect.Rejected` and a Close frame; no origin "
        "is dialled. Hook: `connect_error`, error 3."
    )
    whip = "POST is answered 403"
    publish = "rejects with `NetConnection.Connect.Rejected`"

    type = Parameter("status", "which of the two forms the message has", choices=("status", "error"))
    code = close_code(1008)
    reason = Parameter("rejected by a fault", "reason in the Close frame")

    def refuse(self) -> RejectedConnection:
        """Refuse it in one of the two forms that servers have."""
        write = messages.connect_error if self.type == "error" else messages.connect_status
        return RejectedConnection(write(messages.CONNECT_REJECTED), self.code, self.reason)
