"""When the steps of a client's negotiation were."""

from __future__ import annotations

from smproxy.origin.client_transport import ClientTransport
from smproxy.signaling.node_channel import TransportTimes


class NegotiationTimes:
    """The moments of one negotiation, in seconds of a monotonic clock."""

    __slots__ = ("_answered", "_described", "_offered")

    def __init__(self) -> None:
        self._offered: float | None = None
        self._described: float | None = None
        self._answered: float | None = None

    def step_begins(self, now: float) -> None:
        """Note that a step begins; the first one begins the negotiation."""
        self._offered = self._offered or now

    def step_ended(self, now: float) -> None:
        """Note that a step is done.

        The first one makes this side's description, the last one ends the negotiation.
        """
        self._described = self._described or now
        self._answered = now

    def before(self, now: float, transport: ClientTransport | None) -> TransportTimes:
        """Return how long before ``now`` each step was, also those of the transport."""
        moments = (
            self._offered,
            self._described,
            self._answered,
            None if transport is None else transport.nominated_at,
            None if transport is None else transport.secured_at,
        )
        return TransportTimes(*(None if at is None else now - at for at in moments))
