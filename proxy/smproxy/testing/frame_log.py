"""A bounded record of the signaling frames of one client."""

from __future__ import annotations

from collections import deque
from typing import Literal, NamedTuple

from smproxy.signaling.clock import monotonic
from smproxy.testing.dialogue import Channel

#: How many frames a log keeps.
FRAME_LOG = 1000


class LoggedFrame(NamedTuple):
    """One signaling message, or one request or answer of WHIP and WHEP (``http``).

    ``t_ms`` counts milliseconds since ``publish()`` was called.
    """

    t_ms: float
    channel: Channel | Literal["http"]
    sender: Literal["client", "server"]
    text: str


class FrameLog(deque[LoggedFrame]):
    """The last ``FRAME_LOG`` frames, oldest first."""

    def __init__(self) -> None:
        super().__init__(maxlen=FRAME_LOG)
        self.restart()

    def restart(self) -> None:
        """Count time from now."""
        self._t0 = monotonic()

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the start."""
        return round((monotonic() - self._t0) * 1000, 1)

    def add(self, channel: Channel | Literal["http"], sender: Literal["client", "server"], text: str) -> None:
        """Note a frame."""
        self.append(LoggedFrame(self.elapsed_ms, channel, sender, text))
