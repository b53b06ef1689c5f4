"""Ant Media Server's webhooks, with a JSON body."""

from __future__ import annotations

from typing import Any

from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.formats.body import HookBody, read_body, stream_of, whole, write
from smproxy.signaling.payloads import Role

#: ``action`` by what happened, of a publisher and of a subscriber.
_ACTIONS = {
    "peer_joined": ("liveStreamStarted", "playStarted"),
    "peer_leaved": ("liveStreamEnded", "playStopped"),
    "recording_saved": ("vodReady", "vodReady"),
}


class AntMedia:
    """Ant Media's webhooks: a key without a value is left out, and ``timestamp`` is a text."""

    name = "antmedia"
    content_type = "application/json"
    internal = False

    def project(self, event: EncodedEvent) -> bytes | None:
        """Return the webhook; ``None`` for what Ant Media has none for."""
        actions = _ACTIONS.get(event.state)
        if actions is None:
            return None
        body = read_body(event.body)
        scope, stream = stream_of(event.context.stream, body.connection)
        hook: dict[str, Any] = {"id": stream, "action": actions[body.connection.role == Role.SUBSCRIBER]}
        hook |= {"streamName": stream, "category": body.connection.customer_scope}
        hook |= _recorded(body)
        if body.connection.role == Role.SUBSCRIBER:
            hook["subscriberId"] = whole(event.context.watcher or body.connection.id or "")
        hook |= {"app": scope, "metadata": body.connection.meta, "timestamp": str(event.ts)}
        return write({key: value for key, value in hook.items() if value not in (None, "")})


def _recorded(body: HookBody) -> dict[str, Any]:
    """Return what only ``vodReady`` has."""
    file = body.payload.file
    return {} if file is None else {"vodName": file.rpartition("/")[2], "vodId": file.replace("/", "-")}
