"""A publisher's side of the signaling.

As in the SDK ``publish`` waits for the answer and the end of trickling, and an error on the data channel rejects nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
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

Mode: TypeAlias = Literal["live", "record", "append"]


@dataclass(frozen=True, slots=True)
class CreateOffer:
    """Create the offer and gather candidates; then call ``offered``."""


@dataclass(frozen=True, slots=True)
class ApplyAnswer:
    """Apply the answer; then call ``answer_applied``."""

    sdp: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The server confirmed the unpublish."""


Action: TypeAlias = (
    SendText | CreateOffer | ApplyAnswer | AddCandidate | Started | SwitchSoon | Stopped | Refused | Ended
)


class PublisherDialogue(Dialogue):
    """One publisher's conversation."""

    _description = "answer"

    def __init__(
        self,
        stream: str,
        data_channel: bool = True,
        mode: Mode = "live",
        key_framerate: int | None = 3000,
        bypass_available: bool = False,
    ) -> None:
        super().__init__(stream, data_channel=data_channel, bypass_available=bypass_available)
        self._mode = mode
        self._key_framerate = key_framerate
        self._trickled = False

    def offered(self, sdp: str, candidates: Sequence[Candidate]) -> list[SendText]:
        """Send the offer and the candidates."""
        self.state = DialogueState.NEGOTIATING
        return self._trickle("offer", {"transport": "udp"}, sdp, candidates)

    def answer_applied(self) -> list[Action]:
        """Note that the answer was applied."""
        self._answered = True
        return self._publish_when_ready()

    def unpublish(self) -> list[Action]:
        """Ask the server to end the stream, on whichever channel is current."""
        if self.state in (DialogueState.STOPPING, DialogueState.OVER):
            return []
        self.state = DialogueState.STOPPING
        return [self._text({"unpublish": self.stream})]

    def send(self, message: dict[str, Any]) -> list[Action]:
        """Send something that expects no reply, ``mute`` or ``send``, while the stream is live."""
        return [self._text(message)] if self.state is DialogueState.LIVE else []

    def _question(self) -> dict[str, Any]:
        return {"isAvailable": self.stream, "bundle": self._data_channel}

    def _availability(self, exists: bool) -> Sequence[Action]:
        if exists:
            text = f"Stream with name {self.stream} already has a broadcast session."
            return self._refuse("Publish.InvalidName", text)
        return self._negotiate()

    def _negotiate(self) -> list[Action]:
        self.state = DialogueState.NEGOTIATING
        return [CreateOffer()]

    def _message(self, message: dict[str, Any], channel: Channel) -> Sequence[Action]:
        data = message.get("data")
        if not isinstance(data, dict):
            return []
        if "message" not in data:
            handled = self._connection_status(data) if channel == "ws" else self._closed_on_channel(data)
            if handled is not None:
                return handled
        elif data.get("type") == "error" and channel == "ws":
            return self._stream_error(data)
        if channel == "ws":
            sdp = data.get("sdp")
            if isinstance(sdp, dict) and sdp.get("type") == "answer" and self.state is DialogueState.NEGOTIATING:
                return [ApplyAnswer(str(sdp.get("sdp")))]
            if "candidate" in data:
                return self._candidate(data["candidate"])
        return self._stream_status(data)

    def _closed_on_channel(self, data: dict[str, Any]) -> list[Action] | None:
        if data.get("type") != "status" or data.get("code") != messages.CONNECT_CLOSED:
            return None
        if self.state is not DialogueState.LIVE:
            return []
        # The SDK answers on the channel on which it was told.
        self.state = DialogueState.STOPPING
        return [SendText("dc", json.dumps({"unpublish": self.stream}, indent=2)), Ended(messages.CONNECT_CLOSED)]

    def _stream_error(self, data: dict[str, Any]) -> list[Action]:
        code, text = data.get("code"), data.get("message")
        code = code if isinstance(code, str) else "error"
        text = text if isinstance(text, str) else ""
        if self.state is DialogueState.LIVE:
            return [*self.unpublish(), Ended(f"{code}: {text}")]
        last = self.unpublish() if self.state is DialogueState.STARTING else []
        return [*last, *self._refuse(code, text)]

    def _stream_status(self, data: dict[str, Any]) -> list[Action]:
        if data.get("type") != "status":
            return []
        if data.get("code") in TRICKLE_ENDS:
            self._trickled = True
            return self._publish_when_ready()
        text = data.get("message")
        if self.state is DialogueState.STARTING and names(text, "starting", self.stream):
            self.state = DialogueState.LIVE
            return [Started()]
        if self.state is DialogueState.STOPPING and names(text, "stopping", self.stream):
            self.state = DialogueState.OVER
            return [Stopped()]
        return []

    def _publish_when_ready(self) -> list[Action]:
        if not (self._answered and self._trickled) or self.state is not DialogueState.NEGOTIATING:
            return []
        self.state = DialogueState.STARTING
        message: dict[str, Any] = {"publish": self.stream, "mode": self._mode}
        if self._key_framerate is not None:
            message["keyFramerate"] = self._key_framerate
        return [self._text(message)]
