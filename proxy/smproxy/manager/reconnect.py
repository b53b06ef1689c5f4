"""The time in which a lost publisher may come back (``--reconnect-window``)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from smproxy.manager.session import Session

#: Seconds for an attempt to come back that is under way when the window closes; an origin gives a handshake as long.
RETURN_TIMEOUT = 15.0


class ReconnectWindows:
    """The windows of all sessions, each with one timer.

    A window is open for ``seconds``. A session whose publisher is connecting again by then is *returning*: it has
    ``RETURN_TIMEOUT`` for that. ``expired`` is called when either time is up in vain.
    """

    def __init__(self, seconds: float, expired: Callable[[Session], None]) -> None:
        self.seconds = seconds
        self._expired = expired
        self._open: dict[int, asyncio.TimerHandle] = {}
        self._returning: dict[int, asyncio.TimerHandle] = {}

    def is_open(self, session: Session) -> bool:
        """Whether the publisher may still begin to come back."""
        return session.number in self._open

    def is_returning(self, session: Session) -> bool:
        """Whether the publisher was connecting again when the window closed."""
        return session.number in self._returning

    def open(self, session: Session) -> None:
        """Open the window, unless it is open."""
        if session.number not in self._open:
            timer = asyncio.get_running_loop().call_later(self.seconds, self._elapsed, session)
            self._open[session.number] = timer

    def close(self, session: Session) -> None:
        """Stop waiting: the publisher is back, or the session is over."""
        for timers in (self._open, self._returning):
            if timer := timers.pop(session.number, None):
                timer.cancel()

    def _elapsed(self, session: Session) -> None:
        del self._open[session.number]
        attempt = session.attempt
        if attempt is None or attempt.up or attempt.relay_ended:
            self._expired(session)
        else:  # the publisher is on its way back: the outcome of that attempt decides, if it has one in time
            timer = asyncio.get_running_loop().call_later(RETURN_TIMEOUT, self._expired, session)
            self._returning[session.number] = timer
