"""The names of streams that an origin shares with those of other nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from smproxy.signaling.payloads import ConnectError


class SharedNames(Protocol):
    """Claims on names that hold on every node of a cluster."""

    def taken(self, scope: str, name: str) -> bool:
        """Return whether another node seems to have a name."""

    async def claim(self, scope: str, name: str, lost: Callable[[], None]) -> int | ConnectError:
        """Take a name; return its epoch, or why it cannot be had.

        ``lost`` is called when it is lost to another node.
        """

    async def look(self, scope: str, name: str) -> None:
        """Learn whose a name is, if another node seems to have it."""

    async def freed(self, scope: str, name: str) -> None:
        """Return once a name that was given back is free on every node, or that takes too long."""

    def release(self, scope: str, name: str) -> None:
        """Give an own name back; of one that is not own nothing happens."""
