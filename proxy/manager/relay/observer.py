"""What a relay tells about a session, and to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from proxy.signaling.messages import ClientMessage, ServerMessage

Side: TypeAlias = Literal["client", "origin", "proxy"]


@dataclass(frozen=True, slots=True)
class RelayEnd:
    """How a relayed session ended: who was the first to end it, and how.

    ``code`` is that of the first Close frame: 1005 when it had none, ``None`` when there was no Close frame. ``clean`` says
    that a Close frame came from that side; what the proxy ends is never clean.
    """

    by: Side
    code: int | None
    clean: bool
    detail: str = ""


class Observer(Protocol):
    """Who wants to know. Nothing here may raise or block; what is raised is logged and counted, and hurts no traffic.

    The life of a session is ``dialed``, messages, ``ended``; or ``dial_failed`` alone; or ``ended`` alone when the client
    left, or the proxy ended the session, before the origin had answered. Nothing is called from within ``Relay.open``.
    """

    def dialed(self) -> None:
        """The origin has accepted: both legs are up."""

    def client_said(self, message: ClientMessage | None) -> None:
        """The client sent a message; ``None`` when it was binary or could not be read."""

    def origin_said(self, message: ServerMessage | None) -> None:
        """The origin sent a message; ``None`` when it was binary or could not be read."""

    def dial_failed(self, why: str) -> None:
        """The origin could not be reached; the client has been refused already."""

    def ended(self, end: RelayEnd) -> None:
        """Both legs are gone."""
