"""What the commands need of an instance's answers, beside the views of the control API."""

from __future__ import annotations

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
