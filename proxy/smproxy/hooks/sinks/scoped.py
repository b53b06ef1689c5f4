"""A receiver of one customer scope."""

from __future__ import annotations

from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.sink import SKIPPED, Outcome, Sink


class ScopedSink:
    """Delivers the events of one customer scope to a sink, and skips all others."""

    def __init__(self, sink: Sink, customer_scope: str) -> None:
        self._sink = sink
        self._customer_scope = customer_scope

    def __repr__(self) -> str:
        return f"<ScopedSink {self.name}>"

    @property
    def name(self) -> str:
        """The name of the sink, and the customer scope."""
        return f"{self._sink.name} (scope {self._customer_scope})"

    @property
    def takes_internal(self) -> bool:
        """Whether the sink's format has internal events."""
        return self._sink.takes_internal

    async def start(self) -> None:
        """Get ready."""
        await self._sink.start()

    async def deliver(self, event: EncodedEvent) -> Outcome:
        """Make one attempt, if the event is of this customer scope."""
        return await self._sink.deliver(event) if event.customer_scope == self._customer_scope else SKIPPED

    async def stop(self) -> None:
        """Release what ``start`` acquired."""
        await self._sink.stop()
