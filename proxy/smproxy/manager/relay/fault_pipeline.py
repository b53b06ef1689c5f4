"""Pass each message of one connection through its signaling faults, in both directions."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from smproxy.faults.signaling_fault import Message, Side, SignalingFault
from smproxy.manager.relay.frames import text_frame
from smproxy.manager.relay.leg import Leg
from smproxy.manager.relay.observer import TranscriptWriter
from smproxy.manager.relay.origin_filter import OriginFilter, let_through
from smproxy.manager.relay.rewrite import Rewriter, rewritten
from smproxy.signaling.payloads import ConnectError
from smproxy.tasks import Timers

logger = logging.getLogger(__name__)

#: The close code that stands for a connection without a Close frame (RFC 6455, 7.4.1).
ABNORMAL = 1006


class Closable(Protocol):
    """The relayed connection, as its faults end it."""

    def close(self, code: int, reason: str) -> None:
        """End both legs with a Close frame."""

    def abort(self) -> None:
        """End both legs at once."""


@dataclass(frozen=True, slots=True)
class _Attached:
    """The connection of a pipeline, while it lasts."""

    connection: Closable
    legs: Mapping[Side, Leg]
    rng: random.Random
    transcript: TranscriptWriter | None


class _PipelineSession:
    """What one fault can do; a :class:`smproxy.faults.signaling_fault.SignalingSession`."""

    def __init__(self, pipeline: FaultPipeline, acted: Callable[[str], None]) -> None:
        self._pipeline = pipeline
        self._acted = acted
        self._noted = False

    def send(self, to: Side, text: str) -> None:
        self._pipeline.send(to, text)

    def forward(self, to: Side, messages: Sequence[Message]) -> None:
        self._pipeline.write(to, self._pipeline.frames(to, messages))

    def close(self, code: int, reason: str) -> None:
        # Not from within a message: what came before it in the same data is yet to be written.
        self.later(0, partial(self._pipeline.end, code, reason))

    def report_refusal(self, error: ConnectError) -> None:
        self.later(0, partial(self._pipeline.report_refusal, error))

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        self._pipeline.later(seconds, work)

    def acted(self, detail: str = "") -> None:
        if not self._noted:
            self._noted = True
            self._acted(detail)


class FaultPipeline:
    """The faults of one connection, in their order. :meth:`attach` joins them to the connection.

    Each fault comes with a callable that notes that it has acted. A fault that raises is logged, and the message goes on as if
    there were no such fault.
    """

    def __init__(
        self,
        faults: Sequence[tuple[SignalingFault, Callable[[str], None]]],
        *,
        report_refusal: Callable[[ConnectError], None],
        origin_filter: OriginFilter | None = None,
        rewriter: Rewriter | None = None,
    ) -> None:
        self.report_refusal = report_refusal
        self._faults = [fault for fault, _ in faults]
        self._passes = None if origin_filter is None else let_through(origin_filter)
        self._rewriter = rewriter
        self._attached: _Attached | None = None
        self._timers = Timers()
        for fault, acted in faults:
            fault.session = _PipelineSession(self, acted)

    def attach(
        self, connection: Closable, client: Leg, origin: Leg, rng: random.Random, transcript: TranscriptWriter | None
    ) -> None:
        """Attach to a connection.

        ``transcript`` gets what the faults themselves send to the client.
        """
        self._attached = _Attached(connection, {"client": client, "origin": origin}, rng, transcript)

    def opened(self) -> None:
        """Both legs are up."""
        for fault in self._faults:
            self._guarded(fault.opened)

    def from_client(self, text: bytes | None, frames: bytes) -> bytes:
        """Return what goes on to the origin in place of a client's message."""
        other = None if self._rewriter is None else rewritten(self._rewriter.to_origin, text)
        passed = [Message(text, frames) if other is None else Message(other)]
        for fault in self._faults:
            passed = [after for message in passed for after in self._through(fault.from_client, message)]
        return self.frames("origin", passed)

    def from_origin(self, text: bytes | None, frames: bytes) -> bytes:
        """Return what goes on to the client in place of an origin's message."""
        if self._passes is not None and not self._passes(text, frames):
            return b""
        other = None if self._rewriter is None else rewritten(self._rewriter.to_client, text)
        passed = [Message(text, frames) if other is None else Message(other)]
        for fault in self._faults:
            passed = [after for message in passed for after in self._through(fault.from_origin, message)]
        return self.frames("client", passed)

    def delay(self, sender: Side) -> float:
        """Return for how many seconds the latest data of ``sender`` is kept."""
        return sum(fault.delay(sender) for fault in self._faults)

    def frames(self, to: Side, messages: Sequence[Message]) -> bytes:
        """Return the frames of messages: as they came, or one new frame for each made by a fault."""
        attached = self._attached
        if attached is None:
            return b""
        out = b""
        for message in messages:
            if not message.frames and message.text is not None:
                # The mask need not be unpredictable: the payload is our own (RFC 6455, 5.3).
                out += text_frame(message.text, attached.rng.randbytes(4) if to == "origin" else None)
                if attached.transcript is not None and to == "client":
                    # What it answers is noted only when its frames have gone through the filter, at the end of this turn.
                    asyncio.get_running_loop().call_soon(attached.transcript.add_proxy_message, message.text)
            out += message.frames
        return out

    def send(self, to: Side, text: str) -> None:
        """Send a message to one side."""
        self.write(to, self.frames(to, (Message(text),)))

    def write(self, to: Side, frames: bytes) -> None:
        """Write frames to one side."""
        if self._attached is not None:
            self._attached.legs[to].send_frame(frames)

    def end(self, code: int, reason: str) -> None:
        """Close both sides; 1006 cuts them off."""
        if self._attached is None:
            return
        if code == ABNORMAL:
            self._attached.connection.abort()
        else:
            self._attached.connection.close(code, reason)

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something later, unless the connection is over by then."""
        if self._attached is not None:
            self._timers.after(seconds, partial(self._guarded, work))

    def stop(self) -> None:
        """End with the connection."""
        self._attached = None
        self._timers.cancel()

    def _through(self, take: Callable[[Message], Sequence[Message]], message: Message) -> Sequence[Message]:
        try:
            return take(message)
        except Exception:
            logger.exception("a fault failed; the message goes on")
            return (message,)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            logger.exception("a fault failed")
