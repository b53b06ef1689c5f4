"""Red5's webhooks, as its documentation describes them, for back ends written for them.

Kept as documented, odd as it is: ``connection-disconnect`` comes before ``stream-unpublished``; the socket has one ``guid``
when it opens and another when it closes; ``websocket-connect`` has the node type ``undefined``.
"""

from __future__ import annotations

import msgspec

from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.formats.body import read, whole, write
from smproxy.signaling.payloads import Kind, Role

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ID_LENGTH = 13


class _Connection(msgspec.Struct):
    id: str | None
    username: str | None
    app: str | None
    role: str


class _Payload(msgspec.Struct):
    kind: int | None = None
    track: int | str | None = None
    file: str | None = None
    error: str | None = None


class _HookBody(msgspec.Struct):
    payload: _Payload
    connection: _Connection


_decoder = msgspec.json.Decoder(_HookBody)


class _Webhook(msgspec.Struct, rename="camel"):
    """One webhook; the fields are the JSON keys in the order of the documentation's samples."""

    event: str
    guid: str
    username: str | None
    user_agent: str | None
    cluster_node_type: str
    timestamp: int
    node_public_ip: str


class _Saved(_Webhook, rename="camel", omit_defaults=True, kw_only=True):
    """``video-saved``. There is no bucket: ``objectKey`` is the path below the recordings."""

    status: str
    bucket: str | None = None
    object_key: str | None = None
    recording: str | None = None
    error: str | None = None
    recordings: list[str] | None = None


class Red5:
    """Red5's format. ``node_public_ip``: the address that the node calls its own."""

    name = "red5"
    content_type = "application/json"
    internal = True

    def __init__(self, node_public_ip: str = "127.0.0.1") -> None:
        self._node_public_ip = node_public_ip

    def project(self, event: EncodedEvent) -> bytes | None:
        """Return the webhook; ``None`` for what Red5 has no webhook for."""
        if event.state not in _STATES:
            return None
        body = read(_decoder, event.body)
        subscriber = body.connection.role == Role.SUBSCRIBER
        word = _word(event, body.payload, subscriber)
        if word is None:
            return None
        agent = event.context.user_agent
        webhook = _Webhook(
            event=word,
            guid=_guid(word, event, body.connection),
            username=body.connection.username,
            user_agent=whole(agent) if agent is not None else None,
            cluster_node_type=_node_type(word, subscriber),
            timestamp=event.ts,
            node_public_ip=self._node_public_ip,
        )
        return write(_saved(webhook, body.payload) if word == "video-saved" else webhook)


#: What ``state`` of an event may have a webhook, and which one; those with ``None`` need a closer look.
_STATES: dict[str, str | None] = {
    "websocket_connected": "websocket-connect",
    "connected": "connection-connect",
    "peer_joined": None,
    "websocket_disconnected": "websocket-disconnect",
    "remote_track_started": None,
    "local_track_attached": None,
    "peer_leaved": "connection-disconnect",
    "recording_saved": "video-saved",
    "recording_failed": "video-saved",
    "disconnected": None,
}


def _word(event: EncodedEvent, payload: _Payload, subscriber: bool) -> str | None:
    """Name the webhook of an event."""
    match event.state:
        case "peer_joined":
            return "stream-subscribed" if subscriber else "stream-published"
        case "remote_track_started":
            return "video-started" if payload.kind == Kind.VIDEO else None
        case "local_track_attached":
            return "video-started" if payload.track == Kind.VIDEO else None
        case "disconnected":
            # Without a stream nothing was told between connection-connect and here.
            if not event.context.joined:
                return "connection-disconnect"
            return "stream-unsubscribed" if subscriber else "stream-unpublished"
        case state:
            return _STATES[state]


def _saved(webhook: _Webhook, payload: _Payload) -> _Saved:
    """Add the fields of a recording."""
    common = msgspec.structs.asdict(webhook)
    file = whole(payload.file or "")
    if payload.error is not None:
        return _Saved(**common, status="failure", error=whole(payload.error), recordings=[file])
    return _Saved(**common, status="success", bucket="", object_key=file, recording=file)


def _guid(word: str, event: EncodedEvent, connection: _Connection) -> str:
    """Identify the socket, the connection or the stream, as the event's category does."""
    if word == "websocket-connect":
        return str(event.session % 100_000)
    if word.startswith(("websocket-", "connection-")):
        return connection_guid(event.session)
    if event.context.stream is not None:
        return whole(event.context.stream)
    return f"{connection.app or ''}/{connection.id or ''}"


def connection_guid(session: int) -> str:
    """Write a session number the way Red5's connection ids look: 13 digits of base 36."""
    digits = ""
    while session:
        session, digit = divmod(session, 36)
        digits = _DIGITS[digit] + digits
    return digits.rjust(_ID_LENGTH, "0")


def _node_type(word: str, subscriber: bool) -> str:
    if word == "websocket-connect":
        return "undefined"
    return "TYPE_EDGE" if subscriber else "TYPE_ORIGIN"
