"""What a sink is, and what can come of one attempt to deliver an event to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from smproxy.hooks.event import EncodedEvent


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver took the event."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The receiver may take the event later, not before ``after`` seconds if it said so."""

    after: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Dead:
    """The receiver will never take this event."""

    why: str


@dataclass(frozen=True, slots=True)
class Disabled:
    """The receiver will never take any event again."""

    why: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """The event has no place in the sink's format: nothing was sent, and nothing will be."""


Outcome: TypeAlias = Delivered | Retry | Dead | Disabled | Skipped

DELIVERED = Delivered()
SKIPPED = Skipped()


class Sink(Protocol):
    """One receiver of events.

    ``deliver`` makes one attempt and ends within a time-out of the sink's own. It is called concurrently for different
    sessions, never for two events of one session. Order, retries and dead letters belong to :mod:`smproxy.hooks.delivery`.
    """

    @property
    def name(self) -> str:
        """What people call the sink: its URL, without credentials."""
        ...

    @property
    def takes_internal(self) -> bool:
        """Whether its format has internal events (``signaling.payloads.INTERNAL_EVENTS``)."""
        ...

    async def start(self) -> None:
        """Acquire what ``deliver`` needs. A receiver that cannot be reached is no error here."""
        ...

    async def deliver(self, event: EncodedEvent) -> Outcome:
        """Make one attempt. ``why`` in the outcome is one line and holds no credentials."""
        ...

    async def stop(self) -> None:
        """Release what ``start`` acquired; no ``deliver`` is running by then."""
        ...


class EventListener(Protocol):
    """Something that gets each event once it is journalled, and is never waited for."""

    def offer(self, event: EncodedEvent) -> None:
        """Take the event, or lose it; must not block."""
        ...

    async def close(self) -> None:
        """Release what is held, in bounded time; no event comes after this."""
        ...
