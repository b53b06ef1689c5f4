"""The hooks of the sessions as a fault sees them: each event before it is delivered, and what may be done to it.

The journal keeps the truth: only the delivery is disturbed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from smproxy.faults.kind import Parameter

#: Sessions, streams and events that a fault keeps in mind.
MAX_KEPT = 10_000

#: What tells that a stream is published, and what that it is no more.
PUBLISHED = "peer_joined"
UNPUBLISHED = frozenset({"peer_leaved", "disconnected"})


@dataclass(frozen=True, slots=True)
class Told:
    """An event that is to be delivered, and the connection that it belongs to. ``stream`` is the name with its room."""

    uuid: str
    session: int
    event: str
    state: str
    stream: str | None
    internal: bool
    id: str | None
    customer_scope: str | None
    role: str
    app: str | None

    @property
    def key(self) -> tuple[str | None, str | None]:
        """What sessions of the same stream have in common."""
        return self.customer_scope, self.stream


class HookLine(Protocol):
    """What a fault can do beside keeping or repeating an event."""

    def draw(self) -> bool:
        """Say whether the fault is to be used now, and take note of that: a matter of count and probability."""

    def acted(self, event: Told, detail: str = "") -> None:
        """Note that the fault has acted on an event."""

    def deliver(self, events: Sequence[Told]) -> None:
        """Deliver events, kept ones or once more, after all that was let through so far."""

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something later."""


class HookFault:
    """What one fault does to the hooks of all sessions that it is for."""

    line: HookLine

    def take(self, event: Told) -> int:
        """Take an event of such a session; return how often it is delivered now."""
        return 1

    def see(self, event: Told) -> None:
        """Note an event of another session, which is delivered as it is."""

    def end(self) -> None:
        """The fault is switched off: deliver what is kept."""

    @property
    def keeps(self) -> bool:
        """Whether something is kept."""
        return False


class Chosen:
    """Which sessions a scenario is used on: drawn once for each."""

    def __init__(self) -> None:
        self._drawn: OrderedDict[int, bool] = OrderedDict()

    def __call__(self, line: HookLine, event: Told) -> bool:
        """Say whether the session of an event is one of them."""
        drawn = self._drawn.get(event.session)
        if drawn is None:
            drawn = self._drawn[event.session] = line.draw()
            bounded(self._drawn)
        return drawn


def bounded(kept: OrderedDict[int, bool]) -> None:
    """Forget the oldest of too many."""
    while len(kept) > MAX_KEPT:
        kept.popitem(last=False)


def event_parameter() -> Parameter:
    """Make the parameter that says which events are meant."""
    return Parameter("event", "", "only events of this name or state, such as `peer_joined`; empty: all")


def is_meant(event: Told, wanted: str) -> bool:
    """Say whether an event is one of those; what only other formats tell must be asked for by name."""
    return wanted in {event.event, event.state} if wanted else not event.internal
