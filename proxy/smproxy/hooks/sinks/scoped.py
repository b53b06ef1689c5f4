"""A receiver of one customer scope."""

from __future__ import annotations

from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.sink import SKIPPED, Outcome, Sink
from smproxy.hooks.sinks.named import NamedSink


class ScopedSink(NamedSink):
    """Delivers the events of one customer scope to a sink, and skips all others.

    Its name is that of the sink, and the customer scope.
    """

    def __init__(self, sink: Sink, customer_scope: str) -> None:
        super().__init__(sink, f"{sink.name} (scope {customer_scope})")
        self._customer_scope = customer_scope

    def __repr__(self) -> str:
        return f"<ScopedSink {self.name}>"

    async def deliver(self, event: EncodedEvent) -> Outcome:
        """Make one attempt, if the event is of this customer scope."""
        return await super().deliver(event) if event.customer_scope == self._customer_scope else SKIPPED
