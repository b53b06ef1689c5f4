"""The attempts that still have a relay or a living session."""

from __future__ import annotations

import asyncio

from smproxy.manager.attempt import Attempt
from smproxy.manager.session import Session

#: How long a socket may stay open, in seconds, after its session is over: SDKs leave it to the server to close it.
LINGER = 10.0


class AttemptTable:
    """Finds attempts by their tokens, and their sessions."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Attempt, Session]] = {}
        self._lingering: dict[Attempt, asyncio.TimerHandle] = {}

    def all(self) -> list[Attempt]:
        """Return all attempts, the oldest first."""
        return [attempt for attempt, _ in self._known.values()]

    def find(self, token: str) -> tuple[Attempt, Session] | None:
        """Find an attempt and its session."""
        return self._known.get(token)

    def session_of(self, attempt: Attempt) -> Session | None:
        """Return the session of an attempt, ``None`` when the attempt is forgotten."""
        known = self._known.get(attempt.token)
        return known and known[1]

    def add(self, attempt: Attempt, session: Session) -> None:
        """Keep an attempt until :meth:`release` finds that nothing needs it any more."""
        self._known[attempt.token] = attempt, session
        attempt.node.sessions += 1

    def release(self, attempt: Attempt) -> None:
        """Forget an attempt when neither its relay nor its session needs it any more."""
        if not attempt.relay_ended:
            return
        if timer := self._lingering.pop(attempt, None):
            timer.cancel()
        session = self.session_of(attempt)
        if session is not None and (session.over or session.attempt is not attempt):
            del self._known[attempt.token]
            attempt.node.sessions -= 1

    def linger(self, attempt: Attempt) -> None:
        """Close the socket of an attempt whose session is over, in a while."""
        if attempt.token in self._known and attempt not in self._lingering:
            self._lingering[attempt] = asyncio.get_running_loop().call_later(LINGER, self._linger_over, attempt)

    def stop(self) -> None:
        """Cancel all timers."""
        for timer in self._lingering.values():
            timer.cancel()
        self._lingering.clear()

    def _linger_over(self, attempt: Attempt) -> None:
        self._lingering.pop(attempt, None)
        attempt.close_relay(1000, "the session is over")
