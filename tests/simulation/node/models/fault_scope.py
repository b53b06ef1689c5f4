"""Faults touch only what they match."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass

from smproxy.faults.fault_registry import Injection

from tests.simulation.node.models.violation import broken


@dataclass(frozen=True, slots=True)
class Switched:
    """A fault that was switched on: which ids and which customer scope it is for."""

    id: str | None
    customer_scope: str | None

    def is_for(self, id: str | None, customer_scope: str | None) -> bool:
        """Return whether a connection is meant."""
        wanted = self.id is None or (id is not None and fnmatch.fnmatchcase(id, self.id))
        return wanted and (self.customer_scope is None or self.customer_scope == customer_scope)


class FaultScopeModel:
    """All faults that were on."""

    def __init__(self) -> None:
        self._known: dict[str, Switched] = {}
        self._on: set[str] = set()

    def switched_on(self, fault: str, what: Switched) -> None:
        """Take that a fault is on."""
        self._known[fault] = what
        self._on.add(fault)

    def switched_off(self) -> None:
        """Take that all are off."""
        self._on.clear()

    def touches(self, id: str | None, customer_scope: str | None) -> bool:
        """Return whether any fault that is on is for a connection."""
        return any(self._known[fault].is_for(id, customer_scope) for fault in self._on)

    def check(self, log: Iterable[Injection]) -> None:
        """Check what the product says that faults have done."""
        for entry in log:
            if not self._known[entry.id].is_for(entry.connection_id, entry.customer_scope):
                broken("faults", f"{entry.fault} acted on {entry.connection_id} of {entry.customer_scope}")
