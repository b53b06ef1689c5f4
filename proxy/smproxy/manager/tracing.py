"""What the manager tells of each client to whoever makes traces of it."""

from __future__ import annotations

from typing import Protocol

from smproxy.signaling.node_channel import TransportTimes
from smproxy.signaling.payloads import Connection


class TraceStep(Protocol):
    """A part of a client's way that takes time."""

    def end(self, error: str | None = None) -> None:
        """It is done, or failed."""


class ClientTrace(Protocol):
    """The trace of one client, from its request to the end of its session."""

    @property
    def traceparent(self) -> str:
        """The context of its root span (W3C Trace Context, 3.2)."""

    def opened(self, session: int, connection: Connection, origin: str | None = None) -> None:
        """The client has a session, be it that of a refusal: its admission is over."""

    def step(self, name: str, **attributes: str) -> TraceStep:
        """Begin a step."""

    def transport(self, times: TransportTimes, error: str | None = None) -> None:
        """The origin has a media connection, or gave it up with an error."""

    def end(self, error: str | None = None, **attributes: str) -> None:
        """Nothing follows; steps that have not ended never will."""


class Tracer(Protocol):
    """Makes a trace of each client."""

    def begin(self, transport: str, remote_ip: str, traceparent: str | None) -> ClientTrace:
        """Begin with a client's request.

        ``traceparent``: what the client sent as its own context, if that is one.
        """
