"""A session as ``smproxy sessions export`` writes it, and how frames are compared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from smproxy.signaling import messages

Sender: TypeAlias = Literal["client", "server"]
Via: TypeAlias = Literal["socket", "channel", "http"]

#: Stands in a transcript for a password or token that was removed.
REMOVED = "***"

#: What a server says when media, or a data channel, has come up: in no fixed order with the rest.
OF_MEDIA = frozenset({"NetStream.Publish.IsAvailable", "NetStream.Play.Start", messages.DATA_CHANNEL_AVAILABLE})

#: What a server says because of another client, the publisher: that cannot be had again at will.
OF_OTHERS = frozenset({"metadata", "send", "NetStream.Play.UnpublishNotify", "NetStream.Play.PublishNotify"})

_MAX_BYTES = 64 * 1024 * 1024


class TranscriptError(ValueError):
    """A file is no exported session, or cannot be played; the text is one line."""


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """One line of a transcript.

    ``close`` is the code of a close; ``omitted`` says that frames are missing from here on.
    """

    line: int
    sender: Sender
    via: Via
    text: str = ""
    close: int | None = None
    closed: bool = False
    omitted: int = 0

    @property
    def message(self) -> dict[str, Any]:
        """The message; empty when the frame is none."""
        return read_object(self.text)

    @property
    def of_media(self) -> bool:
        """Whether a server sends this only when media or a data channel is up."""
        return self.sender == "server" and _code(self.message) in OF_MEDIA


@dataclass(frozen=True, slots=True)
class SessionTranscript:
    """``dialed`` is the URL of the client, without secrets; ``None`` when the file does not say."""

    dialed: str | None
    frames: tuple[RecordedFrame, ...]

    @classmethod
    def read(cls, path: Path) -> SessionTranscript:
        """Read a file.

        Raises:
            TranscriptError: it cannot be read, or is no transcript.
        """
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise TranscriptError(f"{path} is too big for a transcript")
            lines = path.read_text(encoding="utf-8").split("\n")
        except OSError as error:
            raise TranscriptError(f"{path}: {(error.strerror or str(error)).lower()}") from None
        except UnicodeDecodeError:
            raise TranscriptError(f"{path} is no text: it takes what `smproxy sessions export` writes") from None
        return cls.parse(lines, str(path))

    @classmethod
    def parse(cls, lines: Iterable[str], name: str = "the transcript") -> SessionTranscript:
        """Read lines.

        Raises:
            TranscriptError: a line is none of a transcript, or nothing was said by a client.
        """
        dialed, frames = None, []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            entry = read_object(line)
            if entry.get("via") == "auth":
                continue
            if entry.get("kind") == "session":
                dialed = entry.get("url") if isinstance(entry.get("url"), str) else None
            elif (frame := _read_frame(number, entry)) is not None:
                frames.append(frame)
            else:
                raise TranscriptError(f"{name}, line {number}: no frame of a session: {line[:60]!r}")
        if not frames:
            raise TranscriptError(f"{name} has no frames: it takes what `smproxy sessions export` writes")
        return cls(dialed, tuple(frames))

    @property
    def over_http(self) -> bool:
        """Whether the client spoke WHIP or WHEP."""
        return any(frame.via == "http" for frame in self.frames)

    @property
    def had_media(self) -> bool:
        """Whether media, or the data channel, came up when it was recorded."""
        return any(frame.of_media or frame.via == "channel" for frame in self.frames)

    def url(self, base: str, given: dict[str, str]) -> str:
        """Return the URL to dial.

        The place of ``base``, with the recorded parameters, or those ``given`` in their stead.

        A parameter that is given empty is left out. Raises :class:`TranscriptError` for one that was removed and is not given.
        """
        place = urlsplit(base)
        try:
            dialed = urlsplit(self.dialed or "/streammanager/")
        except ValueError:
            raise TranscriptError(f"the transcript's URL cannot be read: {self.dialed!r}") from None
        recorded = parse_qsl(dialed.query.replace("+", "%2B"), keep_blank_values=True)
        there = parse_qsl(place.query.replace("+", "%2B"), keep_blank_values=True)
        parameters = dict(recorded) | dict(there) | given
        removed = [key for key, value in parameters.items() if value == REMOVED]
        if removed:
            ways = ", ".join("--password" if key == "password" else f"--param {key}=VALUE" for key in removed)
            raise TranscriptError(f"the transcript was written without its {', '.join(removed)}: give {ways}")
        query = "&".join(f"{_quoted(key)}={_quoted(value)}" for key, value in parameters.items() if value)
        path = place.path if place.path.strip("/") else unquote(dialed.path)
        return urlunsplit((place.scheme, place.netloc, path, query, ""))


def read_object(text: str) -> dict[str, Any]:
    """Read a JSON object; an empty one when the text is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def server_says(text: str) -> str | None:
    """Describe what counts in a server's message.

    ``None`` for candidates and for what another client did.

    Descriptions, candidates and numbers differ each time by nature. Of a description the kinds of its media count, and
    which of them are refused.
    """
    message = read_object(text)
    if "isAvailable" in message:
        return f"isAvailable {json.dumps(message['isAvailable'])}"
    data = message.get("data")
    if OF_OTHERS.intersection((str(message.get("type")), _code(message), *message)):
        return None
    if not isinstance(data, dict):
        return f"a message with {', '.join(sorted(message)) or 'nothing that can be read'}"
    if "candidate" in data:
        return None
    if isinstance(data.get("sdp"), dict):
        return f"{data['sdp'].get('type')} with {_media(str(data['sdp'].get('sdp', '')))}"
    words = [str(data[key]) for key in ("type", "code") if key in data]
    if "message" in data:
        words.append(repr(re.sub(r"\d+", "#", str(data["message"]))))
    return " ".join(words) or f"data with {', '.join(sorted(data)) or 'nothing'}"


