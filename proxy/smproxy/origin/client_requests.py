"""Read what clients of either role send beside their stream: calls, mute, log. Sans-I/O.

Nothing here raises: what cannot be read counts as not sent.
"""

from __future__ import annotations

import contextlib

import msgspec
from msgspec import UNSET, Raw, UnsetType

from smproxy.origin.effects import (
    LogClientLine,
    Mute,
    PublisherMessage,
    SetOrientation,
    SharedObjectAction,
    SharedObjectRequest,
    Via,
)
from smproxy.signaling.messages import ClientMessage
from smproxy.signaling.redaction import Redactor

#: Names longer than this are refused: they travel in every report and hook.
MAX_NAME = 512
#: Lines of an SDK's log that are passed on, for each connection.
MAX_LOG_LINES = 200
#: Characters of such a line and of its level, and those that are looked through for secrets before it is cut.
MAX_LOG_TEXT = 500
MAX_LOG_LEVEL = 16
_MAX_LOG_READ = 16_384
#: Bytes of what a publisher sends to all of its subscribers at once, and of its method's name.
MAX_MESSAGE = 16_384
MAX_METHOD = 128
_MAX_TICKET = 64

UNNAMEABLE = "The stream name is empty, too long, or has a control character in it."


def nameable(name: str) -> bool:
    """Return whether a stream can have this name."""
    return 0 < len(name) <= MAX_NAME and name.isprintable()


class ClientLog:
    """The log lines of one client, as far as they are passed on, and without its secrets."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._lines = 0

    def read(self, level: str, message: ClientMessage) -> LogClientLine | None:
        """Take a line; ``None`` when there were too many."""
        self._lines += 1
        if self._lines > MAX_LOG_LINES:
            return None
        return LogClientLine(self._shown(level, MAX_LOG_LEVEL), self._shown(_log_text(message.message), MAX_LOG_TEXT))

    def _shown(self, text: str, limit: int) -> str:
        cut = len(text) > _MAX_LOG_READ
        return _printable(self._redactor.text(text[:_MAX_LOG_READ], cut=cut), limit)


class _Call(msgspec.Struct):
    method: str = ""
    arguments: list[Raw] | UnsetType | None = UNSET


class Call(msgspec.Struct, frozen=True):
    """A ``callAdapter`` request; the reply must name its ticket, and no other."""

    ticket: str
    method: str
    arguments: list[Raw]


def read_call(message: ClientMessage) -> Call | None:
    """Read a ``callAdapter`` request; ``None`` when it has no ticket, and so expects no reply."""
    if message.call_adapter is UNSET or message.id is UNSET or not message.id:
        return None
    call = _Call()
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        call = msgspec.json.decode(message.call_adapter, type=_Call)
    return Call(message.id[:_MAX_TICKET], call.method, call.arguments or [])


class _Path(msgspec.Struct):
    path: str


def read_path(call: Call) -> str | None:
    """Return the path that ``switchStreams`` asks for; ``None`` when there is none."""
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        return msgspec.json.decode(call.arguments[0], type=_Path).path if call.arguments else None
    return None


class _Mute(msgspec.Struct, rename="camel"):
    mute_audio: bool | None = None
    mute_video: bool | None = None


def read_mute(raw: Raw) -> list[Mute]:
    """Read the value of a ``mute``, which has one key or both."""
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        mute = msgspec.json.decode(raw, type=_Mute, strict=False)
        if mute.mute_audio is not None or mute.mute_video is not None:
            return [Mute(mute.mute_audio, mute.mute_video)]
    return []


def read_standby(raw: Raw) -> list[Mute]:
    """Read the value of a ``standby``, which is the mute of both kinds of SDK 9 and earlier."""
    with contextlib.suppress(msgspec.DecodeError):
        waiting = msgspec.json.decode(raw, type=bool, strict=False)
        return [Mute(waiting, waiting)]
    return []


class _SentMessage(msgspec.Struct):
    method: str
    data: Raw = Raw(b"{}")


class _Orientation(msgspec.Struct, rename="camel"):
    device_orientation: int | float


def read_publisher_message(raw: Raw) -> list[PublisherMessage | SetOrientation]:
    """Read the value of a ``send``, which may be a device's orientation.

    Too long ones are ignored.
    """
    if len(bytes(raw)) > MAX_MESSAGE:
        return []
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        message = msgspec.json.decode(raw, type=_SentMessage)
        if not 0 < len(message.method) <= MAX_METHOD:
            return []
        if message.method == "onMetaData":
            with contextlib.suppress(msgspec.DecodeError):
                turned = msgspec.json.decode(message.data, type=_Orientation, strict=False).device_orientation
                if -360 <= turned <= 360:
                    return [SetOrientation(turned)]
        return [PublisherMessage(message.method, message.data.copy())]  # a Raw keeps the whole frame alive
    return []


def read_shared_object(message: ClientMessage, via: Via) -> SharedObjectRequest | None:
    """Return what is asked of a shared object; ``None`` when nothing is."""
    for action, raw in (
        (SharedObjectAction.GET_REMOTE, message.shared_object_get_remote),
        (SharedObjectAction.CONNECT, message.shared_object_connect),
        (SharedObjectAction.SET_PROPERTY, message.shared_object_set_property),
        (SharedObjectAction.SEND, message.shared_object_send),
        (SharedObjectAction.CLOSE, message.shared_object_close),
    ):
        if raw is not UNSET:
            return SharedObjectRequest(action, bytes(raw), via)
    return None


def _log_text(raw: Raw | UnsetType) -> str:
    """Return the text of a log message; what is no string is shown as the JSON it came in."""
    if raw is UNSET:
        return ""
    with contextlib.suppress(msgspec.DecodeError):
        return msgspec.json.decode(raw, type=str)
    return bytes(raw).decode("utf-8", "replace")


def _printable(text: str, limit: int) -> str:
    """Return the beginning of a client's text without characters that could forge our log."""
    return "".join(c if c.isprintable() else " " for c in text[:limit])
