"""Which stream a client's message is about, before it is answered. Sans-I/O."""

from __future__ import annotations

from msgspec import UNSET

from smproxy.origin.client_requests import nameable, read_call, read_path
from smproxy.signaling import messages
from smproxy.signaling.messages import ClientMessage, UnusableMessage


def wanted_stream(frame: str | bytes, scope: str) -> tuple[str, str] | None:
    """Return scope and name of the stream that a client wants to watch, or asks for.

    A publisher's question whether its name is free is about no stream.
    """
    message = _read(frame)
    if message is None:
        return None
    name = ""
    if message.request_offer is not UNSET:
        name = message.request_offer
    elif message.subscribe is not UNSET:
        name = message.subscribe
    elif message.is_available is not UNSET and message.bundle is UNSET:
        name = message.is_available
    elif message.call_adapter is not UNSET:
        call = read_call(message)
        if call is not None and call.method == "switchStreams":
            where, _, name = (read_path(call) or "").strip("/").rpartition("/")
            scope = where or scope
    return (scope, name) if nameable(name) else None


def asked_name(frame: str | bytes) -> str | None:
    """Return the name of which a client asks whether somebody has it."""
    message = _read(frame)
    return message.is_available if message is not None and message.is_available is not UNSET else None


def _read(frame: str | bytes) -> ClientMessage | None:
    message = None if isinstance(frame, bytes) else messages.read_client(frame)
    return None if isinstance(message, UnusableMessage) else message
