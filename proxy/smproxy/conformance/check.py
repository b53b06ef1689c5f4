"""What a requirement is, how it is checked, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from smproxy.conformance.exchange import BOTH, Exchange, Protocol
from smproxy.conformance.server import ServerUnderCheck


class RequirementLevel(StrEnum):
    """The strength of a requirement (RFC 2119).

    SHALL counts as MUST, RECOMMENDED as SHOULD.
    """

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Outcome(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    #: The server does not do what the requirement is about, or it does not show from outside.
    NOT_JUDGED = "not judged"


Body: TypeAlias = Callable[[ServerUnderCheck], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class Check:
    """One row: a requirement, where it stands, and the coroutine that checks it.

    The coroutine raises :exc:`Violated` or :exc:`NotJudged`; what it returns is a remark on having passed. ``media`` rows make
    a media connection.
    """

    row: str
    level: RequirementLevel
    title: str
    section: str
    run: Body
    protocols: frozenset[Protocol] = BOTH
    media: bool = False

    def reference(self, protocol: Protocol) -> str:
        """Name the document and the section that demands it."""
        if self.section.startswith("RFC"):
            return self.section
        if protocol == "whip":
            return f"RFC 9725, {self.section}"
        name = self.section.lstrip("0123456789. ")
        return f"WHEP draft, {name.replace('Ingest Session Setup', 'Playback session set up')}"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one check, with what was sent and what came."""

    check: Check
    outcome: Outcome
    detail: str
    exchanges: tuple[Exchange, ...]
    seconds: float
