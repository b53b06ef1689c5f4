"""Live streams by name, and for a provision or one of its levels the nearest that is live."""

from __future__ import annotations

from smproxy.manager.provisions import Provisions
from smproxy.manager.session import Session
from smproxy.manager.sessions import Sessions


class LiveStreams:
    """Finds the session that publishes a stream."""

    def __init__(self, sessions: Sessions, provisions: Provisions) -> None:
        self._sessions = sessions
        self._provisions = provisions

    def find(self, scope: str, name: str) -> Session | None:
        """Return the session that publishes this stream."""
        return self._first(scope, [name])

    def nearest(self, scope: str, name: str) -> Session | None:
        """Return the session of this stream, else of the nearest live level of its provision."""
        return self._first(scope, [name, *self._provisions.nearest(scope, name)])

    def _first(self, scope: str, names: list[str]) -> Session | None:
        live = {each.life.peer: each for each in self._sessions.publishing() if each.life.scope == scope}
        return next((live[name] for name in names if name in live), None)
