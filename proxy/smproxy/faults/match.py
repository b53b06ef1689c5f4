"""Which connections a fault is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Subject(Protocol):
    """A connection, as far as a fault is chosen by it."""

    @property
    def id(self) -> str | None:
        """The connection parameter ``id``."""

    @property
    def customer_scope(self) -> str | None:
        """The connection parameter ``customerScope``."""

    @property
    def role(self) -> str:
        """``publisher`` or ``subscriber``."""

    @property
    def app(self) -> str | None:
        """The application."""


@dataclass(frozen=True, slots=True)
class Match:
    """What a connection must have; ``None`` asks nothing. A ``*`` stands for any characters."""

    id: str | None = None
    customer_scope: str | None = None
    role: str | None = None
    app: str | None = None

    def matches(self, subject: Subject) -> bool:
        """Return whether a connection is meant."""
        return (
            _is(self.id, subject.id)
            and _is(self.customer_scope, subject.customer_scope)
            and (self.role is None or self.role == subject.role)
            and _is(self.app, subject.app)
        )


def _is(pattern: str | None, value: str | None) -> bool:
    if pattern is None or pattern == value:
        return True
    if value is None or "*" not in pattern:
        return False
    # Piece by piece and never back: a regular expression of many stars would hold up the event loop for hours.
    first, *middle, last = pattern.split("*")
    position, end = len(first), len(value) - len(last)
    if end < position or not (value.startswith(first) and value.endswith(last)):
        return False
    for piece in middle:
        found = value.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True
