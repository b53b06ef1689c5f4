"""How long things may take in a cluster."""

from __future__ import annotations

from dataclasses import dataclass

#: Seconds that a node's entry lives without being renewed.
DEFAULT_TTL = 9.0


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of a cluster, in seconds; every node must have the same.

    The registry deletes a node's entry ``ttl`` after it *received* the last renewal. The node counts from the moment at which
    it *sent* that renewal, and stops ``margin`` earlier, so that it always stops first. A registry that has not answered for
    ``contact`` counts as lost. ``witness`` is how long a peer's answer counts, ``ask`` the interval of the questions, and
    ``grace`` how long a node must have had the registry before it declares another dead: it must be longer than ``witness`` and
    ``ask`` together. ``claim`` is how long a publisher waits for its name, ``answer`` how long a request for its reply.
    ``remember`` is how long the death of a node is kept in the registry, for the case that it comes back.
    """

    ttl: float = DEFAULT_TTL
    renew: float = 2.0
    margin: float = 0.5
    contact: float = 4.75
    witness: float = 1.5
    ask: float = 0.5
    grace: float = 5.0
    retry: float = 0.25
    claim: float = 6.0
    answer: float = 5.0
    scan: float = 0.5
    remember: float = 3600.0

    @property
    def patience(self) -> float:
        """How long a node has the registry back before it says so.

        It judges when all that it said before is void.
        """
        return self.grace - self.witness - 2 * self.ask

    @classmethod
    def of_ttl(cls, ttl: float) -> Timing:
        """Return the default times, scaled to another ``ttl``."""
        scale = ttl / DEFAULT_TTL
        base = cls()
        return cls(*(getattr(base, name) * scale for name in cls.__slots__))
