"""A stream's name: one publisher at a time, but for one that was lost and whose session waits."""

from __future__ import annotations

from tests.simulation.node.models.violation import broken


class NamesModel:
    """Who is on which name, as the hooks tell."""

    def __init__(self) -> None:
        self._on: dict[int, tuple[str, str]] = {}
        self._silent: set[int] = set()

    def told(self, session: int, state: str, name: tuple[str, str] | None) -> None:
        """Take an event of a publisher's session; ``name``: of what it joined."""
        match state:
            case "peer_joined":
                assert name is not None
                others = [each for each, taken in self._on.items() if taken == name and each not in self._silent]
                if others:
                    broken("name in use", f"session {session} joined {name} beside session {others[0]}")
                self._on[session] = name
            case "reconnect":
                self._silent.add(session)
            case "reconnected":
                self._silent.discard(session)
            case "peer_leaved" | "disconnected" | "connect_error":
                self._on.pop(session, None)
                self._silent.discard(session)
