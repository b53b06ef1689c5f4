"""What clients send on the signaling channel, one JSON object per text frame. Sans-I/O.

Reading is tolerant: what is no JSON object is ``None``, what nobody knows is an empty message, a number is taken as text and
numeric text as a number, and ``null`` is as if the key were not there. What cannot be taken is an :class:`UnusableMessage`,
which says why, if the client waits for an answer: the vendor SDK does so without a time-out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType


class SessionDescription(msgspec.Struct, frozen=True):
    """An SDP offer or answer as ``RTCSessionDescription`` has it."""

    type: str
    sdp: str


class Candidate(msgspec.Struct, frozen=True, rename={"sdp_mid": "sdpMid", "sdp_mline_index": "sdpMLineIndex"}):
    """An ICE candidate in the browser's JSON form.

    An empty ``candidate`` means the end of candidates.
    """

    candidate: str = ""
    sdp_mid: str | None = None
    sdp_mline_index: int | None = None


class ClientData(msgspec.Struct, frozen=True):
    """The ``data`` of a client message."""

    sdp: SessionDescription | UnsetType = UNSET
    candidate: Candidate | UnsetType = UNSET


class ClientVerb(msgspec.Struct, frozen=True, rename="camel"):
    """What a client's message asks for, without what it brings; a relay reads no more."""

    is_available: str | UnsetType = UNSET
    bundle: bool | UnsetType = UNSET
    handle_offer: str | UnsetType = UNSET
    publish: str | UnsetType = UNSET
    unpublish: str | UnsetType = UNSET
    request_offer: str | UnsetType = UNSET
    subscribe: str | UnsetType = UNSET
    switch_channel: str | UnsetType = UNSET


class ClientMessage(ClientVerb, frozen=True, rename="camel"):
    """Every message a publisher or subscriber of SDK 5.0.0 to 14.3.0 may send.

    The key that is set names the message.
    """

    handle_answer: str | UnsetType = UNSET
    handle_candidate: str | UnsetType = UNSET
    request_id: str | UnsetType = UNSET
    transport: str | UnsetType = UNSET
    datachannel: bool | UnsetType = UNSET
    do_not_switch: bool | UnsetType = UNSET
    mode: str | UnsetType = UNSET
    key_framerate: int | float | UnsetType | None = UNSET
    video_encoding: str | UnsetType = UNSET
    audio_encoding: str | UnsetType = UNSET
    data: ClientData | UnsetType = UNSET
    mute: Raw | UnsetType = UNSET
    standby: Raw | UnsetType = UNSET
    send: Raw | UnsetType = UNSET
    log: str | UnsetType = UNSET
    message: Raw | UnsetType = UNSET
    call_adapter: Raw | UnsetType = UNSET
    shared_object_get_remote: Raw | UnsetType = UNSET
    shared_object_connect: Raw | UnsetType = UNSET
    shared_object_set_property: Raw | UnsetType = UNSET
    shared_object_send: Raw | UnsetType = UNSET
    shared_object_close: Raw | UnsetType = UNSET
    id: str | UnsetType = UNSET


class UnusableMessage(ClientMessage, frozen=True, kw_only=True):
    """A message with a value whose type cannot be used.

    It is that of ``key``, in the message that ``verb`` names.

    ``reason`` is a sentence.
    """

    verb: str
    key: str
    reason: str


_decoder = msgspec.json.Decoder(ClientMessage)
_verb_decoder = msgspec.json.Decoder(ClientVerb)
_raw_decoder = msgspec.json.Decoder(dict[str, Raw])
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
#: Characters of a value that a reason repeats.
_SHOWN = 40


def read_client(frame: bytes | str) -> ClientMessage | None:
    """Parse a client's frame; ``None`` when it is not a JSON object."""
    try:
        return _decoder.decode(frame)
    except msgspec.ValidationError:
        return _read_leniently(frame)
    except _UNREADABLE:
        return None


