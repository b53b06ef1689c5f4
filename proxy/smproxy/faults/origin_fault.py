"""Faults of a whole origin, carried out by the manager on the origin's sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from smproxy.faults.kind import FaultKind, Layer


class FaultyOrigin(Protocol):
    """An origin with the sessions that a fault is for, as the fault acts on it."""

    def lose_sessions(self) -> None:
        """Lose sockets and media of these sessions at once.

        The next session begins another use of the fault.
        """

    def change_node(self, action: str, seconds: float) -> None:
        """Change the simulated node: `fault`, unnoticed so long, or `sunset`, over after so long."""

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something later, unless the simulator has stopped by then."""


class OriginFault(FaultKind):
    """What one fault does to one origin."""

    layer = Layer.ORIGIN
    live = True
    origin: FaultyOrigin

    def first_session(self) -> None:
        """The first session that matches has begun, or was there when the fault was switched on."""
