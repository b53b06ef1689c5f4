"""Whether the hooks of many sessions came whole and in order."""

from __future__ import annotations

from typing import Any

_ENDS = frozenset({"disconnected", "connect_error"})


class HookOrder:
    """Counts the events of each session by their ``seq``: 1, 2, 3 …; see docs/hooks.md."""

    def __init__(self) -> None:
        #: Events so far; those that came again; those that came after a later one; those that are missing.
        self.events = 0
        self.repeated = 0
        self.late = 0
        self._latest: dict[int, int] = {}
        self._seen: dict[int, set[int]] = {}
        self._ended: set[int] = set()

    def take(self, event: dict[str, Any]) -> None:
        """Take an event as it was delivered (format ``envelope``); others are ignored."""
        payload = event.get("payload") or {}
        session, number = payload.get("session"), event.get("seq")
        if not isinstance(session, int) or not isinstance(number, int):
            return
        self.events += 1
        seen = self._seen.setdefault(session, set())
        if number in seen:
            self.repeated += 1
        elif number < self._latest.get(session, 0):
            self.late += 1
        seen.add(number)
        self._latest[session] = max(number, self._latest.get(session, 0))
        if payload.get("state") in _ENDS:
            self._ended.add(session)

    @property
    def sessions(self) -> int:
        """How many sessions had events."""
        return len(self._seen)

    @property
    def ended(self) -> int:
        """How many of them have ended."""
        return len(self._ended)

    @property
    def missing(self) -> int:
        """How many events did not come, by the gaps."""
        return sum(self._latest[session] - len(seen) for session, seen in self._seen.items())

    @property
    def in_order(self) -> bool:
        """Whether nothing is missing, late or unended; repeated ones are allowed (at least once)."""
        return not (self.missing or self.late or self.sessions > self.ended)

    def record(self) -> dict[str, Any]:
        """Return it for JSON."""
        names = ("sessions", "ended", "events", "missing", "late", "repeated")
        return {name: getattr(self, name) for name in names}
