"""The HTTP callbacks of SRS, as its documentation of ``http_hooks`` describes them."""

from __future__ import annotations

import hashlib

import msgspec

from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.formats.body import read_body, stream_of, write
from smproxy.signaling.payloads import Role

_VHOST = "__defaultVhost__"

#: ``action`` by what happened, of a publisher and of a subscriber.
_ACTIONS = {
    "peer_joined": ("on_publish", "on_play"),
    "peer_leaved": ("on_unpublish", "on_stop"),
    "recording_saved": ("on_dvr", "on_dvr"),
}


class _Callback(msgspec.Struct, kw_only=True, omit_defaults=True, rename={"tc_url": "tcUrl", "page_url": "pageUrl"}):
    """One callback, with the keys in the order in which SRS sends them."""

    server_id: str
    service_id: str
    action: str
    client_id: str
    ip: str
    vhost: str
    app: str
    tc_url: str
    stream: str
    param: str
    stream_url: str
    stream_id: str
    page_url: str | None = None
    cwd: str | None = None
    file: str | None = None


class Srs:
    """The callbacks of SRS. ``param`` is empty: the client's query may hold passwords."""

    name = "srs"
    content_type = "application/json"
    internal = False

    def project(self, event: EncodedEvent) -> bytes | None:
        """Return the callback; ``None`` for what SRS has none for."""
        actions = _ACTIONS.get(event.state)
        if actions is None:
            return None
        body = read_body(event.body)
        scope, stream = stream_of(event.context.stream, body.connection)
        action = actions[body.connection.role == Role.SUBSCRIBER]
        url = f"/{scope}/{stream}"
        return write(
            _Callback(
                server_id=f"vid-{body.node:07d}",
                service_id=str(body.node),
                action=action,
                client_id=f"{event.session:x}",
                ip=event.context.remote_ip or "",
                vhost=_VHOST,
                app=scope,
                tc_url=f"webrtc://{_VHOST}/{scope}",
                stream=stream,
                param="",
                stream_url=url,
                stream_id=f"vid-{hashlib.sha256(url.encode()).hexdigest()[:7]}",
                page_url="" if action == "on_play" else None,
                cwd="." if action == "on_dvr" else None,
                file=body.payload.file,
            )
        )
