"""What the commands need of an instance's answers, beside the views of the control API."""

from __future__ import annotations

from typing import Any

import msgspec


class TimelineLine(msgspec.Struct, rename={"by": "from"}):
    """One line of a session's timeline; ``at`` in Unix milliseconds."""

    at: int
    kind: str
    by: str
    to: str
    title: str
    detail: str


class TimelineLines(msgspec.Struct):
    """The timeline of a session."""

    entries: list[TimelineLine]


class Resent(msgspec.Struct):
    """How many deliveries will be made again."""

    resent: int


class Triggered(msgspec.Struct):
    """An event that was made up."""

    uuid: str


class FaultAnswer(msgspec.Struct):
    """What is needed of a fault in an answer."""

    id: str
    fault: str
    parameters: dict[str, Any]
    match: dict[str, str | None]
    active: bool
    used: int
    injected: int
    left: float | None = None


class FaultsAnswer(msgspec.Struct):
    """The faults that are on."""

    faults: list[FaultAnswer]


class ParameterAnswer(msgspec.Struct):
    """One parameter of a fault."""

    name: str
    default: bool | int | float | str


class KindAnswer(msgspec.Struct):
    """What is needed of a kind of fault."""

    fault: str
    layer: str
    parameters: list[ParameterAnswer]


class KindsAnswer(msgspec.Struct):
    """The faults that there are."""

    kinds: list[KindAnswer]


class RemovedAnswer(msgspec.Struct):
    """How many were switched off."""

    removed: int


class ResetAnswer(msgspec.Struct, rename="camel"):
    """What a reset has ended and forgotten."""

    sessions: int
    hooks: int
    faults: int
    clients: int
    sinks: int
    complete: bool
    took_ms: int
