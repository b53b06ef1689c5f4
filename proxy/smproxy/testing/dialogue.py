"""A publisher's side of the signaling, without I/O: what is heard goes in, what is to be done comes out.

The order and the oddities are those of the vendor SDK (11 with the data channel switch, 7.2 without): a connection status
with a ``message`` is not looked at, ``publish`` waits for the answer and the end of trickling, an error on the data channel
rejects nothing, and what arrives on the socket after the switch is lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Literal, TypeAlias

import msgspec

from smproxy.signaling import messages
from smproxy.signaling.messages import Candidate, ServerData

Channel: TypeAlias = Literal["ws", "dc"]
Mode: TypeAlias = Literal["live", "record", "append"]


@dataclass(frozen=True, slots=True)
class Say:
    """Send ``text`` on ``channel``."""

    channel: Channel
    text: str


@dataclass(frozen=True, slots=True)
class MakeOffer:
    """Create the offer and gather candidates; then call ``offered``."""


@dataclass(frozen=True, slots=True)
class TakeAnswer:
    """Apply the answer; then call ``answer_applied``."""

    sdp: str


@dataclass(frozen=True, slots=True)
class TakeCandidate:
    """Add a remote candidate."""

    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Started:
    """The server said that the stream starts."""


@dataclass(frozen=True, slots=True)
class SwitchSoon:
    """The server can be talked to on the data channel ``label``; call ``switch`` after the delay."""

    label: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The server confirmed the unpublish."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The server refused the stream."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The server ended the live stream."""

    reason: str


Action: TypeAlias = Say | MakeOffer | TakeAnswer | TakeCandidate | Started | SwitchSoon | Stopped | Refused | Ended


class State(Enum):
    """How far the conversation is."""

    CONNECTING = auto()
    ASKING = auto()
    OFFERING = auto()
    PUBLISHING = auto()
    LIVE = auto()
    STOPPING = auto()
    OVER = auto()


