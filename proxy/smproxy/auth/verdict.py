"""What a scheme decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from smproxy.auth.grant import NOTHING, Grant

#: ``failed``: there was no usable answer, which denies.
Result: TypeAlias = Literal["allowed", "denied", "failed"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a client is let in. ``reason`` is for hooks, logs and clients: it tells no secret.

    ``status``: 401 when other credentials may help, 403 when these are not for what the client wants.
    """

    result: Result
    reason: str = ""
    status: Literal[401, 403] = 401
    grant: Grant = NOTHING

    @property
    def allowed(self) -> bool:
        """Whether the client is let in."""
        return self.result == "allowed"


ALLOWED = Verdict("allowed")


def denied(reason: str) -> Verdict:
    """Deny credentials."""
    return Verdict("denied", reason)


def forbidden(reason: str) -> Verdict:
    """Deny what the client wants to do with good credentials."""
    return Verdict("denied", reason, 403)


def failed(reason: str) -> Verdict:
    """Deny for want of an answer."""
    return Verdict("failed", reason, 403)
