"""The names of events (``event``) and of their states (``state`` or ``payload.event``)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

STATES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "session": ("connecting", "connected", "connect_error", "reconnect", "reconnected", "disconnected"),
        "peer": ("peer_joined", "peer_leaved"),
        "remote_track": (
            "remote_track_started",
            "remote_track_muted",
            "remote_track_unmuted",
            "remote_track_ended",
        ),
        "recording": ("recording_started", "recording_saved", "recording_failed"),
        "local_track": ("local_track", "local_track_attached", "local_track_detached"),
        "stats": ("stats",),
        "route": ("route_begin", "route_success", "route_error"),
        "room": ("room_started", "room_all_left", "room_stopped"),
    }
)

#: Of internal events (:data:`smproxy.signaling.payloads.INTERNAL_EVENTS`), which only other formats send.
INTERNAL_STATES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"websocket": ("websocket_connected", "websocket_disconnected")}
)

#: Every name, events first.
NAMES: tuple[str, ...] = tuple(dict.fromkeys([*STATES, *(state for states in STATES.values() for state in states)]))
