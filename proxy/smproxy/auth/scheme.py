"""What every scheme can do."""

from __future__ import annotations

from typing import Protocol

from smproxy.auth.request import AuthRequest
from smproxy.auth.verdict import Verdict


class Scheme(Protocol):
    """A way to decide who may publish and subscribe."""

    #: What timelines and metrics call it.
    name: str

    async def decide(self, request: AuthRequest) -> Verdict:
        """Decide on a client; whoever asks sets the time limit."""
        ...

    async def ended(self, request: AuthRequest) -> str | None:
        """Note that the session of an admitted publisher is over.

        Return what a call about it came to, if there was one.
        """
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


class LocalScheme:
    """A scheme that decides without calling out."""

    name = "local"

    def check(self, request: AuthRequest) -> Verdict:
        """Decide on a client."""
        raise NotImplementedError

    async def decide(self, request: AuthRequest) -> Verdict:
        return self.check(request)

    async def ended(self, request: AuthRequest) -> str | None:
        return None

    async def close(self) -> None:
        return None
