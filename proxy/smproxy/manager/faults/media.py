"""Ask origins, over their node channels, to carry out the faults of media."""

from __future__ import annotations

import logging

from smproxy.faults import Fault, FaultRegistry
from smproxy.faults.fault_registry import MAX_SESSIONS
from smproxy.faults.media_fault import MediaFault
from smproxy.manager.attempt import Attempt
from smproxy.manager.sessions import Sessions
from smproxy.signaling.node_channel import Inject, Lift

logger = logging.getLogger(__name__)


class MediaFaults:
    """The media faults that origins carry out.

    The attempts of a fault are known until it is lifted, the latest 10,000.
    """

    def __init__(self, registry: FaultRegistry, sessions: Sessions) -> None:
        self._registry = registry
        self._sessions = sessions
        self._attempts: dict[Fault, dict[str, None]] = {}

    def inject(self, fault: Fault, behaviour: MediaFault, attempt: Attempt) -> None:
        """Have a fault carried out on an attempt."""
        if attempt.node.command is None:
            logger.warning(
                "fault %s: origin %s has no node channel to carry it out",
                fault.name,
                attempt.node.address,
                extra=attempt.about,
            )
            return
        seed = behaviour.rng.getrandbits(32)
        attempt.node.command(Inject(attempt.token, _key(fault), fault.name, dict(fault.parameters), seed))
        if self._registry.get(fault.id) is fault:  # what a connection asked for itself is never switched off
            self._remember(fault, attempt.token)
        fault.acted(attempt.session, attempt.params)

    def lift(self, fault: Fault) -> None:
        """End a fault wherever it is carried out."""
        for token in self._attempts.pop(fault, ()):
            attempt = self._sessions.attempt(token)
            if attempt is not None and attempt.node.command is not None:
                attempt.node.command(Lift(token, _key(fault)))

    def _remember(self, fault: Fault, token: str) -> None:
        tokens = self._attempts.setdefault(fault, {})
        tokens[token] = None
        if len(tokens) > MAX_SESSIONS:
            del tokens[next(iter(tokens))]


def _key(fault: Fault) -> str:
    """Return what tells a fault from the others of an attempt."""
    return f"{fault.id}/{fault.name}"
