"""Reading the journalled body back, and writing what is made of it."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_encoder = msgspec.json.Encoder()


class HookConnection(msgspec.Struct, rename={"customer_scope": "customerScope"}):
    """The connection in an event's body."""

    id: str | None
    username: str | None
    customer_scope: str | None
    app: str | None
    role: str
    meta: dict[str, Any] | None = None
    transport: str = "websocket"


class HookPayload(msgspec.Struct):
    """The payload in an event's body: the fields of every kind of payload that there is."""

    remote_ip: str | None = None
    after_ms: int | None = None
    duration: int | None = None
    reason: int | None = None
    error: int | str | None = None
    peer: str = ""
    room: str = ""
    track: int | str | None = None
    kind: int | None = None
    remote_peer: str | None = None
    remote_track: str | None = None
    file: str | None = None
    size: int | None = None
    bytes: int | None = None


class HookBody(msgspec.Struct):
    """An event's body, as formats of other servers read it."""

    node: int
    payload: HookPayload
    connection: HookConnection


_body_decoder = msgspec.json.Decoder(HookBody)


def read_body(body: bytes) -> HookBody:
    """Read all of a body that formats of other servers need."""
    return read(_body_decoder, body)


def read(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode ``body``; a lone surrogate in a client's text becomes a question mark if it must."""
    try:
        return decoder.decode(body)
    except msgspec.DecodeError:
        return decoder.decode(json.dumps(_whole(json.loads(body))).encode("ascii"))


def write(message: object) -> bytes:
    """Encode ``message`` as compact JSON."""
    return _encoder.encode(message)


def whole(text: str) -> str:
    """Return ``text`` as UTF-8 can express it: with a question mark for each lone surrogate.

    The journal does the same: an event that is read back from it is told like one that never left memory.
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def stream_of(scope_and_name: str | None, connection: HookConnection) -> tuple[str, str]:
    """Return scope and name of the stream that an event is about."""
    if scope_and_name is not None:
        scope, _, name = whole(scope_and_name).rpartition("/")
        return scope, name
    return connection.app or "", connection.id or ""


def _whole(value: object) -> object:
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, dict):
        return {whole(key): _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return value
