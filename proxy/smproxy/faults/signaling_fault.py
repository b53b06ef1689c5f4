"""Faults of one connection's signaling: the messages in both directions and their changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Literal, Protocol, TypeAlias

from msgspec import UNSET

from smproxy.faults.kind import FaultKind, Layer
from smproxy.signaling import messages
from smproxy.signaling.messages import ClientMessage, ServerMessage
from smproxy.signaling.payloads import ConnectError

Side: TypeAlias = Literal["client", "origin"]

_NO_CLIENT_MESSAGE = ClientMessage()
_NO_SERVER_MESSAGE = ServerMessage()


class Message:
    """One message.

    ``text`` is ``None`` for a binary one; ``frames`` are its frames as they came, if they came.
    """

    def __init__(self, text: bytes | str | None, frames: bytes = b"") -> None:
        self.raw = text
        self.frames = frames

    @property
    def text(self) -> str | None:
        """The message."""
        return self.raw.decode() if isinstance(self.raw, bytes) else self.raw

    @cached_property
    def client(self) -> ClientMessage:
        """It, read as a message of a client; empty when it cannot be read."""
        return (None if self.raw is None else messages.read_client(self.raw)) or _NO_CLIENT_MESSAGE

    @cached_property
    def server(self) -> ServerMessage:
        """It, read as a message of an origin; empty when it cannot be read."""
        return (None if self.raw is None else messages.read_server(self.raw)) or _NO_SERVER_MESSAGE

    @property
    def code(self) -> str:
        """The code of an origin's status or error."""
        data = self.server.data
        return data.code if data is not UNSET and data.code is not UNSET else ""

    @property
    def says_starting(self) -> bool:
        """Whether an origin's message starts a stream."""
        return self._status_ends_with(" starting")

    @property
    def says_stopping(self) -> bool:
        """Whether an origin's message stops a stream."""
        return self._status_ends_with(" stopping")

    def _status_ends_with(self, word: str) -> bool:
        data = self.server.data
        return (
            data is not UNSET and data.type == "status" and data.message is not UNSET and word in data.message.lower()
        )


class SignalingSession(Protocol):
    """The session, as a fault acts on it beside letting messages pass.

    Nothing is done once the session is over.
    """

    def send(self, to: Side, text: str) -> None:
        """Send a message to one side now."""

    def forward(self, to: Side, messages: Sequence[Message]) -> None:
        """Send messages on that were kept."""

    def close(self, code: int, reason: str) -> None:
        """Close both sides, soon; code 1006 cuts them off without a Close frame."""

    def report_refusal(self, error: ConnectError) -> None:
        """Emit the hooks of a refusal, as if the origin had refused the client."""

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something later, unless the session is over by then."""

    def acted(self, detail: str = "") -> None:
        """Note that the fault has acted, which counts once for each session."""


class SignalingFault(FaultKind):
    """The effect of one fault on one session.

    The methods get each message, and return what goes on in its place.
    """

    layer = Layer.SIGNALING
    whip = "not touched"
    session: SignalingSession

    def opened(self) -> None:
        """Both sides are connected."""

    def from_client(self, message: Message) -> Sequence[Message]:
        """Take a client's message."""
        return (message,)

    def from_origin(self, message: Message) -> Sequence[Message]:
        """Take an origin's message."""
        return (message,)

    def delay(self, sender: Side) -> float:
        """Return for how many seconds what ``sender`` sent just now is kept; order is always kept."""
        return 0.0


class SocketFault(SignalingFault):
    """A fault that keeps the client on its socket.

    The notice on which an SDK leaves the socket is withheld.
    """

    def from_origin(self, message: Message) -> Sequence[Message]:
        """Withhold the notice."""
        return () if message.code == messages.DATA_CHANNEL_AVAILABLE else (message,)
