"""``node-sunset``: a simulated node is taken out while it has sessions."""

from smproxy.faults.origin_fault import OriginFault
from smproxy.faults.parameter import Parameter


class NodeSunset(OriginFault):
    """Take the node of a session out of service."""

    name = "node-sunset"
    effect = (
        "Some time after the first session that it is for, its node (`--nodes`) is in `SOFT_SUNSET`: new clients go "
        "elsewhere, and sessions that are left after `within` are ended. Hooks: `disconnected`, reason 2."
    )
    publish = "resolves; the page is told that its stream has ended"

    after = Parameter(1.0, "seconds from the first session")
    within = Parameter(10.0, "seconds until what is left is ended")

    def first_session(self) -> None:
        """Wait, then take the node out."""
        self.origin.later(self.after, lambda: self.origin.change_node("sunset", self.within))
