"""The hooks of today's atm0s media server.

They are its Protocol Buffers message ``HookEvent``, in JSON as its library writes it. The hooks of docs/hooks.md have the form
that its documentation describes, which is older.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.formats.body import HookBody, read_body, whole, write
from smproxy.signaling.payloads import Role

#: Its session numbers have 64 bits, bare: what reads numbers as doubles breaks on them. The upper ones are ours.
_SHIFT = 10

#: Of ours it has no reason above 3 and no error above 1.
_NODE_SHUTDOWN, _KICK_BY_API, _LAST_REASON = 2, 3, 3
_ORIGIN_LOST = 4
_TIMEOUT = 1

_Fields = Callable[[HookBody], dict[str, Any]]


def _track(body: HookBody) -> dict[str, Any]:
    return {"track": body.payload.track, "kind": body.payload.kind or 0}


def _source(body: HookBody) -> dict[str, Any]:
    return {
        "track": body.payload.track,
        "remote_peer": body.payload.remote_peer or "",
        "remote_track": body.payload.remote_track or "",
    }


def _where(body: HookBody) -> dict[str, Any]:
    return {"room": body.payload.room, "peer": body.payload.peer}


def _came(body: HookBody) -> dict[str, Any]:
    return {"remote_ip": body.payload.remote_ip or ""}


def _came_after(body: HookBody) -> dict[str, Any]:
    return {"after_ms": body.payload.after_ms or 0, "remote_ip": body.payload.remote_ip or ""}


def _failed(body: HookBody) -> dict[str, Any]:
    return {"after_ms": body.payload.after_ms or 0, "error": min(int(body.payload.error or 0), _TIMEOUT)}


def _ended(body: HookBody) -> dict[str, Any]:
    reason = body.payload.reason or 0
    if reason > _LAST_REASON:
        reason = _NODE_SHUTDOWN if reason == _ORIGIN_LOST else _KICK_BY_API
    return {"duration_ms": body.payload.duration or 0, "reason": reason}


def _routed(body: HookBody) -> dict[str, Any]:
    return {"after_ms": body.payload.after_ms or 0, "dest_node": body.node}


def _not_routed(body: HookBody) -> dict[str, Any]:
    return {"after_ms": body.payload.after_ms or 0, "dest_node": None, "error": body.payload.error or 0}


def _media(body: HookBody) -> dict[str, Any]:
    count, sent = body.payload.bytes or 0, body.connection.role == Role.SUBSCRIBER
    return {"sent_bytes": count if sent else 0, "received_bytes": 0 if sent else count}


#: Its event and the fields of that, by what happened.
_EVENTS: dict[str, tuple[str, _Fields]] = {
    "connecting": ("Connecting", _came),
    "connected": ("Connected", _came_after),
    "connect_error": ("ConnectError", _failed),
    "reconnect": ("Reconnect", _came),
    "reconnected": ("Reconnected", _came_after),
    "disconnected": ("Disconnected", _ended),
    "peer_joined": ("Join", _where),
    "peer_leaved": ("Leave", _where),
    "remote_track_started": ("RemoteTrackStarted", _track),
    "remote_track_ended": ("RemoteTrackEnded", _track),
    "local_track": ("LocalTrack", _track),
    "local_track_attached": ("LocalTrackAttach", _source),
    "local_track_detached": ("LocalTrackDetach", _source),
    "route_begin": ("RouteBegin", _came),
    "route_success": ("RouteSuccess", _routed),
    "route_error": ("RouteError", _not_routed),
    "stats": ("Stats", _media),
}

#: Its events of rooms, which have no fields.
_ROOMS = {"room_started": "Started", "room_all_left": "AllPeersLeaved", "room_stopped": "Stopped"}


class Atm0s:
    """Today's form: nested, enumerations as numbers, no id."""

    name = "atm0s"
    content_type = "application/json"
    internal = False

    def project(self, event: EncodedEvent) -> bytes | None:
        """Return the hook; ``None`` for what that server has none for."""
        known = _EVENTS.get(event.state)
        if known is None:
            return _room(event)
        name, fields = known
        body = read_body(event.body)
        return _write(event, body, name, fields(body))


class Atm0sQuirks(Atm0s):
    """The same with the manners of the real server.

    Each duration, reason and error is 0, and ``Disconnected`` comes before ``Leave``.
    """

    name = "atm0s-quirks"

    def project(self, event: EncodedEvent) -> bytes | None:
        """Return the hook; ``None`` for what that server has none for."""
        known = _EVENTS.get(event.state)
        if known is None:
            return _room(event)
        name, fields = known
        body = read_body(event.body)
        if event.state == "peer_leaved":
            return _write(event, body, "Disconnected", {"duration_ms": 0, "reason": 0})
        if event.state == "disconnected" and event.context.joined:
            scope, _, stream = whole(event.context.stream or "").rpartition("/")
            return _write(event, body, "Leave", {"room": scope, "peer": whole(event.context.watcher or "") or stream})
        zeros = dict.fromkeys(("after_ms", "duration_ms", "reason", "error"), 0)
        values = fields(body)
        return _write(event, body, name, values | {key: zeros[key] for key in values if key in zeros})


def _write(event: EncodedEvent, body: HookBody, name: str, fields: dict[str, Any]) -> bytes:
    peer = {
        "app": body.connection.customer_scope or "",
        "session_id": event.session << _SHIFT | 1,
        "event": {name: fields},
    }
    return write({"node": body.node, "ts": event.ts, "event": {"Peer": peer}})


def _room(event: EncodedEvent) -> bytes | None:
    name = _ROOMS.get(event.state)
    if name is None:
        return None
    body = read_body(event.body)
    room = {"app": body.connection.customer_scope or "", "room": body.payload.room, "event": {name: {}}}
    return write({"node": body.node, "ts": event.ts, "event": {"Room": room}})
