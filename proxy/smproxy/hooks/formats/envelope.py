"""This project's own format: the message of docs/hooks.md."""

from __future__ import annotations

from smproxy.hooks.event import EncodedEvent


class Envelope:
    """The event's own JSON, to the byte as it was journalled."""

    name = "envelope"
    content_type = "application/json"
    internal = False

    def project(self, event: EncodedEvent) -> bytes | None:
        """Return the body; ``None`` for the events that are not part of this schema."""
        return None if event.internal else event.body
