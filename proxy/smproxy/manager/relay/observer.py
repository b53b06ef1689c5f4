"""What a relay reports about a connection: to an observer, and to a transcript."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from smproxy.signaling.messages import ClientVerb, ServerNotice
from smproxy.signaling.payloads import RouteError

Party: TypeAlias = Literal["client", "origin", "proxy"]


class RelayEnd(msgspec.Struct, frozen=True):
    """How a relayed connection ended: who was the first to end it, and how.

    ``code`` is that of the first Close frame: 1005 when it had none, ``None`` when there was no Close frame. ``clean`` says
    that a Close frame came from that side; what the proxy ends is never clean.
    """

    by: Party
    code: int | None
    clean: bool
    detail: str = ""


class TranscriptWriter(Protocol):
    """Keeps the messages of a connection, as they came. What it raises hurts no traffic.

    ``from_client`` and ``from_origin`` are called twice for each message: with the time that ``now`` returns, and with the
    text, ``None`` for a binary message.
    """

    @property
    def now(self) -> Callable[[], float]:
        """The time, in any unit."""

    @property
    def from_client(self) -> Callable[[Any], None]:
        """Notes time and text of the client."""

    @property
    def from_origin(self) -> Callable[[Any], None]:
        """Notes time and text of the origin."""

    def trim(self, came: int) -> int:
        """Make room, after so many bytes on both legs.

        Returns after how many bytes this is to be called again.
        """

    def add_proxy_message(self, text: str) -> None:
        """Note a message of the relay's own to the client."""

    def add_close(self, side: Party, code: int | None, reason: str) -> None:
        """Note who began the end, with the code of the Close frame if there was one."""


class Observer(Protocol):
    """Gets the messages and the end of a connection.

    Must not block; what it raises is logged and hurts no traffic.

    The order is ``dialed``, messages, ``ended``; or ``dial_failed`` alone; or ``ended`` alone when the client left, or the
    proxy ended the connection, before the origin had answered. Nothing is called from within ``Relay.open``.
    """

    def dialed(self) -> None:
        """The origin has accepted: both legs are up."""

    def client_message(self, message: ClientVerb | None) -> None:
        """The client sent a message; ``None`` when it was binary or could not be read."""

    def origin_message(self, message: ServerNotice | None) -> None:
        """The origin sent a message; ``None`` when it was binary or could not be read."""

    def dial_failed(self, why: str, error: RouteError, /) -> None:
        """The origin could not be reached; the client has been refused already."""

    def ended(self, end: RelayEnd) -> None:
        """Both legs are gone."""
