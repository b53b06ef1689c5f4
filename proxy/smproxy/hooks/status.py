"""What is told of deliveries: how a sink is doing, what became of one event, and what was given up."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.journal.types import AttemptRecord, State


class SinkStatus(msgspec.Struct, frozen=True, rename="camel"):
    """How one sink is doing, counted from the start of the process.

    ``dropped`` events were refused for want of room or of the sink (with a journal there are none); ``dead`` ones were given
    up; ``skipped`` have no place in its format. ``backlog``: not settled yet, in memory and in the journal; ``retrying``:
    sessions that wait for their next attempt. ``oldest``: seconds since the oldest event in memory happened. ``outcomes``:
    attempts by what came of them. ``latency_sum`` and ``latency_count``: seconds from the event to its delivery.
    """

    name: str
    backlog: int
    delivered: int
    attempts: int
    dropped: int
    dead: int
    disabled: bool
    last_error: str | None
    skipped: int = 0
    retrying: int = 0
    oldest: float | None = None
    outcomes: dict[str, int] = {}
    latency_sum: float = 0.0
    latency_count: int = 0


@dataclass(frozen=True, slots=True)
class News:
    """What became of one delivery: its state from now on, and the attempt that was made, if one was."""

    sink: str
    event: EncodedEvent
    state: State
    attempt: AttemptRecord | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a sink was not able to deliver. ``at``: Unix time in milliseconds."""

    sink: str
    event: EncodedEvent
    why: str
    attempts: int
    at: int
