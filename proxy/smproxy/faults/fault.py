"""One fault that is switched on: which connections it matches, and how often it was used."""

from __future__ import annotations

import math
import random
from typing import Protocol

from smproxy.faults.kind import FaultKind
from smproxy.faults.match import Match, Subject
from smproxy.faults.parameter import Values


class OwningRegistry(Protocol):
    """The registry that a fault is in."""

    def now(self) -> float:
        """Return the monotonic time, in seconds."""

    def forget(self, fault: Fault) -> None:
        """Remove a fault."""

    def note(self, fault: Fault, session: int | None, subject: Subject, detail: str) -> None:
        """Log that a fault has acted."""


class Fault:
    """A fault that is, or was, switched on."""

    def __init__(
        self,
        registry: OwningRegistry,
        id: str,
        kind: type[FaultKind],
        parameters: Values,
        match: Match,
        *,
        count: int | None,
        probability: float,
        seed: int,
        ttl: float | None,
        session: int | None,
        now: float,
    ) -> None:
        self.id = id
        self.kind = kind
        self.parameters = dict(parameters)
        self.match = match
        #: How often it may be used; ``None`` for ever.
        self.count = count
        self.probability = probability
        self.seed = seed
        self.ttl = ttl
        #: The only session that it is for, of a fault that its connection asked for.
        self.session = session
        #: How often it has acted.
        self.injected = 0
        #: How often it was used: a session may end before it comes to that.
        self.used = 0
        self._registry = registry
        self._ends = math.inf if ttl is None else now + ttl
        self._removed = False
        self._rng = random.Random(f"{seed}/use")  # noqa: S311 - to be repeated

    def __repr__(self) -> str:
        return f"<Fault {self.id} {self.name} injected={self.injected}{'' if self.active else ' over'}>"

    @property
    def name(self) -> str:
        """The name of its kind."""
        return self.kind.name

    @property
    def active(self) -> bool:
        """Whether it is still used: not removed, its time not over, its count not used up."""
        return not self.over and (self.count is None or self.used < self.count)

    @property
    def over(self) -> bool:
        """Whether it was removed or has expired.

        Then its effects on connections that it was used on end, too.
        """
        return self._removed or self._registry.now() >= self._ends

    @property
    def left(self) -> float | None:
        """Seconds until it expires; ``None`` when it does not."""
        return None if self.ttl is None else max(0.0, self._ends - self._registry.now())

    def remove(self) -> None:
        """Switch it off. Does nothing when it is off."""
        self._registry.forget(self)
        self._removed = True

    def wants(self, subject: Subject, session: int | None) -> bool:
        """Decide by match, count and probability whether it is used on a connection; count that use."""
        if not self.active or not self.is_for(subject, session):
            return False
        return self.draw()

    def is_for(self, subject: Subject, session: int | None) -> bool:
        """Return whether a connection is meant."""
        return self.match.matches(subject) if self.session is None else self.session == session

    def draw(self) -> bool:
        """Decide by count and probability whether it is used now, and count that use."""
        if not self.active or (self.probability < 1 and self._rng.random() >= self.probability):
            return False
        self.used += 1
        return True

    def rng(self) -> random.Random:
        """Return the random numbers of its latest use."""
        return random.Random(f"{self.seed}/{self.used}")  # noqa: S311 - to be repeated

    def behaviour(self) -> FaultKind:
        """Make what it does on its latest use."""
        return self.kind(self.parameters, self.rng())

    def acted(self, session: int | None, subject: Subject, detail: str = "") -> None:
        """Note that it has acted."""
        self.injected += 1
        self._registry.note(self, session, subject, detail)
