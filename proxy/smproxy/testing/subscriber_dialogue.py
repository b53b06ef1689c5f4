"""A subscriber's side of the signaling, without I/O: what is heard goes in, what is to be done comes out.

The order and the oddities are those of the vendor SDK (11 or 7.2): a connection status with a ``message`` is not looked at,
``subscribe`` is said each time that trickling is said to be over, application data on the socket needs a ``data`` beside it, a
ticket is answered only by something true on the transport on which it was drawn, and there is no word for leaving.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Literal, TypeAlias

import msgspec

from smproxy.signaling import messages
from smproxy.signaling.messages import Candidate
from smproxy.testing.dialogue import Channel, Ended, Refused, Say, Started, SwitchSoon, TakeCandidate, names

Sdk: TypeAlias = Literal[7, 11]

INVALID_NAME = "Subscribe.InvalidName"


@dataclass(frozen=True, slots=True)
class TakeOffer:
    """Apply the offer and make an answer; then call ``answered``."""

    sdp: str


@dataclass(frozen=True, slots=True)
class Unpublished:
    """The publisher has gone."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """The stream's metadata, as far as they are told now."""

    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Invoke:
    """The publisher, or the server, calls a method of the page; ``data`` is its argument."""

    method: str
    data: Any


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to the call with this ticket: what it returned, or in which words it failed."""

    ticket: str
    data: Any = None
    error: str | None = None


Action: TypeAlias = (
    Say | TakeOffer | TakeCandidate | Started | SwitchSoon | Unpublished | Metadata | Invoke | Reply | Refused | Ended
)


class State(Enum):
    """How far the conversation is."""

    CONNECTING = auto()
    ASKING = auto()
    OFFERED = auto()
    SUBSCRIBING = auto()
    LIVE = auto()
    OVER = auto()


class SubscriberDialogue:
    """One subscriber's conversation. ``switched`` says that it has moved to the data channel."""

    def __init__(
        self,
        stream: str,
        request_id: str,
        *,
        sdk: Sdk = 11,
        data_channel: bool = True,
        video_encoding: str | None = None,
        audio_encoding: str | None = None,
        bypass_available: bool = False,
        rng: random.Random,
    ) -> None:
        self.stream = stream
        self.request_id = request_id
        self.state = State.CONNECTING
        self.switched = False
        self._sdk = sdk
        self._data_channel = data_channel and sdk > 7
        self._encodings = {"videoEncoding": video_encoding, "audioEncoding": audio_encoding}
        self._bypass_available = bypass_available
        self._rng = rng
        self._answered = False
        #: Tickets that are out, with the transport on which they were drawn.
        self._tickets: dict[str, Channel] = {}

    @property
    def live(self) -> bool:
        """Whether the server has started the stream."""
        return self.state is State.LIVE

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
            State.OFFERED: "end of candidates" if self._answered else "offer",
            State.SUBSCRIBING: f"'{self.stream} starting'",
            State.LIVE: "media transport",
            State.OVER: "end",
        }[self.state]

    def heard(self, text: str, channel: Channel) -> list[Action]:
        """Take in one text frame of the server."""
        message = _object(text)
        if message is None or self.over or (channel == "ws" and self.switched):
            return []
        if channel == "ws" and "isAvailable" in message:
            return self._availability(message["isAvailable"] is True)
        if message.get("async") and message.get("id"):
            return self._reply(message, channel)
        if channel == "dc" and "method" in message:
            return _called(message["method"], message.get("data"))
        data = message.get("data")
        if isinstance(data, dict):
            handled = self._data(data, channel)
            if handled is not None:
                return handled
        if message.get("type") == "metadata":
            return _metadata(message)
        said = message.get("send")
        if isinstance(said, dict) and self._sdk > 7 and (channel == "dc" or "data" in message):
            return _called(said.get("method"), said.get("data"))
        return []

    def answered(self, sdp: str, candidates: Sequence[Candidate]) -> list[Action]:
        """Say the answer, then each candidate as a browser trickles them, then the end of candidates."""
        self._answered = True
        who = {"requestId": self.request_id}
        lines: list[dict[str, Any]] = [
            {"handleAnswer": self.stream, **who, "data": {"sdp": {"sdp": sdp, "type": "answer"}}}
        ]
        for candidate in candidates:
            lines.append({"handleCandidate": self.stream, **who, "data": {"candidate": msgspec.to_builtins(candidate)}})
        # The end marker has no requestId, in every SDK.
        lines.append({"handleCandidate": self.stream, "data": {"candidate": {"type": "candidate", "candidate": ""}}})
        return [self._say(line) for line in lines]

    def switch(self, label: str) -> list[Action]:
        """Leave the socket for the data channel."""
        if not self.live or self.switched:
            return []
        action = self._say({"switchChannel": label})
        self.switched = True
        return [action]

    def tell(self, message: Mapping[str, Any]) -> list[Action]:
        """Say something that expects no reply, on whichever channel is current."""
        return [self._say(message)]

    def call(self, method: str, arguments: Sequence[Any]) -> tuple[str, Say]:
        """Call a method of the server's application; returns the ticket and what to say."""
        ticket = f"{self._rng.randrange(0x10000):x}"
        while ticket in self._tickets:
            ticket = f"{self._rng.randrange(0x10000):x}"
        self._tickets[ticket] = "dc" if self.switched else "ws"
        call = {"callAdapter": {"method": method, "arguments": list(arguments)}, "id": ticket, "async": True}
        return ticket, self._say(call)

    def forget(self, ticket: str) -> None:
        """Wait for a ticket no longer."""
        self._tickets.pop(ticket, None)

    def _say(self, message: Mapping[str, Any]) -> Say:
        if self.switched:
            return Say("dc", json.dumps(message, indent=2, ensure_ascii=False))
        return Say("ws", json.dumps(message, separators=(",", ":"), ensure_ascii=False))

    def _availability(self, exists: bool) -> list[Action]:
        if self.state is not State.ASKING:
            return []
        if not exists:
            return self._refused(INVALID_NAME, f"Stream {self.stream} does not exist.")
        return self._request_offer()

    def _request_offer(self) -> list[Action]:
        self.state = State.OFFERED
        request: dict[str, Any] = {
            "requestOffer": self.stream,
            "requestId": self.request_id,
            "transport": "udp",
        }
        if self._sdk > 7:
            request |= {"datachannel": self._data_channel, "doNotSwitch": False}
            request |= {key: wish for key, wish in self._encodings.items() if wish is not None}
        return [self._say(request)]

    def _reply(self, message: dict[str, Any], channel: Channel) -> list[Action]:
        ticket = str(message["id"])
        if self._tickets.get(ticket) != channel:
            return []
        data = message.get("data")
        if data or isinstance(data, dict | list):  # what JavaScript takes for true
            self.forget(ticket)
            return [Reply(ticket, data)]
        error = message.get("error")
        if isinstance(error, dict):
            self.forget(ticket)
            return [Reply(ticket, error=str(error.get("message", "")))]
        return []  # with nothing true in it, the SDK's promise stays open

    def _data(self, data: dict[str, Any], channel: Channel) -> list[Action] | None:
        """Look at ``data``; ``None`` when the rest of the message is to be looked at."""
        kind, code, text = data.get("type"), data.get("code"), data.get("message")
        if channel == "ws" and "message" not in data:
            handled = self._connection_status(kind, code, data)
            if handled is not None:
                return handled
        if kind == "error" and "message" in data:
            # On a live stream, and on the data channel, the SDK has an event for it and goes on.
            before = not self.live and channel == "ws"
            return self._refused(str(code or "error"), str(text)) if before else []
        if messages.PLAY_UNPUBLISH_NOTIFY in (code, data.get("status")):
            return self._unpublished()
        if kind == "status" and code == messages.CONNECT_CLOSED:
            self.state = State.OVER
            return [Ended(messages.CONNECT_CLOSED)]
        if channel == "ws":
            handled = self._negotiation(data)
            if handled is not None:
                return handled
        if kind == "status":
            if self.state is State.SUBSCRIBING and isinstance(text, str) and names(text, "starting", self.stream):
                self.state = State.LIVE
                return [Started()]
            return []
        return None

    def _connection_status(self, kind: Any, code: Any, data: dict[str, Any]) -> list[Action] | None:
        if kind == "status" and code == messages.CONNECT_SUCCESS:
            return self._connected()
        if kind == "status" and code == messages.DATA_CHANNEL_AVAILABLE:
            if not self._data_channel or not self.live:
                return []
            label = data.get("description")
            return [SwitchSoon(label if isinstance(label, str) and label else "red5pro")]
        rejected = code == messages.CONNECT_REJECTED and kind in ("status", "error")
        if rejected or (code == messages.CONNECT_FAILED and kind == "error"):
            return self._refused(str(code), "")
        return None

    def _connected(self) -> list[Action]:
        if self.state is not State.CONNECTING:
            return []
        if self._bypass_available and self._sdk > 7:
            return self._request_offer()
        self.state = State.ASKING
        return [self._say({"isAvailable": self.stream})]

    def _negotiation(self, data: dict[str, Any]) -> list[Action] | None:
        sdp = data.get("sdp")
        if isinstance(sdp, dict) and sdp.get("type") == "offer" and isinstance(sdp.get("sdp"), str):
            fresh = self.state is State.OFFERED and not self._answered
            return [TakeOffer(sdp["sdp"])] if fresh else []
        if "candidate" in data:
            return _candidate(data["candidate"])
        if data.get("type") == "status" and data.get("code") in (
            messages.TRICKLE_COMPLETED,
            "NetConnection.ICE.TricleCompleted",
        ):
            if self.state in (State.CONNECTING, State.ASKING):
                return []
            if self.state is State.OFFERED:
                self.state = State.SUBSCRIBING
            return [self._say({"subscribe": self.stream, "requestId": self.request_id})]
        return None

    def _unpublished(self) -> list[Action]:
        if self._sdk == 7:
            return [Unpublished()]
        self.state = State.OVER
        return [Unpublished(), Ended(messages.PLAY_UNPUBLISH_NOTIFY)]

    def _refused(self, code: str, text: str) -> list[Action]:
        self.state = State.OVER
        return [Refused(code, text)]


def _object(text: str) -> dict[str, Any] | None:
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def _candidate(raw: Any) -> list[Action]:
    try:
        candidate = msgspec.convert(raw, Candidate)
    except msgspec.ValidationError:
        return []
    # A subscriber's SDK makes the candidate anew from its m-line index; without one it throws, and the candidate is lost.
    return [TakeCandidate(candidate)] if candidate.candidate and candidate.sdp_mline_index is not None else []


def _metadata(message: dict[str, Any]) -> list[Action]:
    data = message.get("data") if "data" in message else message.get("metadata")
    method = message.get("method")
    if isinstance(method, str) and method != "onMetaData":
        return [Invoke(method, data)]
    return [Metadata(data)] if isinstance(data, dict) else []


def _called(method: Any, data: Any) -> list[Action]:
    if not isinstance(method, str):
        return []
    if method == "onMetaData" and isinstance(data, dict):
        return [Metadata(data)]
    return [Invoke(method, data)]
