"""Reading the journalled body back, and writing what is made of it."""

from __future__ import annotations

import json
from typing import TypeVar

import msgspec

T = TypeVar("T")

_encoder = msgspec.json.Encoder()


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


def _whole(value: object) -> object:
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, dict):
        return {whole(key): _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return value
