"""A fault as it is written in options and files: ``NAME[:KEY=VALUE…]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from smproxy.faults.catalog import find, split
from smproxy.faults.fault_registry import FaultRegistry
from smproxy.faults.parameter import AnyParameter, FaultError, Parameter, Values

#: What chooses the connections.
_MATCH = {"id": "id", "customerScope": "customer_scope", "role": "role", "app": "app"}
#: How often, how long, and with which random numbers.
_LIMITS: Mapping[str, AnyParameter] = {
    "count": Parameter(1, "", 1, 10**9, name="count"),
    "probability": Parameter(1.0, "", most=1, name="probability"),
    "seed": Parameter(0, "", most=2**53, name="seed"),
    "ttl": Parameter(1.0, "", most=10**9, name="ttl"),
}


@dataclass(frozen=True, slots=True)
class WrittenFault:
    """One fault: its name and parameters, the connections that it is for, and its limits."""

    fault: str
    parameters: Values
    match: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the body with which the API is asked for it."""
        return {"fault": self.fault, "parameters": dict(self.parameters), "match": dict(self.match), **self.limits}

    def switch_on(self, registry: FaultRegistry) -> None:
        """Switch it on.

        Raises:
            FaultError: there are too many.
        """
        match: dict[str, Any] = {_MATCH[name]: value for name, value in self.match.items()}
        registry.switch_on(self.fault, self.parameters, **match, **self.limits)


def read_fault(text: str) -> WrittenFault:
    """Read one fault: ``close:stage=publish:code=4000:id=cam-*:count=3``.

    Beside its own parameters there are ``id``, ``customerScope``, ``role``, ``app``, ``count``, ``probability``, ``seed`` and
    ``ttl``.

    Raises:
        FaultError: a name, a parameter or a value is not known.
    """
    name, given = split(text)
    match = {key: given.pop(key) for key in tuple(given) if key in _MATCH}
    limits = {key: _LIMITS[key].read(given.pop(key)) for key in tuple(given) if key in _LIMITS}
    if match.get("role", "publisher") not in ("publisher", "subscriber"):
        raise FaultError(f"{name}: role={match['role'][:100]!r} is neither publisher nor subscriber")
    return WrittenFault(name, find(name).read(given), match, limits)
