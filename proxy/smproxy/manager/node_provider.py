"""What starts, changes and ends nodes, as the manager sees it."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from smproxy.manager.origin_registry import Node


class NodeAction(StrEnum):
    """What can be asked of a node."""

    #: Take no new clients, until ``UNDRAIN``.
    DRAIN = "drain"
    UNDRAIN = "undrain"
    #: Take no new clients, and end with the last session or when the time is up.
    SUNSET = "sunset"
    #: Be lost with all sessions; the seconds are how long nobody notices.
    FAULT = "fault"
    #: Start again after a fault.
    RECOVER = "recover"


class NodeActionError(ValueError):
    """What is asked of a node cannot be done, in its state or at all."""


class NodeProvider(Protocol):
    """Nodes that can be added and changed: simulated ones, or those of a cluster."""

    @property
    def ended(self) -> list[Node]:
        """The nodes that have terminated, the latest last."""

    def add(self, *, region: str | None = None, role: str = "origin", start: float | None = None) -> Node:
        """Add a node that is in service after ``start`` seconds.

        Raises:
            NodeActionError: there are as many as there can be, or this kind of nodes cannot be added.
        """

    def act(self, node: Node, action: NodeAction, seconds: float | None = None) -> None:
        """Change a node.

        Raises:
            NodeActionError: it cannot be changed so.
        """
