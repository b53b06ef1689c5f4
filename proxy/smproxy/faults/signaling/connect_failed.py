"""``connect-failed``: no origin can be reached."""

from smproxy.faults.admission_fault import AdmissionFault, FailedConnection
from smproxy.faults.kind import Layer
from smproxy.faults.parameter import Parameter, close_code
from smproxy.signaling import messages


class ConnectFailed(AdmissionFault):
    """Refuse the connection once it has an origin."""

    name = "connect-failed"
    layer = Layer.SIGNALING
    effect = (
        "The upgrade is accepted, then refused with `NetConnection.Connect.Failed` and a Close frame; no origin is "
        "dialled. Hooks: `connecting`, `connect_error`, error 2."
    )
    whip = "POST is answered 502"
    publish = "rejects with `NetConnection.Connect.Failed`"

    code = close_code(1014)
    reason = Parameter("failed by a fault", "reason in the Close frame")

    def refuse(self) -> FailedConnection:
        """Refuse it in place of the dial."""
        return FailedConnection(messages.connect_error(messages.CONNECT_FAILED), self.code, self.reason)
