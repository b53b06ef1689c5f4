"""Clears up after a dead node: its sessions get their ends, its names are free."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from smproxy.cluster.judgement import is_over
from smproxy.cluster.records import Bucket, NodeLife, NodeRecord, NodeState, encode, owner_of
from smproxy.cluster.requests import Create, ListKeys, Read, RegistryEntry, Remove, Steps, Written
from smproxy.cluster.standing import Standing


class Reaper:
    """Clears up after one life of a node at a time."""

    def __init__(self, standing: Standing, life: Callable[[], NodeLife | None]) -> None:
        self._standing = standing
        self._life = life

    def take(self, dead: NodeLife) -> Steps[bool]:
        """Take the task of clearing up after a life; False when it is not over, or taken.

        The task is an entry that expires: if this node dies, too, another takes it over.
        """
        me = self._life()
        over = yield from is_over(dead, self._standing)
        if over is not True or me is None:
            return False
        task = encode(NodeRecord(life=me, state=NodeState.SERVING))
        reply = yield Create(Bucket.NODES, f"reap.{dead.node}.{dead.incarnation}", task)
        return isinstance(reply, Written) and self._standing.may_judge() and self._life() == me

    def left_over(self, alive: Iterable[NodeLife]) -> Steps[set[NodeLife]]:
        """List the lives that have sessions in the registry and are not among those that are alive."""
        keys = yield ListKeys(Bucket.SESSIONS)
        return {owner_of(key) for key in keys} - set(alive) if isinstance(keys, tuple) else set()

    def keys_of(self, dead: NodeLife) -> Steps[list[str]]:
        """List the keys of the sessions of one life."""
        keys = yield ListKeys(Bucket.SESSIONS)
        return [key for key in keys if owner_of(key) == dead] if isinstance(keys, tuple) else []

    def read(self, key: str) -> Steps[RegistryEntry | None]:
        """Read the entry of a session.

        ``None`` when it is gone, or this node may not clear up any more.
        """
        found = yield Read(Bucket.SESSIONS, key)
        return found if isinstance(found, RegistryEntry) and self._standing.may_judge() else None

    def forget(self, bucket: Bucket, key: str, revision: int) -> Steps[bool]:
        """Remove an entry that has been cleared up."""
        reply = yield Remove(bucket, key, revision)
        return isinstance(reply, Written)