def client_says(text: str) -> str:
    """Describe a client's message."""
    message = read_object(text)
    key = next(iter(message), "a text that is no message")
    value = message.get(key)
    return f"{key} {value}" if isinstance(value, str) else key


def _media(sdp: str) -> str:
    kinds = []
    for section in re.findall(r"(?m)^m=(\w+) (\d+)", sdp):
        kinds.append(section[0] if section[1] != "0" else f"{section[0]} refused")
    return ", ".join(kinds) or "no media"


def _code(message: dict[str, Any]) -> str | None:
    data = message.get("data")
    code = data.get("code") if isinstance(data, dict) else None
    return code if isinstance(code, str) else None


def _read_frame(number: int, entry: dict[str, Any]) -> RecordedFrame | None:
    try:
        return _frame(number, entry)
    except RecursionError:
        return None


def _frame(number: int, entry: dict[str, Any]) -> RecordedFrame | None:
    if entry.get("from") not in ("client", "origin", "proxy", "server"):
        return None
    sender: Sender = "client" if entry["from"] == "client" else "server"
    known: dict[object, Via] = {"channel": "channel", "http": "http"}
    via = known.get(str(entry.get("via")), "socket")
    if isinstance(entry.get("message"), dict):
        return RecordedFrame(
            number, sender, via, json.dumps(entry["message"], separators=(",", ":"), ensure_ascii=False)
        )
    if isinstance(entry.get("close"), dict):
        code = entry["close"].get("code")
        return RecordedFrame(number, sender, via, close=code if isinstance(code, int) else None, closed=True)
    if isinstance(entry.get("omitted"), int):
        return RecordedFrame(number, sender, via, omitted=entry["omitted"])
    if isinstance(entry.get("text"), str):
        return RecordedFrame(number, sender, via, entry["text"])
    return RecordedFrame(number, sender, via) if "text" in entry else None


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")
