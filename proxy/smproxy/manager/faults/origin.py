"""Carry out the faults of whole origins on the sessions that they have."""

from __future__ import annotations

import logging
from collections.abc import Callable

from smproxy.faults import Fault
from smproxy.faults.origin_fault import OriginFault
from smproxy.manager.attempt import Attempt
from smproxy.manager.origin_registry import Node
from smproxy.manager.sessions import Sessions
from smproxy.signaling.node_channel import Evict, PeerEnded
from smproxy.signaling.payloads import Reason
from smproxy.tasks import Timers

#: Changes a node as a fault asks, in so many seconds; returns whether that could be done.
ChangeNode = Callable[[Node, str, float], bool]

logger = logging.getLogger(__name__)


class OriginFaults:
    """The faults of all origins.

    A use of one begins with a session and ends when the sessions since then are lost.
    """

    def __init__(self, sessions: Sessions, change_node: ChangeNode) -> None:
        self.sessions = sessions
        self.change_node = change_node
        self._uses: dict[tuple[Fault, str], _OriginUse] = {}

    def join(self, fault: Fault, behaviour: OriginFault, attempt: Attempt) -> None:
        """Have a fault act on an attempt's origin, for this attempt among others."""
        key = fault, attempt.node.address
        use = self._uses.get(key)
        if use is None:
            use = self._uses[key] = _OriginUse(self, fault, attempt)
            behaviour.origin = use
            behaviour.first_session()
        use.tokens.append(attempt.token)

    def forget(self, fault: Fault, address: str) -> None:
        """End a use; the next session begins another."""
        self._uses.pop((fault, address), None)

    def stop(self) -> None:
        """Do nothing more."""
        for use in self._uses.values():
            use.stop()
        self._uses.clear()


class _OriginUse:
    """One use of a fault on one origin; a :class:`smproxy.faults.origin_fault.FaultyOrigin`."""

    def __init__(self, owner: OriginFaults, fault: Fault, first: Attempt) -> None:
        self.tokens: list[str] = []
        self._owner = owner
        self._fault = fault
        self._first = first
        self._address = first.node.address
        self._timers = Timers()

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        self._timers.after(seconds, work)

    def lose_sessions(self) -> None:
        self._owner.forget(self._fault, self._address)
        if self._fault.over:
            return
        logger.warning("fault %s: origin %s loses %d sessions", self._fault.name, self._address, len(self.tokens))
        for token in self.tokens:
            if (attempt := self._owner.sessions.attempt(token)) is not None:
                self._fault.acted(attempt.session, attempt.params)
                lose(self._owner.sessions, attempt)

    def change_node(self, action: str, seconds: float) -> None:
        self._owner.forget(self._fault, self._address)
        if not self._fault.over and self._owner.change_node(self._first.node, action, seconds):
            self._fault.acted(self._first.session, self._first.params, f"{action} {self._first.node.id}")

    def stop(self) -> None:
        self._timers.cancel()


def lose(sessions: Sessions, attempt: Attempt) -> None:
    """Have an attempt lose socket and media at once, as when its origin is gone."""
    if attempt.relay is not None and not attempt.relay_ended:
        attempt.relay.abort()
    sessions.report(attempt.node, PeerEnded(attempt.token, Reason.ORIGIN_LOST))
    if attempt.node.command is not None:
        attempt.node.command(Evict(attempt.token))
