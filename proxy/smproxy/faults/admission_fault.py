"""Faults that refuse a connection: what a new connection gets in place of an origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from smproxy.faults.kind import FaultKind


@dataclass(frozen=True, slots=True)
class HttpError:
    """The upgrade, or the POST of a WHIP or WHEP client, is answered with an HTTP error.

    There is no session.
    """

    status: int


@dataclass(frozen=True, slots=True)
class RejectedConnection:
    """The upgrade is accepted, then ``message`` is sent and the socket closed.

    No origin is chosen.

    A WHIP or WHEP client is answered with ``status`` and the reason.
    """

    message: str
    code: int
    reason: str
    status: int = 403


@dataclass(frozen=True, slots=True)
class FailedConnection:
    """As :class:`RejectedConnection`, once an origin is chosen and the session has begun.

    The origin is not dialled.
    """

    message: str
    code: int
    reason: str
    status: int = 502


@dataclass(frozen=True, slots=True)
class FailedDial:
    """The dial to the origin fails after so many seconds."""

    after: float


#: How a connection is refused, what comes first in its life first.
Refused: TypeAlias = HttpError | RejectedConnection | FailedConnection | FailedDial


class AdmissionFault(FaultKind):
    """A fault that refuses a connection."""

    def refuse(self) -> Refused:
        """Return how the connection is refused."""
        raise NotImplementedError
