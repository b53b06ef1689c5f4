"""The reconnect window: who comes back in time goes on as the same session, who does not is over in time."""

from __future__ import annotations

from smproxy.manager.reconnect import RETURN_TIMEOUT

from tests.simulation.node.models.violation import broken

#: Customer scope, scope, id and user name.
Identity = tuple[str | None, str, str, str | None]


class ReconnectModel:
    """The sessions that are silent, and since when those that were lost are."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._identity: dict[int, Identity] = {}
        self._silent: dict[int, None] = {}
        self._lost: dict[int, float] = {}

    def opened(self, identity: Identity, session: int, publisher: bool) -> None:
        """Take a new connection, and the session that it got."""
        known = [number for number in self._identity if number in self._silent and self._identity[number] == identity]
        if self._window and publisher and known:
            if session != known[0]:
                broken("reconnect window", f"{identity} came back and is not session {known[0]} but {session}")
        elif session in self._identity:
            broken("reconnect window", f"{identity} got session {session}, which waits for nobody like it")
        if publisher:
            self._identity.setdefault(session, identity)

    def lost(self, session: int, now: float) -> None:
        """Take that a connected publisher was lost, when it is."""
        if self._window and session in self._silent:
            self._lost.setdefault(session, now)

    def told(self, session: int, state: str, reason: int | None, now: float) -> None:
        """Take an event of the session."""
        if state == "reconnect":
            self._silent[session] = None
        elif state == "reconnected":
            self._silent.pop(session, None)
            self._lost.pop(session, None)
        elif state in ("disconnected", "connect_error"):
            since = self._lost.pop(session, None)
            if since is not None and reason == 1 and now < since + self._window - 0.01:
                broken(
                    "reconnect window", f"session {session} is over {now - since:.2f} s after its publisher was lost"
                )
            self._silent.pop(session, None)
            self._identity.pop(session, None)

    def check(self, now: float) -> None:
        """Check that no window is open for too long."""
        for session, since in self._lost.items():
            if now > since + self._window + RETURN_TIMEOUT + 1.0:
                broken("reconnect window", f"session {session} still waits {now - since:.1f} s after it was lost")
