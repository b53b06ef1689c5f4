"""A subscriber's side of the signaling.

As in the SDK ``subscribe`` is sent each time that trickling is said to be over, application data on the socket needs a ``data``
beside it, a ticket is answered only by something true on the transport on which it was drawn, and no message tells of leaving.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from smproxy.signaling import messages
from smproxy.signaling.messages import Candidate
from smproxy.testing.dialogue import (
    TRICKLE_ENDS,
    AddCandidate,
    Channel,
    Dialogue,
    DialogueState,
    Ended,
    Refused,
    SendText,
    Started,
    SwitchSoon,
    names,
)

Sdk: TypeAlias = Literal[7, 11]

INVALID_NAME = "Subscribe.InvalidName"


@dataclass(frozen=True, slots=True)
class ApplyOffer:
    """Apply the offer and make an answer; then call ``answered``."""

    sdp: str


@dataclass(frozen=True, slots=True)
class Unpublished:
    """The publisher has gone."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """The stream's metadata, as far as they are sent now."""

    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Invoke:
    """The publisher, or the server, calls a method of the page; ``data`` is its argument."""

    method: str
    data: Any


@dataclass(frozen=True, slots=True)
class CallResult:
    """The answer to the call with this ticket.

    What it returned, or the error text with which it failed.
    """

    ticket: str
    data: Any = None
    error: str | None = None


Action: TypeAlias = (
    SendText
    | ApplyOffer
    | AddCandidate
    | Started
    | SwitchSoon
    | Unpublished
    | Metadata
    | Invoke
    | CallResult
    | Refused
    | Ended
)


class SubscriberDialogue(Dialogue):
    """One subscriber's conversation."""

    _description = "offer"

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
        super().__init__(stream, data_channel=data_channel and sdk > 7, bypass_available=bypass_available and sdk > 7)
        self.request_id = request_id
        self._sdk = sdk
        self._encodings = {"videoEncoding": video_encoding, "audioEncoding": audio_encoding}
        self._rng = rng
        #: Tickets that are out, with the transport on which they were drawn.
        self._tickets: dict[str, Channel] = {}

    def answered(self, sdp: str, candidates: Sequence[Candidate]) -> list[SendText]:
        """Send the answer and the candidates."""
        self._answered = True
        return self._trickle("answer", {"requestId": self.request_id}, sdp, candidates)

    def send(self, message: Mapping[str, Any]) -> list[Action]:
        """Send something that expects no reply, on whichever channel is current."""
        return [self._text(message)]

    def call(self, method: str, arguments: Sequence[Any]) -> tuple[str, SendText]:
        """Call a method of the server's application; returns the ticket and what to send."""
        ticket = f"{self._rng.randrange(0x10000):x}"
        while ticket in self._tickets:
            ticket = f"{self._rng.randrange(0x10000):x}"
        self._tickets[ticket] = "dc" if self.switched else "ws"
        call = {"callAdapter": {"method": method, "arguments": list(arguments)}, "id": ticket, "async": True}
        return ticket, self._text(call)

    def forget(self, ticket: str) -> None:
        """Wait for a ticket no longer."""
        self._tickets.pop(ticket, None)

    def _question(self) -> dict[str, Any]:
        return {"isAvailable": self.stream}

    def _availability(self, exists: bool) -> Sequence[Action]:
        if not exists:
            return self._refuse(INVALID_NAME, f"Stream {self.stream} does not exist.")
        return self._negotiate()

    def _negotiate(self) -> list[Action]:
        self.state = DialogueState.NEGOTIATING
        request: dict[str, Any] = {
            "requestOffer": self.stream,
            "requestId": self.request_id,
            "transport": "udp",
        }
        if self._sdk > 7:
            request |= {"datachannel": self._data_channel, "doNotSwitch": False}
            request |= {key: wish for key, wish in self._encodings.items() if wish is not None}
        return [self._text(request)]

    def _message(self, message: dict[str, Any], channel: Channel) -> Sequence[Action]:
        if message.get("async") and message.get("id"):
            return self._result(message, channel)
        if channel == "dc" and "method" in message:
            return _called(message["method"], message.get("data"))
        data = message.get("data")
        if isinstance(data, dict):
            handled = self._data(data, channel)
            if handled is not None:
                return handled
        if message.get("type") == "metadata":
            return _metadata(message)
        sent = message.get("send")
        if isinstance(sent, dict) and self._sdk > 7 and (channel == "dc" or "data" in message):
            return _called(sent.get("method"), sent.get("data"))
        return []

    def _result(self, message: dict[str, Any], channel: Channel) -> list[Action]:
        ticket = str(message["id"])
        if self._tickets.get(ticket) != channel:
            return []
        data = message.get("data")
        if data or isinstance(data, dict | list):  # what JavaScript takes for true
            self.forget(ticket)
            return [CallResult(ticket, data)]
        error = message.get("error")
        if isinstance(error, dict):
            self.forget(ticket)
            return [CallResult(ticket, error=str(error.get("message", "")))]
        return []  # with nothing true in it, the SDK's promise stays open

    def _data(self, data: dict[str, Any], channel: Channel) -> Sequence[Action] | None:
        """Look at ``data``; ``None`` when the rest of the message is to be looked at."""
        kind, code, text = data.get("type"), data.get("code"), data.get("message")
        if channel == "ws" and "message" not in data:
            handled = self._connection_status(data)
            if handled is not None:
                return handled
        if kind == "error" and "message" in data:
            # On a live stream, and on the data channel, the SDK has an event for it and goes on.
            before = not self.live and channel == "ws"
            return self._refuse(str(code or "error"), str(text)) if before else []
        if messages.PLAY_UNPUBLISH_NOTIFY in (code, data.get("status")):
            return self._unpublished()
        if kind == "status" and code == messages.CONNECT_CLOSED:
            self.state = DialogueState.OVER
            return [Ended(messages.CONNECT_CLOSED)]
        if channel == "ws":
            handled = self._negotiation(data)
            if handled is not None:
                return handled
        if kind == "status":
            if self.state is DialogueState.STARTING and names(text, "starting", self.stream):
                self.state = DialogueState.LIVE
                return [Started()]
            return []
        return None

    def _negotiation(self, data: dict[str, Any]) -> Sequence[Action] | None:
        sdp = data.get("sdp")
        if isinstance(sdp, dict) and sdp.get("type") == "offer" and isinstance(sdp.get("sdp"), str):
            fresh = self.state is DialogueState.NEGOTIATING and not self._answered
            return [ApplyOffer(sdp["sdp"])] if fresh else []
        if "candidate" in data:
            # A subscriber's SDK makes the candidate anew from its m-line index; without one it throws and loses the candidate.
            return [each for each in self._candidate(data["candidate"]) if each.candidate.sdp_mline_index is not None]
        if data.get("type") == "status" and data.get("code") in TRICKLE_ENDS:
            if self.state in (DialogueState.CONNECTING, DialogueState.ASKING):
                return []
            if self.state is DialogueState.NEGOTIATING:
                self.state = DialogueState.STARTING
            return [self._text({"subscribe": self.stream, "requestId": self.request_id})]
        return None

    def _unpublished(self) -> list[Action]:
        if self._sdk == 7:
            return [Unpublished()]
        self.state = DialogueState.OVER
        return [Unpublished(), Ended(messages.PLAY_UNPUBLISH_NOTIFY)]


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
