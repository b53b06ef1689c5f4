"""Rooms, as docs/hooks.md tells them: the first peer, the last one, empty for long enough; and who is in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.simulation.node.models.violation import broken


@dataclass
class RoomLifeModel:
    """What may come next of one room."""

    number: int
    seq: int = 0
    phase: str = "new"

    def take(self, event: dict[str, Any]) -> None:
        """Take the next event, as a receiver reads it."""
        what = event["payload"]["event"]
        after = {"room_started": ("new",), "room_all_left": ("room_started", "room_all_left")}
        if self.phase not in after.get(what, ("room_all_left",)) or event["seq"] != self.seq + 1:
            broken("rooms", f"room {self.number}: {what} with seq {event['seq']} after {self.phase} with {self.seq}")
        self.phase, self.seq = what, event["seq"]

    def finish(self) -> None:
        """Check that the room is over."""
        if self.phase != "room_stopped":
            broken("rooms", f"room {self.number} has no end after {self.phase}")


@dataclass
class RoomsModel:
    """Who is in which room of this process, by customer scope and name."""

    _open: dict[tuple[str | None, str], int] = field(default_factory=dict)
    _present: dict[tuple[str | None, str], set[int]] = field(default_factory=dict)

    def told(self, event: dict[str, Any]) -> None:
        """Take an event of a peer or of a room."""
        payload = event["payload"]
        key = event["connection"]["customerScope"], payload["room"]
        present = self._present.setdefault(key, set())
        match payload["event"]:
            case "room_started":
                if key in self._open:
                    broken("rooms", f"{key} is started beside room {self._open[key]}")
                self._open[key] = payload["session"]
            case "peer_joined":
                if key not in self._open:
                    broken("rooms", f"session {payload['session']} joined {key}, which was not started")
                present.add(payload["session"])
            case "peer_leaved":
                present.discard(payload["session"])
            case what if self._open.get(key) == payload["session"]:
                if present:
                    broken("rooms", f"{what} of {key} with sessions {present} in it")
                if what == "room_stopped":
                    del self._open[key]
