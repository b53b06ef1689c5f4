"""The faults of one session: each message passes them, in both directions, before it goes on."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from smproxy.faults.signaling_fault import Message, Side, SignalingFault
from smproxy.manager.relay.filter import OriginFilter, passing
from smproxy.manager.relay.frames import text_frame
from smproxy.manager.relay.leg import Leg
from smproxy.manager.relay.observer import Recorder
from smproxy.signaling.payloads import ConnectError

logger = logging.getLogger(__name__)

#: The close code that stands for a connection without a Close frame (RFC 6455, 7.4.1).
ABNORMAL = 1006


class Relayed(Protocol):
    """The relayed session, as its faults see it."""

    def close(self, code: int, reason: str) -> None:
        """End both legs with a Close frame."""

    def abort(self) -> None:
        """End both legs at once."""


@dataclass(frozen=True, slots=True)
class _Joined:
    """A detour's session, while it lasts."""

    session: Relayed
    legs: Mapping[Side, Leg]
    rng: random.Random
    record: Recorder | None


class _FaultLine:
    """What one fault can do; a :class:`smproxy.faults.signaling_fault.Line`."""

    def __init__(self, detour: Detour, acted: Callable[[str], None]) -> None:
        self._detour = detour
        self._acted = acted
        self._told = False

    def say(self, to: Side, text: str) -> None:
        self._detour.say(to, text)

    def forward(self, to: Side, messages: Sequence[Message]) -> None:
        self._detour.write(to, self._detour.frames(to, messages))

    def close(self, code: int, reason: str) -> None:
        # Not from within a message: what came before it in the same data is yet to be written.
        self.later(0, partial(self._close, code, reason))

    def refused(self, error: ConnectError) -> None:
        self.later(0, partial(self._detour.refused, error))

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        self._detour.later(seconds, work)

    def acted(self, detail: str = "") -> None:
        if not self._told:
            self._told = True
            self._acted(detail)

    def _close(self, code: int, reason: str) -> None:
        self._detour.end(code, reason)


class Detour:
    """Made with the faults of a session and what notes that one has acted; :meth:`attach` joins it to the relayed session.

    A fault that raises is logged, and the message goes on as if there were no such fault.
    """

    def __init__(
        self,
        faults: Sequence[tuple[SignalingFault, Callable[[str], None]]],
        *,
        refused: Callable[[ConnectError], None],
        origin_filter: OriginFilter | None = None,
    ) -> None:
        self.refused = refused
        self._faults = [fault for fault, _ in faults]
        self._passes = None if origin_filter is None else passing(origin_filter)
        self._joined: _Joined | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        for fault, acted in faults:
            fault.line = _FaultLine(self, acted)

    def attach(self, session: Relayed, client: Leg, origin: Leg, rng: random.Random, record: Recorder | None) -> None:
        """Belong to a relayed session from now on; ``record`` is given what is said to the client in the faults' own words."""
        self._joined = _Joined(session, {"client": client, "origin": origin}, rng, record)

    def opened(self) -> None:
        """Both legs are up."""
        for fault in self._faults:
            self._guarded(fault.opened)

    def from_client(self, text: bytes | None, frames: bytes) -> bytes:
        """Return what goes on to the origin in place of a client's message."""
        passed = [Message(text, frames)]
        for fault in self._faults:
            passed = [after for message in passed for after in self._through(fault.from_client, message)]
        return self.frames("origin", passed)

    def from_origin(self, text: bytes | None, frames: bytes) -> bytes:
        """Return what goes on to the client in place of an origin's message."""
        if self._passes is not None and not self._passes(text, frames):
            return b""
        passed = [Message(text, frames)]
        for fault in self._faults:
            passed = [after for message in passed for after in self._through(fault.from_origin, message)]
        return self.frames("client", passed)

    def delay(self, sender: Side) -> float:
        """Return for how many seconds what a side has just sent is kept."""
        return sum(fault.delay(sender) for fault in self._faults)

    def frames(self, to: Side, messages: Sequence[Message]) -> bytes:
        """Write messages: as they came, or those of a fault's own making in a frame each."""
        joined = self._joined
        if joined is None:
            return b""
        out = b""
        for message in messages:
            if not message.frames and message.text is not None:
                # The mask need not be unpredictable: the payload is our own (RFC 6455, 5.3).
                out += text_frame(message.text, joined.rng.randbytes(4) if to == "origin" else None)
                if joined.record is not None and to == "client":
                    # What it answers to is noted when its frames have gone through the gate, at the end of this turn.
                    asyncio.get_running_loop().call_soon(joined.record.proxy, message.text)
            out += message.frames
        return out

    def say(self, to: Side, text: str) -> None:
        """Say something to one side."""
        self.write(to, self.frames(to, (Message(text),)))

    def write(self, to: Side, frames: bytes) -> None:
        """Write frames to one side."""
        if self._joined is not None:
            self._joined.legs[to].inject(frames)

    def end(self, code: int, reason: str) -> None:
        """Close both sides; 1006 cuts them off."""
        if self._joined is None:
            return
        if code == ABNORMAL:
            self._joined.session.abort()
        else:
            self._joined.session.close(code, reason)

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something later, unless the session is over by then."""
        if self._joined is None:
            return

        def due() -> None:
            self._timers.discard(timer)
            self._guarded(work)

        timer = asyncio.get_running_loop().call_later(seconds, due)
        self._timers.add(timer)

    def stop(self) -> None:
        """The session is over."""
        self._joined = None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

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
