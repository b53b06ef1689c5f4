"""Carry out the media faults that the manager injects (``smproxy.faults.media``)."""

from __future__ import annotations

import logging
import random
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from smproxy.faults.catalog import KINDS
from smproxy.faults.media_fault import MediaFault
from smproxy.faults.parameter import FaultError
from smproxy.log_fields import About
from smproxy.network import NetworkLink
from smproxy.origin.client_transport import ClientTransport
from smproxy.signaling.node_channel import Inject, Lift
from smproxy.signaling.payloads import ConnectError, Reason
from smproxy.tasks import Timers

_log = logging.getLogger(__name__)

#: Attempts whose faults wait for them, or that have some.
MAX_ATTEMPTS = 10_000


class FaultySession(Protocol):
    """A session, as far as faults act on it."""

    @property
    def attempt(self) -> str:
        """Its attempt."""

    @property
    def about(self) -> About:
        """The session, for the log."""

    @property
    def transport(self) -> ClientTransport | None:
        """Its peer connection, once there is one."""

    @property
    def up(self) -> bool:
        """Whether the transport is up, or was."""

    def break_connection(self, reason: Reason, error: ConnectError) -> None:
        """End as when the peer connection broke; the socket stays for a while."""


class InjectedFaults:
    """The faults of one origin's attempts. A fault may come before the origin knows the attempt."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[str, dict[str, _Injected]] = OrderedDict()

    def inject(self, command: Inject, session: FaultySession | None) -> None:
        """Carry a fault out on an attempt, or keep it until the attempt comes."""
        kind = KINDS.get(command.fault)
        try:
            if kind is None or not issubclass(kind, MediaFault):
                raise FaultError(f"this origin has no media fault {command.fault!r}")
            rng = random.Random(command.seed)  # noqa: S311 - to be repeated
            behaviour = kind(kind.read(command.parameters), rng)
        except FaultError as error:
            _log.warning("attempt %s: %s", command.attempt, error, extra=None if session is None else session.about)
            return
        faults = self._attempts.setdefault(command.attempt, {})
        injected = faults[command.id] = _Injected(faults, behaviour)
        while len(self._attempts) > MAX_ATTEMPTS:
            self.ended(next(iter(self._attempts)))
        if session is not None and session.transport is not None:
            injected.begin(session)
            if session.up:
                behaviour.connected()

    def lift(self, command: Lift, session: FaultySession | None) -> None:
        """End a fault; what it has ended stays ended."""
        faults = self._attempts.get(command.attempt, {})
        injected = faults.pop(command.id, None)
        if injected is not None:
            injected.end()
            if session is not None and session.transport is not None:
                _apply(faults, session.transport)

    def negotiating(self, session: FaultySession) -> None:
        """Begin the faults of a session that has its peer connection.

        The client has not got the description yet.
        """
        for injected in self._attempts.get(session.attempt, {}).values():
            injected.begin(session)

    def up(self, session: FaultySession) -> None:
        """Go on with the faults of a session whose transport is up."""
        for injected in self._attempts.get(session.attempt, {}).values():
            injected.behaviour.connected()

    def ended(self, attempt: str) -> None:
        """End the faults of an attempt that is over."""
        for injected in self._attempts.pop(attempt, {}).values():
            injected.end()

    def stop(self) -> None:
        """End all faults."""
        for attempt in list(self._attempts):
            self.ended(attempt)


class _Injected:
    """One fault of one attempt, and its effect on the peer.

    A :class:`smproxy.faults.media_fault.FaultyPeer`.
    """

    def __init__(self, faults: dict[str, _Injected], behaviour: MediaFault) -> None:
        self.behaviour = behaviour
        self.drops = False
        self.passes: Callable[[bytes], bool] | None = None
        self.up_link: NetworkLink | None = None
        self.down_link: NetworkLink | None = None
        self._faults = faults
        self._session: FaultySession | None = None
        self._timers = Timers()
        behaviour.peer = self

    def begin(self, session: FaultySession) -> None:
        self._session = session
        self.behaviour.negotiating()

    @property
    def up(self) -> bool:
        return self._session is not None and self._session.up

    def drop_inbound(self) -> None:
        self.drops = True
        self._changed()

    def filter_packets(self, passes: Callable[[bytes], bool]) -> None:
        self.passes = passes
        self._changed()

    def impair(self, up: NetworkLink | None, down: NetworkLink | None) -> None:
        self.up_link, self.down_link = up, down
        self._changed()

    def fail(self) -> None:
        if self._session is not None:
            self._session.break_connection(Reason.ORIGIN_LOST, ConnectError.ORIGIN_ERROR)

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        self._timers.after(seconds, work)

    def end(self) -> None:
        self._timers.cancel()
        self._session = None

    def _changed(self) -> None:
        if self._session is not None and self._session.transport is not None:
            _apply(self._faults, self._session.transport)


def _apply(faults: dict[str, _Injected], transport: ClientTransport) -> None:
    """Have a transport drop and lose what any of its faults does."""
    transport.ice.drop_inbound(any(injected.drops for injected in faults.values()))
    # The latest fault with a link for a direction comes last.
    up = [injected.up_link for injected in faults.values() if injected.up_link is not None]
    down = [injected.down_link for injected in faults.values() if injected.down_link is not None]
    transport.ice.impair(up[-1] if up else None, down[-1] if down else None)
    filters = [injected.passes for injected in faults.values() if injected.passes is not None]
    if len(filters) > 1:
        transport.ice.set_packet_filter(lambda datagram: all(passes(datagram) for passes in filters))
    else:
        transport.ice.set_packet_filter(filters[0] if filters else None)
