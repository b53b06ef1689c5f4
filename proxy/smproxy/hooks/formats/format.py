"""What a format is."""

from __future__ import annotations

from typing import Protocol

from smproxy.hooks.event import EncodedEvent


class Format(Protocol):
    """A projection of the event to the bytes that a receiver gets.

    It depends on nothing but the event: every attempt, today or after a restart, sends the same bytes.
    """

    @property
    def name(self) -> str:
        """What people call it on the command line."""
        ...

    @property
    def content_type(self) -> str:
        """The media type of what ``project`` returns."""
        ...

    @property
    def internal(self) -> bool:
        """Whether it has internal events (``signaling.payloads.INTERNAL_EVENTS``)."""
        ...

    def project(self, event: EncodedEvent) -> bytes | None:
        """Return UTF-8 JSON, or ``None`` when this format has no such event."""
        ...
