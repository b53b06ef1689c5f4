"""A client's side of the signaling, without I/O.

What is received goes in, what is to be done comes out.

What publisher and subscriber have in common. The order and the oddities are those of the vendor SDK (11 with the data channel
switch, 7.2 without): a connection status with a ``message`` is not looked at, and what arrives on the socket after the switch
is lost.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Literal, TypeAlias

import msgspec

from smproxy.signaling import messages
from smproxy.signaling.messages import Candidate

Channel: TypeAlias = Literal["ws", "dc"]

#: How servers say that they have no more candidates; some misspell it.
TRICKLE_ENDS = (messages.TRICKLE_COMPLETED, "NetConnection.ICE.TricleCompleted")


@dataclass(frozen=True, slots=True)
class SendText:
    """Send ``text`` on ``channel``."""

    channel: Channel
    text: str


@dataclass(frozen=True, slots=True)
class AddCandidate:
    """Add a remote candidate."""

    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Started:
    """The stream starts."""


@dataclass(frozen=True, slots=True)
class SwitchSoon:
    """The server can be reached on the data channel ``label``; call ``switch`` after the delay."""

    label: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The server refused the stream."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The server ended the live stream."""

    reason: str


class DialogueState(Enum):
    """How far the conversation is. Only a publisher asks for the end, and waits for it."""

    CONNECTING = auto()
    ASKING = auto()
    NEGOTIATING = auto()
    STARTING = auto()
    LIVE = auto()
    STOPPING = auto()
    OVER = auto()


class Dialogue(ABC):
    """One client's conversation. ``switched`` says that it has moved to the data channel."""

    #: The description that the server sends, for the message of a time-out.
    _description: str

    def __init__(self, stream: str, *, data_channel: bool, bypass_available: bool) -> None:
        self.stream = stream
        self.state = DialogueState.CONNECTING
        self.switched = False
        self._data_channel = data_channel
        self._bypass_available = bypass_available
        self._answered = False

    @property
    def live(self) -> bool:
        """Whether the server has started the stream and has not confirmed its end."""
        return self.state in (DialogueState.LIVE, DialogueState.STOPPING)

    @property
    def over(self) -> bool:
        """Whether nothing more is to be sent or received."""
        return self.state is DialogueState.OVER

    @property
    def awaited(self) -> str:
        """What the server is expected to send or do next, for the message of a time-out."""
        return {
            DialogueState.CONNECTING: messages.CONNECT_SUCCESS,
            DialogueState.ASKING: "reply to isAvailable",
            DialogueState.NEGOTIATING: "end of candidates" if self._answered else self._description,
            DialogueState.STARTING: f"'{self.stream} starting'",
            DialogueState.LIVE: "media transport",
            DialogueState.STOPPING: f"'{self.stream} stopping'",
            DialogueState.OVER: "end",
        }[self.state]

    def receive(self, text: str, channel: Channel) -> Sequence[Any]:
        """Take in one text frame of the server; return the actions that follow."""
        try:
            message = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return []
        if not isinstance(message, dict) or self.over or (channel == "ws" and self.switched):
            return []
        if channel == "ws" and "isAvailable" in message:
            asked = self.state is DialogueState.ASKING
            return self._availability(message["isAvailable"] is True) if asked else []
        return self._message(message, channel)

    def established(self) -> None:
        """Note that HTTP has set the stream up.

        What is left to be said goes over the data channel.
        """
        self.state = DialogueState.LIVE
        self.switched = True

    def switch(self, label: str) -> list[SendText]:
        """Leave the socket for the data channel."""
        if self.state is not DialogueState.LIVE or self.switched:
            return []
        action = self._text({"switchChannel": label})
        self.switched = True
        return [action]

    @abstractmethod
    def _availability(self, exists: bool) -> Sequence[Any]:
        """Take in whether there is such a stream."""

    @abstractmethod
    def _question(self) -> dict[str, Any]:
        """Return what is asked when the connection is accepted."""

    @abstractmethod
    def _negotiate(self) -> Sequence[Any]:
        """Begin to negotiate media."""

    @abstractmethod
    def _message(self, message: dict[str, Any], channel: Channel) -> Sequence[Any]:
        """Take in any other message."""

    def _text(self, message: Mapping[str, Any]) -> SendText:
        """Write a message for the current channel, in the form that the SDK has there."""
        if self.switched:
            return SendText("dc", json.dumps(message, indent=2, ensure_ascii=False))
        return SendText("ws", json.dumps(message, separators=(",", ":"), ensure_ascii=False))

    def _trickle(
        self, kind: Literal["offer", "answer"], more: Mapping[str, Any], sdp: str, candidates: Sequence[Candidate]
    ) -> list[SendText]:
        """Write a description, each candidate as a browser trickles it, and the end of them."""
        lines: list[dict[str, Any]] = [
            {f"handle{kind.title()}": self.stream, **more, "data": {"sdp": {"sdp": sdp, "type": kind}}}
        ]
        who = {"requestId": more["requestId"]} if "requestId" in more else {}
        for candidate in candidates:
            lines.append({"handleCandidate": self.stream, **who, "data": {"candidate": msgspec.to_builtins(candidate)}})
        # The end marker has no requestId, in every SDK.
        lines.append({"handleCandidate": self.stream, "data": {"candidate": {"type": "candidate", "candidate": ""}}})
        return [self._text(line) for line in lines]

    def _connection_status(self, data: Mapping[str, Any]) -> Sequence[Any] | None:
        """Take in the status of the connection; ``None`` when it is something else."""
        kind, code = data.get("type"), data.get("code")
        if kind == "status" and code == messages.CONNECT_SUCCESS:
            return self._connected()
        if kind == "status" and code == messages.DATA_CHANNEL_AVAILABLE:
            if not self._data_channel or self.state is not DialogueState.LIVE:
                return []
            label = data.get("description")
            return [SwitchSoon(label if isinstance(label, str) and label else "red5pro")]
        rejected = code == messages.CONNECT_REJECTED and kind in ("status", "error")
        if rejected or (code == messages.CONNECT_FAILED and kind == "error"):
            return self._refuse(str(code), "")
        return None

    def _connected(self) -> Sequence[Any]:
        if self.state is not DialogueState.CONNECTING:
            return []
        if self._bypass_available:
            return self._negotiate()
        self.state = DialogueState.ASKING
        return [self._text(self._question())]

    def _candidate(self, raw: Any) -> list[AddCandidate]:
        """Read a candidate; the end of candidates is none."""
        try:
            candidate = msgspec.convert(raw, Candidate)
        except msgspec.ValidationError:
            return []
        return [AddCandidate(candidate)] if candidate.candidate else []

    def _refuse(self, code: str, text: str) -> list[Refused]:
        self.state = DialogueState.OVER
        return [Refused(code, text)]


def names(text: Any, word: str, stream: str) -> bool:
    """Return whether a status is about the stream, by the SDK's pattern ``<name> starting``."""
    found = re.search(rf"(.*) {word}", text, re.IGNORECASE) if isinstance(text, str) else None
    return found is not None and found.group(1) == stream
