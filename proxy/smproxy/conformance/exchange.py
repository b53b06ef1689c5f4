"""An HTTP exchange of a check with a server, and the two ways a check ends early."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Protocol: TypeAlias = Literal["whip", "whep"]
BOTH: frozenset[Protocol] = frozenset({"whip", "whep"})
WHIP: frozenset[Protocol] = frozenset({"whip"})
WHEP: frozenset[Protocol] = frozenset({"whep"})


class Violated(Exception):
    """The server does not meet the requirement; the text says what it did instead."""


class NotJudged(Exception):
    """Nothing can be said about the requirement; the text says why."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP request and its answer, without tokens.

    ``status`` is 0 and ``problem`` is set when no answer came.
    """

    method: str
    url: str
    request_headers: dict[str, str]
    request_body: str
    status: int = 0
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    problem: str = ""
