"""The simulated nodes by their names, for tests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from smproxy.manager.node_provider import NodeAction
from smproxy.manager.origin_registry import Node, OriginRegistry
from smproxy.manager.service_state import ServiceState
from smproxy.nodes.fleet import NodeFleet


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node at one moment."""

    id: str
    address: str
    region: str
    role: str
    state: ServiceState
    sessions: int


class NodeNames:
    """Lists nodes and changes them. Nodes are named by ``id`` (``node2``) or address.

    What cannot be done raises ``ValueError``.
    """

    def __init__(self, registry: OriginRegistry, fleet: NodeFleet) -> None:
        self._registry = registry
        self._fleet = fleet

    def list(self) -> list[NodeStatus]:
        """Return the nodes, the oldest first."""
        return [_status(node) for node in self._registry.nodes]

    def get(self, id: str) -> NodeStatus:
        """Return one node, also one that has terminated."""
        return _status(self._find(id))

    def add(self, *, region: str | None = None, role: str = "origin", start: float | None = None) -> str:
        """Add a node, which is in service after ``start`` seconds; return its id."""
        return self._fleet.add(region=region, role=role, start=start).id

    def drain(self, id: str) -> None:
        """Have a node take no new clients."""
        self._fleet.act(self._find(id), NodeAction.DRAIN)

    def undrain(self, id: str) -> None:
        """Have a node take clients again, also one that was to be taken out."""
        self._fleet.act(self._find(id), NodeAction.UNDRAIN)

    def sunset(self, id: str, within: float | None = None) -> None:
        """Take a node out: it ends with its last session, or ``within`` so many seconds."""
        self._fleet.act(self._find(id), NodeAction.SUNSET, within)

    def fault(self, id: str, noticed_after: float | None = None) -> None:
        """Lose a node with all its sessions; for so many seconds it still counts as in service."""
        self._fleet.act(self._find(id), NodeAction.FAULT, noticed_after)

    def recover(self, id: str) -> None:
        """Start a lost node again."""
        self._fleet.act(self._find(id), NodeAction.RECOVER)

    async def wait(self, id: str, state: str, timeout: float = 10.0) -> None:
        """Wait until a node is in this state.

        Raises:
            TimeoutError: it is not in time.
        """
        node, wanted = self._find(id), ServiceState(state.upper())
        try:
            async with asyncio.timeout(timeout):
                await self._fleet.reached(node.id, wanted)
        except TimeoutError:
            raise TimeoutError(f"{node.id} is {node.state} after {timeout:g} s, not {wanted}") from None

    def _find(self, id: str) -> Node:
        nodes = [*self._registry.nodes, *self._fleet.ended]
        found = next((node for node in nodes if id in (node.id, node.address)), None)
        if found is None:
            raise ValueError(f"there is no node {id!r}: those are {', '.join(node.id for node in nodes)}")
        return found


def _status(node: Node) -> NodeStatus:
    return NodeStatus(node.id, node.address, node.region, node.role, node.state, node.sessions)