def read_client_verb(frame: bytes | str) -> ClientVerb | None:
    """Parse what names the message in a client's frame.

    ``None`` when it is not a JSON object.
    """
    try:
        return _verb_decoder.decode(frame)
    except msgspec.ValidationError:
        return _read_leniently(frame)
    except _UNREADABLE:
        return None


def _read_leniently(frame: bytes | str) -> ClientMessage | None:
    """Read each value by itself.

    The slow path, for messages whose types are not as they should be.
    """
    try:
        values = _raw_decoder.decode(frame)
    except _UNREADABLE:
        return None
    taken: dict[str, Any] = {}
    verb = next((each for each in values if each in _ANSWERED), None)
    for key, raw in values.items():
        if key not in _READERS or (bytes(raw) == b"null" and key in _OPTIONAL):
            continue
        try:
            taken[_FIELDS[key]] = _READERS[key](bytes(raw))
        except ValueError as exc:
            if verb is None:
                continue
            return UnusableMessage(verb=verb, key=key, reason=f'"{key}" must be {exc}, not {_shown(bytes(raw))}.')
    return ClientMessage(**taken)


def _shown(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace")
    kinds = {"{": "an object", "[": "a list", "n": "null", "t": "true", "f": "false"}
    return kinds.get(text[:1]) or "".join(c if c.isprintable() else " " for c in text[:_SHOWN])


def _is_number(raw: bytes) -> bool:
    return raw[:1] in b"-0123456789"


def _text(raw: bytes) -> str:
    if _is_number(raw):
        return raw.decode()
    try:
        return msgspec.json.decode(raw, type=str)
    except _UNREADABLE:
        raise ValueError("text") from None


def _anything(raw: bytes) -> str:
    """Read a value that nobody looks at; the key alone says what is meant."""
    try:
        return _text(raw)
    except ValueError:
        return ""


def _flag(raw: bytes) -> bool:
    match raw.strip(b'"').lower():
        case b"true" | b"1":
            return True
        case b"false" | b"0" | b"":
            return False
        case _:
            raise ValueError("true or false")


def _number(raw: bytes) -> float | None:
    try:
        text = _text(raw).strip()
        if text in ("", "null", "undefined"):
            return None
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError("a number")
    return value


def _data(raw: bytes) -> ClientData:
    """Read each part of ``data`` by itself.

    A candidate that cannot be read is none that is needed.
    """
    try:
        parts = _raw_decoder.decode(raw)
    except _UNREADABLE:
        raise ValueError("an object") from None
    try:
        return ClientData(sdp=msgspec.json.decode(parts["sdp"], type=SessionDescription))
    except KeyError:
        return ClientData()
    except _UNREADABLE:
        raise ValueError('an object whose "sdp" has the texts "type" and "sdp"') from None


_TEXTS = (
    "isAvailable", "handleOffer", "handleAnswer", "publish", "requestOffer", "subscribe", "requestId", "transport", "mode",
    "videoEncoding", "audioEncoding", "id",
)  # fmt: skip
_SHARED_OBJECT = (
    "sharedObjectGetRemote", "sharedObjectConnect", "sharedObjectSetProperty", "sharedObjectSend", "sharedObjectClose",
)  # fmt: skip
_READERS: Mapping[str, Callable[[bytes], Any]] = {
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(("unpublish", "handleCandidate", "switchChannel", "log"), _anything),
    **dict.fromkeys(("bundle", "datachannel", "doNotSwitch"), _flag),
    **dict.fromkeys(("mute", "standby", "send", "message", "callAdapter", *_SHARED_OBJECT), Raw),
    "keyFramerate": _number,
    "data": _data,
}
#: Messages that a client waits for an answer to; of all others what cannot be taken is left out.
_ANSWERED = frozenset({"isAvailable", "handleOffer", "handleAnswer", "publish", "requestOffer", "subscribe"})
#: Keys whose ``null`` is as if they were not there.
_OPTIONAL = _READERS.keys() - _ANSWERED - {"unpublish", "switchChannel"}
_FIELDS = dict(zip(ClientMessage.__struct_encode_fields__, ClientMessage.__struct_fields__, strict=True))
