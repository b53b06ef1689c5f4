"""Carry out media faults on the attempts that the manager names (``smproxy.faults.media``)."""

from __future__ import annotations

import logging
import random
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from smproxy.origin.client_transport import ClientTransport
from smproxy.origin.timers import Timers
from smproxy.signaling.node import Inject, Lift
from smproxy.signaling.payloads import ConnectError, Reason

_log = logging.getLogger(__name__)

#: Attempts whose faults wait for them, or that have some.
MAX_ATTEMPTS = 10_000


class Impaired(Protocol):
    """A session, as far as faults act on it."""

    @property
    def attempt(self) -> str:
        """Its attempt."""

    @property
    def transport(self) -> ClientTransport | None:
        """Its peer connection, once there is one."""

    @property
    def up(self) -> bool:
        """Whether the transport is up, or was."""

    def break_connection(self, reason: Reason, error: ConnectError) -> None:
        """End as when the peer connection broke; the socket stays for a while."""


class Loss:
    """Loses so many of a hundred datagrams, in bursts, the same ones for the same seed."""

    def __init__(self, percent: float, burst: int, rng: random.Random) -> None:
        # A burst begins with this probability, so that on average the wished part is lost.
        part = percent / 100
        self._begin = 1.0 if part >= 1 else part / (burst * (1 - part) + part)
        self._burst = burst
        self._rng = rng
        self._left = 0

    def __call__(self, datagram: bytes) -> bool:
        """Return whether a datagram passes. RTCP does."""
        # RTCP has its packet type where RTP has the payload type (RFC 5761, 4).
        if 191 < datagram[1] < 224:
            return True
        if self._left:
            self._left -= 1
            return False
        if self._rng.random() >= self._begin:
            return True
        self._left = self._burst - 1
        return False


class Impairments:
    """The faults of one origin's attempts. A fault may come before the origin knows the attempt."""

    def __init__(self) -> None:
        self._faults: OrderedDict[str, dict[str, Inject]] = OrderedDict()
        self._timers: dict[str, Timers] = {}

    def inject(self, fault: Inject, session: Impaired | None) -> None:
        """Carry a fault out on an attempt, or have it wait for that."""
        self._faults.setdefault(fault.attempt, {})[fault.fault] = fault
        while len(self._faults) > MAX_ATTEMPTS:
            self.ended(next(iter(self._faults)))
        if session is not None and session.transport is not None:
            self._begin(fault, session)

    def lift(self, fault: Lift, session: Impaired | None) -> None:
        """End a fault; what it has ended stays ended."""
        faults = self._faults.get(fault.attempt, {})
        if faults.pop(fault.fault, None) is None or session is None or session.transport is None:
            return
        session.transport.ice.fall_deaf(False)
        session.transport.ice.sift(None)
        if (timers := self._timers.pop(fault.attempt, None)) is not None:
            timers.cancel()
        for other in faults.values():
            self._begin(other, session)

    def negotiating(self, session: Impaired) -> None:
        """Begin the faults that act from the negotiation on."""
        for fault in self._faults.get(session.attempt, {}).values():
            if fault.fault in _AT_ONCE:
                self._begin(fault, session)

    def up(self, session: Impaired) -> None:
        """Begin the faults that act once the transport is up."""
        for fault in self._faults.get(session.attempt, {}).values():
            if fault.fault not in _AT_ONCE:
                self._begin(fault, session)

    def ended(self, attempt: str) -> None:
        """End the faults of an attempt that is over."""
        self._faults.pop(attempt, None)
        if (timers := self._timers.pop(attempt, None)) is not None:
            timers.cancel()

    def stop(self) -> None:
        """End all faults."""
        for attempt in [*self._faults, *self._timers]:
            self.ended(attempt)

    def _begin(self, fault: Inject, session: Impaired) -> None:
        transport = session.transport
        if transport is None or (fault.fault not in _AT_ONCE and not session.up):
            return
        values = fault.parameters
        match fault.fault:
            case "ice-never-completes":
                if not session.up:
                    transport.ice.fall_deaf()
            case "packet-loss":
                rng = random.Random(fault.seed)  # noqa: S311 - to be repeated
                transport.ice.sift(Loss(float(values["percent"]), int(values["burst"]), rng))
            case "media-stops" if values["what"] == "rtp":
                self._after(fault, lambda: transport.ice.sift(_only_rtcp))
            case "media-stops":
                self._after(fault, transport.ice.fall_deaf)
            case "peer-dies":
                self._after(fault, lambda: session.break_connection(Reason.ORIGIN_LOST, ConnectError.ORIGIN_ERROR))
            case name:
                _log.warning("attempt %s: this origin has no media fault %r", fault.attempt, name)

    def _after(self, fault: Inject, work: Callable[[], None]) -> None:
        timers = self._timers.setdefault(fault.attempt, Timers())
        timers.after(float(fault.parameters["after"]), work)


#: Faults that begin before the transport is up.
_AT_ONCE = frozenset({"ice-never-completes", "packet-loss"})


def _only_rtcp(datagram: bytes) -> bool:
    return 191 < datagram[1] < 224
