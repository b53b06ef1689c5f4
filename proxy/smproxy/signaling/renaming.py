"""Another stream name between a client and its origin, in the messages of both. Sans-I/O."""

from __future__ import annotations

from typing import Any

import msgspec

#: The keys of a client's message whose value is the name of its stream.
_NAMING = frozenset(
    {
        "isAvailable",
        "handleOffer",
        "handleAnswer",
        "handleCandidate",
        "publish",
        "unpublish",
        "requestOffer",
        "subscribe",
    }
)


class Renaming:
    """Gives a client's stream the name ``name`` at its origin.

    The client reads the name that it uses itself. The vendor's SDK ignores a status that begins with another name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._own: str | None = None

    def to_origin(self, text: bytes) -> str | None:
        """Return what goes on in place of a client's message; ``None``: the message as it came."""
        message = _read_object(text)
        named = [key for key in message if key in _NAMING]
        if not named:
            return None
        self._own = next((message[key] for key in named if isinstance(message[key], str)), self._own)
        return _write(message | dict.fromkeys(named, self._name))

    def to_client(self, text: bytes) -> str | None:
        """Return what goes on in place of an origin's message; ``None``: the message as it came."""
        message = _read_object(text)
        data = message.get("data")
        status = data.get("message") if isinstance(data, dict) else None
        if self._own is None or not isinstance(status, str) or not status.startswith(f"{self._name} "):
            return None
        return _write(message | {"data": {**message["data"], "message": self._own + status[len(self._name) :]}})


def _read_object(text: bytes) -> dict[str, Any]:
    """Return a message that is a JSON object, an empty one of what is none."""
    try:
        message = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _write(message: dict[str, Any]) -> str:
    return msgspec.json.encode(message).decode()
