"""The life of a session as docs/hooks.md tells it: one grammar, and every start has exactly one end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.simulation.node.models.violation import broken

ENDS = frozenset({"disconnected", "connect_error"})


@dataclass
class LifeModel:
    """What may come next of one session."""

    session: int
    seq: int = 0
    phase: str = "new"
    silent: bool = False
    peer: str = "never"
    tracks: set[str] = field(default_factory=set)
    slots: dict[int, bool] = field(default_factory=dict)
    muted: set[str] = field(default_factory=set)
    recording: bool = False
    routing: bool = False

    @property
    def ended(self) -> bool:
        """Whether its end has come."""
        return self.phase == "ended"

    def take(self, event: dict[str, Any]) -> None:
        """Take the next event, as a receiver reads it."""
        payload = event["payload"]
        what = payload.get("state") or payload["event"]
        if event["seq"] != self.seq + 1:
            self._refuse(what, f"seq {event['seq']} follows {self.seq}")
        self.seq += 1
        if self.ended and not (event["event"] == "recording" and what != "recording_started"):
            self._refuse(what, "after its end")
        getattr(self, f"_{event['event']}")(what, payload)

    def finish(self) -> None:
        """Check that nothing is without an end."""
        if self.phase != "new" and not self.ended:
            broken("session life", f"session {self.session} has no end")
        if self.recording:
            broken("session life", f"the recording of session {self.session} has no end")

    def _refuse(self, what: str, why: str) -> None:
        broken("session life", f"session {self.session}: {what} {why}")

    def _need(self, what: str, condition: bool) -> None:
        if not condition:
            self._refuse(
                what, f"in phase {self.phase}, peer {self.peer}, tracks {sorted(self.tracks)}, slots {self.slots}"
            )

    def _session(self, what: str, payload: dict[str, Any]) -> None:
        match what:
            case "connecting":
                self._need(what, self.phase == "new")
                self.phase = "connecting"
            case "connected":
                self._need(what, self.phase == "connecting" and payload["after_ms"] is not None)
                self.phase = "connected"
            case "connect_error":
                self._need(what, self.phase in ("new", "connecting") and payload["error"] is not None)
                self.phase = "ended"
            case "reconnect":
                self._need(what, self.phase == "connected" and not self.silent)
                self.silent = True
            case "reconnected":
                self._need(what, self.phase == "connected" and self.silent)
                self.silent = False
            case "disconnected":
                joined = self.peer == "joined" or self.tracks or any(self.slots.values())
                self._need(what, self.phase == "connected" and not joined and payload["reason"] is not None)
                self.phase = "ended"
            case _:
                self._refuse(what, "is no state")

    def _route(self, what: str, payload: dict[str, Any]) -> None:
        if what == "route_begin":
            self._need(what, self.phase == "connecting" or self.silent)
        else:
            self._need(what, self.routing and (payload["error"] is not None) is (what == "route_error"))
        self.routing = what == "route_begin"

    def _stats(self, what: str, payload: dict[str, Any]) -> None:
        self._need(what, self.phase == "connected")

    def _peer(self, what: str, payload: dict[str, Any]) -> None:
        if what == "peer_joined":
            self._need(what, self.phase == "connected" and self.peer == "never")
            self.peer = "joined"
        else:
            self._need(what, self.peer == "joined" and not self.tracks and not any(self.slots.values()))
            self.peer = "left"

    def _remote_track(self, what: str, payload: dict[str, Any]) -> None:
        track = payload["track"]
        if what == "remote_track_started":
            self._need(what, self.peer == "joined" and track not in self.tracks)
            self.tracks.add(track)
            return
        self._need(what, track in self.tracks)
        if what == "remote_track_ended":
            self.tracks.remove(track)
            self.muted.discard(track)
            return
        self._need(what, (track in self.muted) is (what == "remote_track_unmuted"))
        self.muted ^= {track}

    def _local_track(self, what: str, payload: dict[str, Any]) -> None:
        slot = payload["track"]
        if what == "local_track":
            self._need(what, self.peer == "joined" and slot not in self.slots)
            self.slots[slot] = False
        else:
            self._need(what, self.slots.get(slot) is (what == "local_track_detached"))
            self.slots[slot] = what == "local_track_attached"

    def _recording(self, what: str, payload: dict[str, Any]) -> None:
        if what == "recording_started":
            self._need(what, self.peer == "joined" and not self.recording)
        elif what == "recording_saved":
            self._need(what, self.recording)
        self.recording = what == "recording_started"
