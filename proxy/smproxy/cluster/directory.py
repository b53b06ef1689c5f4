"""The registry as this node sees it: nodes and owners of streams, kept by watching."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from smproxy.cluster.records import ClaimRecord, NodeLife, NodeRecord, NodeState, claim_key


@dataclass(slots=True)
class _Seen:
    record: NodeRecord
    at: float


class Directory:
    """Nodes and claims. It may be behind: it helps to choose, and decides nothing."""

    def __init__(self, ttl: float, monotonic: Callable[[], float]) -> None:
        self._ttl = ttl
        self._monotonic = monotonic
        self._nodes: dict[str, _Seen] = {}
        self._claims: dict[str, tuple[ClaimRecord, int]] = {}

    def node_seen(self, record: NodeRecord) -> None:
        """Take an entry of a node. One that says that it is dead has nothing else of it."""
        known = self._nodes.get(record.life.node)
        if record.state is NodeState.DEAD and known is not None and known.record.life == record.life:
            record = msgspec.structs.replace(known.record, state=NodeState.DEAD)
        self._nodes[record.life.node] = _Seen(record, self._monotonic())

    def keep_nodes(self) -> None:
        """Let no entry grow old now: without the registry none can be renewed."""
        now = self._monotonic()
        for seen in self._nodes.values():
            if seen.record.state.alive and now < seen.at + self._ttl:
                seen.at = now

    def claim_seen(self, key: str, record: ClaimRecord, revision: int) -> None:
        """Take an entry of a stream."""
        self._claims[key] = record, revision

    def claim_gone(self, key: str) -> None:
        """Note that a stream's entry was deleted."""
        self._claims.pop(key, None)

    def forget_claims(self, but: Iterable[str]) -> None:
        """Keep only these claims: a new watch has listed them."""
        kept = set(but)
        self._claims = {key: claim for key, claim in self._claims.items() if key in kept}

    def nodes(self) -> list[NodeRecord]:
        """Return the nodes that are alive, by name."""
        now = self._monotonic()
        alive = (seen.record for _, seen in sorted(self._nodes.items()) if now < seen.at + self._ttl)
        return [record for record in alive if record.state.alive]

    def known(self) -> list[NodeRecord]:
        """Return the nodes that are alive, and those that died of late: they may be back any time."""
        records = (seen.record for _, seen in sorted(self._nodes.items()))
        return [record for record in records if record.state is not NodeState.LEFT]

    def node(self, name: str) -> NodeRecord | None:
        """Return a node that is alive."""
        return next((record for record in self.nodes() if record.life.node == name), None)

    def owner(self, scope: str, name: str) -> NodeRecord | None:
        """Return the node that has a stream, if it is alive."""
        known = self._claims.get(claim_key(scope, name))
        node = known and self.node(known[0].owner.node)
        return node if known and node and node.life == known[0].owner else None

    def epoch(self, scope: str, name: str) -> int | None:
        """Return the epoch of a stream's owner."""
        known = self._claims.get(claim_key(scope, name))
        return known and known[1]

    def claims(self) -> list[tuple[str, ClaimRecord, int]]:
        """Return every claim with its key and revision."""
        return [(key, record, revision) for key, (record, revision) in self._claims.items()]

    def owners_missing(self) -> set[NodeLife]:
        """Return lives of nodes that seem to be over, of which entries or claims are left."""
        now, alive = self._monotonic(), {record.life for record in self.nodes()}
        missing = {record.owner for record, _ in self._claims.values()} - alive
        for name, seen in list(self._nodes.items()):
            if now >= seen.at + self._ttl or not seen.record.state.alive:
                missing.add(seen.record.life)
                if now >= seen.at + 10 * self._ttl:
                    del self._nodes[name]
        return missing
