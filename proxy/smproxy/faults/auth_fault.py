"""Faults of authentication: decide on a client in place of the scheme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from smproxy.faults.kind import FaultKind


@dataclass(frozen=True, slots=True)
class AuthOutcome:
    """A verdict in place of the scheme's, after so many seconds.

    ``close_after``: a client that is let in is thrown out so many seconds later, for ``reason``.
    """

    result: Literal["allowed", "denied", "failed"]
    reason: str
    after: float = 0.0
    close_after: float | None = None


class AuthFault(FaultKind):
    """A fault that decides on a client, whether or not there is an authentication scheme."""

    def decide(self) -> AuthOutcome:
        """Return the outcome for the client."""
        raise NotImplementedError
