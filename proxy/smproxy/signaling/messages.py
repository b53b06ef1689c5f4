"""The origins' messages of the signaling channel, one JSON object per text frame.

:mod:`client_messages` has the clients'.

Reading is tolerant: a message that cannot be parsed, or that nobody knows, is ``None`` or an empty message, never an
exception; real pages send both. Writing is strict, because the vendor SDK waits without a time-out for most replies and
ignores one that has a key too many: a connection status must not carry ``message``, a stream status must.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Raw, UnsetType

from smproxy.signaling.client_messages import Candidate as Candidate
from smproxy.signaling.client_messages import ClientData as ClientData
from smproxy.signaling.client_messages import ClientMessage as ClientMessage
from smproxy.signaling.client_messages import ClientVerb as ClientVerb
from smproxy.signaling.client_messages import SessionDescription as SessionDescription
from smproxy.signaling.client_messages import UnusableMessage as UnusableMessage
from smproxy.signaling.client_messages import read_client as read_client
from smproxy.signaling.client_messages import read_client_verb as read_client_verb


class ServerStatus(msgspec.Struct, frozen=True):
    """What the ``data`` of a server message says, without the media that it describes."""

    type: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    message: str | UnsetType = UNSET


class ServerNotice(msgspec.Struct, frozen=True, rename="camel"):
    """What a server's message says, as far as a relay reads along."""

    is_available: bool | str | UnsetType = UNSET
    data: ServerStatus | UnsetType = UNSET


class ServerData(ServerStatus, frozen=True):
    """The ``data`` of a server message."""

    status: str | UnsetType = UNSET
    sdp: SessionDescription | UnsetType = UNSET
    candidate: Raw | UnsetType = UNSET


class ServerMessage(ServerNotice, frozen=True, rename="camel"):
    """Every message an origin may send, with the fields that the proxy or a test client reads."""

    data: ServerData | UnsetType = UNSET


class _Reply(msgspec.Struct, frozen=True, rename={"async_": "async"}):
    id: str
    async_: bool
    data: Raw | UnsetType = UNSET


_NOTHING_SAID = ServerMessage()
_reply_decoder = msgspec.json.Decoder(_Reply)
_server_decoder = msgspec.json.Decoder(ServerMessage)
_notice_decoder = msgspec.json.Decoder(ServerNotice)
_encoder = msgspec.json.Encoder()


def read_server(frame: bytes | str) -> ServerMessage | None:
    """Parse an origin's frame; ``None`` when it is not a message."""
    try:
        return _server_decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _NOTHING_SAID if _is_ticket_reply(frame) else None


def read_server_notice(frame: bytes | str) -> ServerNotice | None:
    """Parse as much of an origin's frame as says something; ``None`` when it is not a message."""
    try:
        return _notice_decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _NOTHING_SAID if _is_ticket_reply(frame) else None


def _is_ticket_reply(frame: bytes | str) -> bool:
    """Return whether this answers a ``callAdapter``: its ``data`` may be anything."""
    try:
        return bool(_reply_decoder.decode(frame).async_)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


CONNECT_SUCCESS = "NetConnection.Connect.Success"
CONNECT_REJECTED = "NetConnection.Connect.Rejected"
CONNECT_FAILED = "NetConnection.Connect.Failed"
CONNECT_CLOSED = "NetConnection.Connect.Closed"
TRICKLE_COMPLETED = "NetConnection.ICE.TrickleCompleted"
DATA_CHANNEL_AVAILABLE = "NetConnection.DataChannel.Available"
PUBLISH_START = "NetStream.Publish.Start"
PUBLISH_AVAILABLE = "NetStream.Publish.IsAvailable"
UNPUBLISH_SUCCESS = "NetStream.Unpublish.Success"
PLAY_START = "NetStream.Play.Start"
PLAY_PUBLISH_NOTIFY = "NetStream.Play.PublishNotify"
PLAY_UNPUBLISH_NOTIFY = "NetStream.Play.UnpublishNotify"


def _text(message: object) -> str:
    return _encoder.encode(message).decode()


