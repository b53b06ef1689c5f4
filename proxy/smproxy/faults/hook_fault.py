"""Faults of the hooks: each event before it is delivered, and what may be done to it.

The journal keeps every event: only the delivery is disturbed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from smproxy.faults.kind import FaultKind, Layer
from smproxy.faults.parameter import Parameter
from smproxy.signaling.hook_names import INTERNAL_STATES, NAMES

#: Sessions, streams and events that a fault keeps in mind.
MAX_KEPT = 10_000

#: What a fault's events may be chosen by; nothing: all of the project's own.
EVENT_CHOICES = ("", *NAMES, *INTERNAL_STATES, *(state for states in INTERNAL_STATES.values() for state in states))

#: The state that says that a stream is published, and those that say that it no longer is.
PUBLISHED = "peer_joined"
UNPUBLISHED = frozenset({"peer_leaved", "disconnected"})


@dataclass(frozen=True, slots=True)
class HookEventView:
    """An event before its delivery, and the connection that it belongs to.

    ``stream`` is the name with its scope.
    """

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


class HookDelivery(Protocol):
    """The delivery of hooks, as a fault acts on it beside keeping or repeating an event."""

    def draw(self) -> bool:
        """Decide by count and probability whether the fault is used now, and count it."""

    def acted(self, event: HookEventView, detail: str = "") -> None:
        """Note that the fault has acted on an event."""

    def deliver(self, events: Sequence[HookEventView]) -> None:
        """Deliver events, kept ones or once more, after all that was let through so far."""

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something later."""


class HookFault(FaultKind):
    """What one fault does to the hooks of all sessions that it is for."""

    layer = Layer.HOOKS
    live = True
    delivery: HookDelivery

    def take(self, event: HookEventView) -> int:
        """Take an event of such a session.

        Returns how often it is delivered now, 0 if it is kept or lost.
        """
        return 1

    def observe(self, event: HookEventView) -> None:
        """Note an event of another session, which is delivered as it is."""

    def end(self) -> None:
        """The fault is switched off: deliver what is kept."""

    @property
    def keeps(self) -> bool:
        """Whether something is kept."""
        return False


class SessionChoice:
    """On which sessions a fault is used: drawn once for each."""

    def __init__(self) -> None:
        self._drawn: OrderedDict[int, bool] = OrderedDict()

    def __call__(self, delivery: HookDelivery, event: HookEventView) -> bool:
        """Return whether the session of an event is one of them."""
        drawn = self._drawn.get(event.session)
        if drawn is None:
            drawn = self._drawn[event.session] = delivery.draw()
            bounded(self._drawn)
        return drawn


def bounded(kept: OrderedDict[int, bool]) -> None:
    """Forget the oldest of too many."""
    while len(kept) > MAX_KEPT:
        kept.popitem(last=False)


def event_parameter() -> Parameter[str]:
    """Make the parameter that says which events are meant."""
    return Parameter("", "only events of this name or state, such as `peer_joined`; empty: all", choices=EVENT_CHOICES)


def is_meant(event: HookEventView, wanted: str) -> bool:
    """Return whether an event is meant.

    One that only other formats send must be named explicitly.
    """
    return wanted in {event.event, event.state} if wanted else not event.internal
