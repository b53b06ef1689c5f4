"""``node-fault``: a simulated node is lost and out of service."""

from smproxy.faults.origin_fault import OriginFault
from smproxy.faults.parameter import Parameter


class NodeFault(OriginFault):
    """Lose the node of a session, with all its sessions."""

    name = "node-fault"
    effect = (
        "Some time after the first session that it is for, its node (`--nodes`) is lost with all sessions, whoever's they "
        "are, and takes no connections. When that is noticed its state is `FAULT` and new clients go elsewhere. Hooks: "
        "`disconnected`, reason 4."
    )
    publish = "resolves; the page loses its connection"

    after = Parameter(1.0, "seconds from the first session")
    unnoticed = Parameter(0.0, "seconds for which the manager still sends clients there (a real one: 60)")

    def first_session(self) -> None:
        """Wait, then lose the node."""
        self.origin.later(self.after, lambda: self.origin.change_node("fault", self.unnoticed))