class Dialogue:
    """One publisher's conversation. ``switched`` says that it has moved to the data channel."""

    def __init__(
        self,
        stream: str,
        data_channel: bool = True,
        mode: Mode = "live",
        key_framerate: int | None = 3000,
        bypass_available: bool = False,
    ) -> None:
        self.stream = stream
        self.state = State.CONNECTING
        self.switched = False
        self._data_channel = data_channel
        self._mode = mode
        self._key_framerate = key_framerate
        self._bypass_available = bypass_available
        self._answered = False
        self._trickled = False

    @property
    def live(self) -> bool:
        """Whether the server has started the stream and the end was not confirmed yet."""
        return self.state in (State.LIVE, State.STOPPING)

    @property
    def over(self) -> bool:
        """Whether everything was said."""
        return self.state is State.OVER

    @property
    def awaited(self) -> str:
        """What the server is expected to say or do next, for the message of a time-out."""
        return {
            State.CONNECTING: messages.CONNECT_SUCCESS,
            State.ASKING: "reply to isAvailable",
            State.OFFERING: "end of candidates" if self._answered else "answer",
            State.PUBLISHING: f"'{self.stream} starting'",
            State.LIVE: "media transport",
            State.STOPPING: f"'{self.stream} stopping'",
            State.OVER: "end",
        }[self.state]

    def heard(self, text: str, channel: Channel) -> list[Action]:
        """Take in one text frame of the server."""
        message = messages.read_server(text)
        if message is None or self.state is State.OVER or (channel == "ws" and self.switched):
            return []
        if channel == "ws" and message.is_available is not msgspec.UNSET:
            return self._availability(message.is_available is True)
        data = message.data
        if data is msgspec.UNSET:
            return []
        if data.message is msgspec.UNSET:
            handled = self._connection_status(data, channel, text)
            if handled is not None:
                return handled
        elif data.type == "error" and channel == "ws":
            return self._stream_error(data)
        if channel == "ws":
            if data.sdp is not msgspec.UNSET and data.sdp.type == "answer" and self.state is State.OFFERING:
                return [TakeAnswer(data.sdp.sdp)]
            if data.candidate is not msgspec.UNSET:
                return self._candidate(data.candidate)
        return self._stream_status(data)

    def offered(self, sdp: str, candidates: Sequence[Candidate]) -> list[Action]:
        """Say the offer, then each candidate as a browser trickles them, then the end of candidates."""
        self.state = State.OFFERING
        lines: list[dict[str, Any]] = [
            {"handleOffer": self.stream, "transport": "udp", "data": {"sdp": {"sdp": sdp, "type": "offer"}}}
        ]
        lines += [{"handleCandidate": self.stream, "data": {"candidate": msgspec.to_builtins(c)}} for c in candidates]
        lines.append({"handleCandidate": self.stream, "data": {"candidate": {"type": "candidate", "candidate": ""}}})
        return [self._say(line) for line in lines]

    def answer_applied(self) -> list[Action]:
        """Note that the answer was applied."""
        self._answered = True
        return self._publish_when_ready()

    def switch(self, label: str) -> list[Action]:
        """Leave the socket for the data channel."""
        if self.state is not State.LIVE or self.switched:
            return []
        action = self._say({"switchChannel": label})
        self.switched = True
        return [action]

    def unpublish(self) -> list[Action]:
        """Ask the server to end the stream, on whichever channel is current."""
        if self.state in (State.STOPPING, State.OVER):
            return []
        self.state = State.STOPPING
        return [self._say({"unpublish": self.stream})]

    def tell(self, message: dict[str, Any]) -> list[Action]:
        """Say something that expects no reply, ``mute`` or ``send``, while the stream is live."""
        return [self._say(message)] if self.state is State.LIVE else []

    def _say(self, message: dict[str, Any]) -> Say:
        if self.switched:
            return Say("dc", json.dumps(message, indent=2, ensure_ascii=False))
        return Say("ws", json.dumps(message, separators=(",", ":"), ensure_ascii=False))

    def _connection_status(self, data: ServerData, channel: Channel, text: str) -> list[Action] | None:
        code, kind = data.code, data.type
        if channel == "dc":
            if kind == "status" and code == messages.CONNECT_CLOSED:
                if self.state is not State.LIVE:
                    return []
                # The SDK answers on the channel on which it was told.
                self.state = State.STOPPING
                return [Say("dc", json.dumps({"unpublish": self.stream}, indent=2)), Ended(messages.CONNECT_CLOSED)]
            return None
        if kind == "status" and code == messages.CONNECT_SUCCESS:
            return self._connected()
        if kind == "status" and code == messages.DATA_CHANNEL_AVAILABLE:
            if not self._data_channel or self.state is not State.LIVE:
                return []
            return [SwitchSoon(description(text) or "red5pro")]
        rejected = code == messages.CONNECT_REJECTED and kind in ("status", "error")
        failed = code == messages.CONNECT_FAILED and kind == "error"
        if rejected or failed:
            return self._refused(str(code), "")
        return None

    def _connected(self) -> list[Action]:
        if self.state is not State.CONNECTING:
            return []
        if self._bypass_available:
            self.state = State.OFFERING
            return [MakeOffer()]
        self.state = State.ASKING
        return [self._say({"isAvailable": self.stream, "bundle": self._data_channel})]

    def _availability(self, exists: bool) -> list[Action]:
        if self.state is not State.ASKING:
            return []
        if exists:
            text = f"Stream with name {self.stream} already has a broadcast session."
            return self._refused("Publish.InvalidName", text)
        self.state = State.OFFERING
        return [MakeOffer()]

    def _stream_error(self, data: ServerData) -> list[Action]:
        code = data.code if isinstance(data.code, str) else "error"
        text = data.message if isinstance(data.message, str) else ""
        if self.state is State.LIVE:
            return [*self.unpublish(), Ended(f"{code}: {text}")]
        goodbye = self.unpublish() if self.state is State.PUBLISHING else []
        return [*goodbye, *self._refused(code, text)]

    def _refused(self, code: str, text: str) -> list[Action]:
        self.state = State.OVER
        return [Refused(code, text)]

    def _candidate(self, raw: msgspec.Raw) -> list[Action]:
        try:
            candidate = msgspec.json.decode(raw, type=Candidate)
        except msgspec.DecodeError:
            return []
        return [TakeCandidate(candidate)] if candidate.candidate else []

    def _stream_status(self, data: ServerData) -> list[Action]:
        if data.type != "status":
            return []
        if data.code in (messages.TRICKLE_COMPLETED, "NetConnection.ICE.TricleCompleted"):
            self._trickled = True
            return self._publish_when_ready()
        text = data.message if isinstance(data.message, str) else ""
        if self.state is State.PUBLISHING and names(text, "starting", self.stream):
            self.state = State.LIVE
            return [Started()]
        if self.state is State.STOPPING and names(text, "stopping", self.stream):
            self.state = State.OVER
            return [Stopped()]
        return []

    def _publish_when_ready(self) -> list[Action]:
        if not (self._answered and self._trickled) or self.state is not State.OFFERING:
            return []
        self.state = State.PUBLISHING
        message: dict[str, Any] = {"publish": self.stream, "mode": self._mode}
        if self._key_framerate is not None:
            message["keyFramerate"] = self._key_framerate
        return [self._say(message)]


def description(text: str) -> str | None:
    """Read the label of the data channel from its notice."""
    label = json.loads(text)["data"].get("description")
    return label if isinstance(label, str) else None


def names(text: str, word: str, stream: str) -> bool:
    """Say whether a status is about the stream, by the SDK's pattern: ``<name> starting``."""
    found = re.search(rf"(.*) {word}", text, re.IGNORECASE)
    return found is not None and found.group(1) == stream
