"""``origin-unreachable``: the origin cannot be dialled."""

from smproxy.faults.admission_fault import AdmissionFault, FailedDial
from smproxy.faults.kind import Layer
from smproxy.faults.parameter import Parameter


class OriginUnreachable(AdmissionFault):
    """Have the dial fail."""

    name = "origin-unreachable"
    layer = Layer.ORIGIN
    effect = (
        "The dial to the origin fails: `NetConnection.Connect.Failed`, close code 1014. Hooks: `connecting`, "
        "`connect_error`, error 2."
    )
    whip = "POST is answered 502"
    publish = "rejects with `NetConnection.Connect.Failed`"

    after = Parameter(0.0, "seconds that the dial takes to fail", most=60)

    def refuse(self) -> FailedDial:
        """Refuse it when the dial has failed."""
        return FailedDial(self.after)
