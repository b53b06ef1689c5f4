"""LiveKit's webhooks: a ``WebhookEvent`` in the JSON of Protocol Buffers.

A stream is a room here: its publisher and those who watch it are the participants.
"""

from __future__ import annotations

import hashlib
from typing import Any

from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.formats.body import HookBody, read_body, stream_of, whole, write
from smproxy.signaling.payloads import Kind, Role

#: ``event`` by what happened. Those of a room are its publisher's alone.
_EVENTS = {
    "connected": "room_started",
    "connect_error": "participant_connection_aborted",
    "peer_joined": "participant_joined",
    "remote_track_started": "track_published",
    "remote_track_ended": "track_unpublished",
    "peer_leaved": "participant_left",
    "disconnected": "room_finished",
}
_ROOM_EVENTS = frozenset({"room_started", "room_finished"})


class LiveKit:
    """LiveKit's webhooks; 64-bit numbers are texts, as Protocol Buffers have them in JSON."""

    name = "livekit"
    content_type = "application/webhook+json"
    internal = False

    def project(self, event: EncodedEvent) -> bytes | None:
        """Return the webhook; ``None`` for what LiveKit has none for."""
        name = _EVENTS.get(event.state)
        if name is None:
            return None
        body = read_body(event.body)
        if name in _ROOM_EVENTS and body.connection.role == Role.SUBSCRIBER:
            return None
        seconds = str(event.ts // 1000)
        scope, stream = stream_of(event.context.stream, body.connection)
        hook: dict[str, Any] = {"event": name, "room": _room(f"{scope}/{stream}")}
        if name not in _ROOM_EVENTS:
            hook["participant"] = _participant(event, body, seconds)
        if name.startswith("track_"):
            hook["track"] = _track(event, body)
        return write(hook | {"id": f"EV_{event.uuid}", "createdAt": seconds})


def _room(name: str) -> dict[str, Any]:
    return {"sid": _sid("RM", name), "name": name, "metadata": "", "numPublishers": 1}


def _participant(event: EncodedEvent, body: HookBody, seconds: str) -> dict[str, Any]:
    subscriber = body.connection.role == Role.SUBSCRIBER
    identity = whole((event.context.watcher if subscriber else None) or body.connection.id or "")
    left = event.state in ("peer_leaved", "connect_error")
    participant: dict[str, Any] = {
        "sid": _sid("PA", str(event.session)),
        "identity": identity,
        "name": body.connection.username or "",
        "state": "DISCONNECTED" if left else "ACTIVE",
        "joinedAt": seconds,
        "isPublisher": not subscriber,
        "permission": {"canSubscribe": subscriber, "canPublish": not subscriber, "canPublishData": not subscriber},
    }
    if event.state == "connect_error":
        participant["disconnectReason"] = "JOIN_FAILURE"
    return participant


def _track(event: EncodedEvent, body: HookBody) -> dict[str, Any]:
    video = body.payload.kind == Kind.VIDEO
    name = str(body.payload.track)
    return {
        "sid": _sid("TR", f"{event.session} {name}"),
        "name": name,
        "type": "VIDEO" if video else "AUDIO",
        "source": "CAMERA" if video else "MICROPHONE",
    }


def _sid(prefix: str, of: str) -> str:
    """Make an id that looks like LiveKit's, the same for the same thing."""
    return f"{prefix}_{hashlib.sha256(of.encode()).hexdigest()[:12]}"