def connect_status(code: str) -> str:
    """Write a connection status.

    It has no ``message``: with one the SDK would not look at the code.
    """
    return _text({"data": {"type": "status", "code": code}})


def connect_error(code: str) -> str:
    """Write a code-only error, the form in which the SDK recognises ``Rejected`` and ``Failed``."""
    return _text({"data": {"type": "error", "code": code}})


def data_channel_available(label: str = "red5pro") -> str:
    """Write the notice on which the SDK leaves the socket for its data channel."""
    return _text({"data": {"type": "status", "code": DATA_CHANNEL_AVAILABLE, "description": label}})


def availability(exists: bool) -> str:
    """Write the reply to ``isAvailable``: whether the stream exists.

    Top level and a boolean, or the SDK waits for ever.
    """
    return _text({"isAvailable": exists})


def answer(sdp: str) -> str:
    """Write an SDP answer."""
    return _text({"data": {"sdp": {"type": "answer", "sdp": sdp}}})


def offer(sdp: str) -> str:
    """Write an SDP offer."""
    return _text({"data": {"sdp": {"type": "offer", "sdp": sdp}}})


def stream_status(code: str, message: str) -> str:
    """Write a stream status; SDKs match ``message``, for instance ``"<name> starting"``."""
    return _text({"data": {"type": "status", "code": code, "message": message}})


def publish_starting(stream: str) -> str:
    """Write the status on which ``publish()`` resolves."""
    return stream_status(PUBLISH_START, f"{stream} starting")


def publish_available(stream: str) -> str:
    """Write the notice that the stream can be subscribed to."""
    return stream_status(PUBLISH_AVAILABLE, f"{stream} is now available.")


def unpublish_stopping(stream: str) -> str:
    """Write the status on which ``unpublish()`` resolves.

    Never unsolicited: the SDK would throw.
    """
    return stream_status(UNPUBLISH_SUCCESS, f"{stream} stopping")


def play_starting(stream: str) -> str:
    """Write the status on which ``subscribe()`` resolves."""
    return stream_status(PLAY_START, f"{stream} starting")


def unpublish_notify(*, channel: bool) -> str:
    """Write the notice to a subscriber that its stream ended, in the form each transport has.

    Never to a publisher.
    """
    if channel:
        return _text({"data": {"status": PLAY_UNPUBLISH_NOTIFY}})
    return _text({"data": {"type": "status", "code": PLAY_UNPUBLISH_NOTIFY}})


def metadata(values: dict[str, str | int | float] | Raw) -> str:
    """Write the metadata of a stream.

    These are ``streamingMode``, ``resolution``, ``orientation``, or what a publisher sent.
    """
    return _text({"type": "metadata", "data": values})


def publisher_said(method: str, data: Raw, sender: str, channel: str = "red5pro") -> str:
    """Write what a publisher sent to its subscribers; ``data`` is passed on as it came.

    The SDK looks at ``send`` only beside a ``data`` at top level.
    """
    said = {"method": method, "data": data}
    return _text({"data": {}, "send": said, "senderName": sender, "dcLabel": channel})


def publisher_invoked(method: str, data: Raw) -> str:
    """Write the same for an SDK before 8, which knows ``send`` only in this form."""
    return _text({"type": "metadata", "method": method, "data": data})


def stream_switched() -> str:
    """Write the notice that another stream is shown now."""
    return _text({"data": {"type": "result", "message": "Stream switch: Success"}})


def stream_error(code: str, message: str) -> str:
    """Write an error with a reason.

    Fatal for a pending ``publish()`` of SDK 8 and later, so only for real failures.
    """
    return _text({"data": {"type": "error", "code": code, "message": message}})


def adapter_error(ticket: str, message: str) -> str:
    """Write the refusal of a ``callAdapter`` request."""
    return _text({"async": True, "id": ticket, "error": {"message": message}})


def adapter_reply(ticket: str, data: object) -> str:
    """Write the reply to a ``callAdapter`` request.

    JavaScript must hold ``data`` for true, or the page waits for ever.
    """
    return _text({"async": True, "id": ticket, "data": data})
