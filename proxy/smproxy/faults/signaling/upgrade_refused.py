"""``upgrade-refused``: an HTTP error in place of the WebSocket."""

from smproxy.faults.admission_fault import AdmissionFault, HttpError
from smproxy.faults.kind import Layer
from smproxy.faults.parameter import Parameter


class UpgradeRefused(AdmissionFault):
    """Refuse the connection as a balancer in front of the proxy does."""

    name = "upgrade-refused"
    layer = Layer.SIGNALING
    effect = "The upgrade is answered with an HTTP error, as by a balancer in front. No hooks."
    whip = "POST is answered with this status"
    publish = "rejects with an event of type `error`"

    status = Parameter(503, "HTTP status", 400, 599)

    def refuse(self) -> HttpError:
        """Refuse it without a session."""
        return HttpError(self.status)
