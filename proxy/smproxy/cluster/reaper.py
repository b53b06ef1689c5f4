"""Clears up after a dead node: its sessions get their ends, its names are free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from smproxy.cluster.claims import Claims
from smproxy.cluster.directory import Directory
from smproxy.cluster.failure_detector import is_over
from smproxy.cluster.fencing import Standing
from smproxy.cluster.records import (
    Bucket,
    NodeLife,
    NodeRecord,
    NodeState,
    Unfinished,
    death_key,
    encode,
    is_death,
    owner_of,
    read_claim,
)
from smproxy.cluster.requests import NO_ANSWER, Create, ListKeys, Read, RegistryEntry, Remove, Steps, WriteEnds, Written
from smproxy.cluster.snapshots import Snapshots
from smproxy.cluster.timing import Timing


@dataclass(frozen=True, slots=True)
class ClearedUp:
    """What a dead node had left."""

    life: NodeLife
    sessions: int
    names: int


class Reaper:
    """Looks for what dead nodes have left, and for what this node does not want any more.

    ``on_over`` is called with the entry of a node whose life is over, before anything of it is ended.
    """

    def __init__(
        self,
        standing: Standing,
        directory: Directory,
        claims: Claims,
        snapshots: Snapshots,
        timing: Timing,
        *,
        monotonic: Callable[[], float],
        life: Callable[[], NodeLife | None],
        on_over: Callable[[NodeRecord], None],
    ) -> None:
        self._timing = timing
        self._monotonic = monotonic
        #: When a death was first seen.
        self._deaths: dict[str, float] = {}
        self._standing = standing
        self._directory = directory
        self._claims = claims
        self._snapshots = snapshots
        self._life = life
        self._on_over = on_over

    def scan(self) -> Steps[list[ClearedUp]]:
        """Clear up once; return the lives of other nodes that were cleared up after."""
        me = self._life()
        if me is None or not self._standing.may_judge():
            return []
        listed = yield ListKeys(Bucket.SESSIONS)
        every = listed if isinstance(listed, tuple) else ()
        keys = tuple(key for key in every if not is_death(key))
        alive = {record.life for record in self._directory.nodes()} | {me}
        left_over = {owner_of(key) for key in keys} | self._directory.owners_missing()
        done = []
        for dead in sorted(left_over - alive):
            cleared_up = yield from self._clear_up(dead, [key for key in keys if owner_of(key) == dead])
            if cleared_up is not None:
                done.append(cleared_up)
        yield from self._remove_strays(me, keys)
        yield from self._forget_deaths(me, {key for key in every if is_death(key)})
        return done

    def _clear_up(self, dead: NodeLife, listed: list[str]) -> Steps[ClearedUp | None]:
        names = [(key, revision) for key, record, revision in self._directory.claims() if record.owner == dead]
        if not (listed or names) or not (yield from self._take(dead)):
            return None
        # Again, now that the life is known to be over: its last session may have come since.
        found = yield ListKeys(Bucket.SESSIONS)
        keys = [key for key in found if owner_of(key) == dead] if isinstance(found, tuple) else listed
        keys = [key for key in keys if not is_death(key)]
        # The mark in its place expires: should it come back later, this one tells it.
        if keys and (yield Create(Bucket.SESSIONS, death_key(dead), b"{}")) is NO_ANSWER:
            return None
        for key in keys:
            entry = yield Read(Bucket.SESSIONS, key)
            if isinstance(entry, RegistryEntry) and self._standing.may_judge():
                yield WriteEnds(msgspec.json.decode(entry.value, type=Unfinished))
                yield Remove(Bucket.SESSIONS, key, entry.revision)
        for key, revision in names:
            yield Remove(Bucket.STREAMS, key, revision)
        return ClearedUp(dead, len(keys), len(names))

    def _take(self, dead: NodeLife) -> Steps[bool]:
        """Take the task of clearing up after a life; False when it is not over, or taken.

        The task is an entry that expires: if this node dies, too, another takes it over.
        """
        me = self._life()
        over = yield from is_over(dead, self._standing, self._on_over)
        if over is not True or me is None:
            return False
        task = encode(NodeRecord(life=me, state=NodeState.SERVING))
        reply = yield Create(Bucket.NODES, f"reap.{dead.node}.{dead.incarnation}", task)
        return isinstance(reply, Written) and self._standing.may_judge() and self._life() == me

    def _forget_deaths(self, me: NodeLife, deaths: set[str]) -> Steps[None]:
        """Forget the deaths of this node's earlier lives, and the old ones of others."""
        now = self._monotonic()
        self._deaths = {key: self._deaths.get(key, now) for key in deaths}
        for key, since in list(self._deaths.items()):
            if (owner_of(key).node == me.node and owner_of(key) != me) or now - since > self._timing.remember:
                entry = yield Read(Bucket.SESSIONS, key)
                if isinstance(entry, RegistryEntry):
                    yield Remove(Bucket.SESSIONS, key, entry.revision)

    def _remove_strays(self, me: NodeLife, keys: tuple[str, ...]) -> Steps[None]:
        """Remove what arrived in the registry after this node had given it up."""
        for key, record, revision in self._directory.claims():
            if self._claims.stray(record):
                yield Remove(Bucket.STREAMS, key, revision)
        for key in self._claims.late():  # of which a watch may have missed that it came
            entry = yield Read(Bucket.STREAMS, key)
            if isinstance(entry, RegistryEntry) and self._claims.stray(read_claim(entry.value)):
                yield Remove(Bucket.STREAMS, key, entry.revision)
        for key in keys:
            if owner_of(key) == me and not self._snapshots.knows(key):
                entry = yield Read(Bucket.SESSIONS, key)
                if isinstance(entry, RegistryEntry) and not self._snapshots.knows(key):
                    yield Remove(Bucket.SESSIONS, key, entry.revision)
