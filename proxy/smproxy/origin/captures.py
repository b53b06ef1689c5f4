"""The captures of an origin's sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from smproxy.capture.ring import CaptureRing, CaptureRings
from smproxy.origin.client_transport import ClientTransport
from smproxy.origin.packet_tap import PacketTap


class CapturedSession(Protocol):
    """A session, as far as a capture knows it."""

    @property
    def attempt(self) -> str:
        """Its attempt."""

    @property
    def transport(self) -> ClientTransport | None:
        """Its peer connection, once there is one."""


class Captures:
    """Begins captures: of ``every`` session, or of one when it is asked for."""

    def __init__(self, wall: Callable[[], float], *, every: bool) -> None:
        self._wall = wall
        self._every = every
        self._rings = CaptureRings()

    def negotiating(self, session: CapturedSession) -> None:
        """Begin with a session that has its peer connection, if every session is captured."""
        if self._every:
            self.begin(session)

    def begin(self, session: CapturedSession) -> CaptureRing | None:
        """Begin with a session, unless that was done; ``None``: it has no peer connection."""
        if session.transport is None:
            return None
        ring = self._rings.open(session.attempt)
        if session.transport.ice.tap is None:
            session.transport.capture(PacketTap(ring, self._wall))
        return ring

    def find(self, attempt: str) -> CaptureRing | None:
        """Return what was captured of an attempt."""
        return self._rings.find(attempt)

    def end(self, attempt: str) -> None:
        """Note that a session is over."""
        self._rings.end(attempt)
