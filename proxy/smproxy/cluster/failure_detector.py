"""Whether one life of a node is over, for certain."""

from __future__ import annotations

from collections.abc import Callable

from smproxy.cluster.fencing import Standing
from smproxy.cluster.records import Bucket, NodeLife, NodeRecord, NodeState, encode, read_node
from smproxy.cluster.requests import CONFLICT, MISSING, Create, Read, RegistryEntry, Steps, Written


def is_over(owner: NodeLife, standing: Standing, on_over: Callable[[NodeRecord], None]) -> Steps[bool | None]:
    """Find out whether a life of a node is over, and see to it when its entry has expired.

    A node whose entry has expired is declared dead with an entry in its place: it finds that when it comes back, and begins a
    new life. ``None``: it cannot be known now. ``on_over`` is called with the entry that shows the end: what this node keeps of
    the registry by watching may be behind.
    """
    for _ in range(3):
        found = yield Read(Bucket.NODES, owner.node)
        if isinstance(found, RegistryEntry):
            record = read_node(found.value)
            if record.life == owner and record.state.alive:
                return False
            has_left = record.life == owner and record.state is NodeState.LEFT
            if not (has_left or standing.may_judge()):
                return None
            on_over(record)
            return True
        if found is not MISSING or not standing.may_judge():
            return None
        mark = NodeRecord(life=owner, state=NodeState.DEAD)
        reply = yield Create(Bucket.NODES, owner.node, encode(mark))
        if reply is CONFLICT:
            continue
        if not isinstance(reply, Written) or not standing.may_judge():
            return None
        on_over(mark)
        return True
    return None
