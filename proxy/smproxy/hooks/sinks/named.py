"""A sink under a name that was chosen for it."""

from __future__ import annotations

from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.sink import Outcome, Sink


class NamedSink:
    """Delivers to a sink, and has another name."""

    def __init__(self, sink: Sink, name: str) -> None:
        self._sink = sink
        self._name = name

    def __repr__(self) -> str:
        return f"<NamedSink {self._name}: {self._sink!r}>"

    @property
    def name(self) -> str:
        """The name that was chosen."""
        return self._name

    @property
    def takes_internal(self) -> bool:
        """Whether the sink's format has internal events."""
        return self._sink.takes_internal

    async def start(self) -> None:
        """Get ready."""
        await self._sink.start()

    async def deliver(self, event: EncodedEvent) -> Outcome:
        """Make one attempt."""
        return await self._sink.deliver(event)

    async def stop(self) -> None:
        """Release what ``start`` acquired."""
        await self._sink.stop()
