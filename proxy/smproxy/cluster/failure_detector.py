"""Whether one life of a node is over, for certain."""

from __future__ import annotations

from smproxy.cluster.fencing import Standing
from smproxy.cluster.records import Bucket, NodeLife, NodeRecord, NodeState, encode, read_node
from smproxy.cluster.requests import CONFLICT, MISSING, Create, Read, RegistryEntry, Steps, Written


def is_over(owner: NodeLife, standing: Standing) -> Steps[bool | None]:
    """Find out whether a life of a node is over, and see to it when its entry has expired.

    A node whose entry has expired is declared dead with an entry in its place: it finds that when it comes back, and begins a
    new life. ``None``: it cannot be known now.
    """
    for _ in range(3):
        found = yield Read(Bucket.NODES, owner.node)
        if isinstance(found, RegistryEntry):
            record = read_node(found.value)
            if record.life == owner and record.state is not NodeState.DEAD:
                return record.state is NodeState.LEFT
            return True if standing.may_judge() else None
        if found is not MISSING or not standing.may_judge():
            return None
        mark = encode(NodeRecord(life=owner, state=NodeState.DEAD))
        reply = yield Create(Bucket.NODES, owner.node, mark)
        if isinstance(reply, Written):
            return True if standing.may_judge() else None
        if reply is not CONFLICT:
            return None
    return None
