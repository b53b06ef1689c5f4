"""A node's own entry in the registry: joined, renewed, lost, joined again."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import msgspec

from smproxy.cluster.fencing import Standing
from smproxy.cluster.records import Bucket, NodeLife, NodeRecord, NodeState, death_key, encode, read_node
from smproxy.cluster.requests import MISSING, Create, Pause, Read, RegistryEntry, Steps, Update, Written
from smproxy.cluster.timing import Timing


class Registration:
    """Keeps one node registered.

    ``new_record`` makes the record of a new life, ``record`` gives the current one with its load. ``on_joined`` is called with
    each new life, ``on_fenced`` when it is over.
    """

    def __init__(
        self,
        node: str,
        standing: Standing,
        timing: Timing,
        *,
        monotonic: Callable[[], float],
        new_incarnation: Callable[[], str],
        record: Callable[[NodeLife], NodeRecord],
        on_joined: Callable[[NodeLife], None],
        on_fenced: Callable[[], None],
        on_regained: Callable[[], None],
    ) -> None:
        self._node = node
        self._standing = standing
        self._timing = timing
        self._monotonic = monotonic
        self._new_incarnation = new_incarnation
        self._record = record
        self._on_joined = on_joined
        self._on_fenced = on_fenced
        self._on_regained = on_regained
        self._revision = 0
        #: The current life, or none while the node is not joined.
        self.life: NodeLife | None = None

    def keep(self) -> Steps[NoReturn]:
        """Join, and renew the lease for as long as it is held; then join again."""
        while True:
            yield from self._join()
            yield from self._renew()
            self.check()

    def check(self) -> None:
        """Note the end of this life, if it has come; call it often, and before each act."""
        if self.life is not None and not self._standing.acts():
            self.life = None
            self._on_fenced()

    def leave(self) -> Steps[None]:
        """Write that the node has left: its sessions are over, and its names free."""
        life, self.life = self.life, None
        self._standing.fence()
        revision = self._revision
        while life is not None:
            left = msgspec.structs.replace(self._record(life), state=NodeState.LEFT)
            reply = yield Update(Bucket.NODES, self._node, encode(left), revision)
            if isinstance(reply, Written):
                return
            found = yield Read(Bucket.NODES, self._node)  # a renewal may have been on its way
            if isinstance(found, RegistryEntry):
                record = read_node(found.value)
                if record.life != life or not record.state.alive:
                    return
                revision = found.revision
            elif found is MISSING:
                return
            yield Pause(self._timing.retry)

    def _value(self, life: NodeLife) -> bytes:
        return encode(self._record(life))

    def _join(self) -> Steps[None]:
        life = NodeLife(self._node, self._new_incarnation())
        revision = 0
        while True:
            value = self._value(life)
            if revision:
                reply = yield Update(Bucket.NODES, self._node, value, revision)
            else:
                reply = yield Create(Bucket.NODES, self._node, value)
            if isinstance(reply, Written):
                self._begin(life, reply.revision, reply.sent)
                return
            found = yield Read(Bucket.NODES, self._node)
            revision = 0
            if isinstance(found, RegistryEntry):
                record = read_node(found.value)
                # Of this life: stored, though the answer was lost; when, nobody knows, so that it is renewed.
                if record.life == life or not record.state.alive:
                    revision = found.revision
            # Another life of this node is there: it must expire first, as it may live.
            yield Pause(self._timing.retry)

    def _begin(self, life: NodeLife, revision: int, sent: float) -> None:
        self._revision = revision
        self._standing.begin(sent)
        if self._standing.acts():
            self.life = life
            self._on_joined(life)

    def _renew(self) -> Steps[None]:
        life, pause = self.life, self._timing.renew
        while life is not None and self.life == life:
            yield Pause(pause)
            pause = self._timing.renew
            self.check()
            if self.life != life:
                return
            had = True
            reply = yield Update(Bucket.NODES, self._node, self._value(life), self._revision)
            if not isinstance(reply, Written):
                found = yield Read(Bucket.NODES, self._node)
                pause = self._timing.retry
                if isinstance(found, RegistryEntry):
                    record = read_node(found.value)
                    if record.life != life or record.state is NodeState.DEAD:
                        self._standing.fence()
                        return
                    self._revision = found.revision
                    continue
                self.check()
                if found is not MISSING or self.life != life:
                    continue
                death = yield Read(Bucket.SESSIONS, death_key(life))
                if isinstance(death, RegistryEntry):  # by a node that this one did not know, while it was cut off
                    self._standing.fence()
                    return
                self.check()
                if death is not MISSING or self.life != life:
                    continue
                # It has expired while no node had the registry, or the registry was emptied: the same life goes on.
                had = False
                reply = yield Create(Bucket.NODES, self._node, self._value(life))
                if not isinstance(reply, Written):
                    continue
            had = had and self._standing.has_registry()
            self._revision = reply.revision
            self._standing.renewed(reply.sent)
            # From one request to the next, so that slow answers do not add to it.
            pause = max(self._timing.retry / 10, self._timing.renew - (self._monotonic() - reply.sent))
            if not had and self._standing.has_registry():
                self._on_regained()
