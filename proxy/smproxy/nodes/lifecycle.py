"""The states of one simulated node, by time and by what is asked of it. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from smproxy.manager.node_provider import NodeAction, NodeActionError
from smproxy.manager.service_state import ServiceState

#: What a node goes through until it is in service, and when it goes.
_START = (ServiceState.REQUESTED, ServiceState.CREATING, ServiceState.CREATED, ServiceState.STARTED)
_SUNSET = (ServiceState.SOFT_SUNSET, ServiceState.HARD_SUNSET)
_DESTRUCTION = (ServiceState.DESTRUCTION_REQUESTED, ServiceState.DESTROYING)

#: From which states each action may be asked.
_ALLOWED = {
    NodeAction.DRAIN: frozenset({ServiceState.INSERVICE, ServiceState.SOFT_SUNSET}),
    NodeAction.UNDRAIN: frozenset({ServiceState.INSERVICE, ServiceState.SOFT_SUNSET}),
    NodeAction.SUNSET: frozenset({*_START, *_SUNSET, ServiceState.INSERVICE, ServiceState.FAULT}),
    NodeAction.FAULT: frozenset({*_START, *_SUNSET, ServiceState.INSERVICE}),
    NodeAction.RECOVER: frozenset({ServiceState.FAULT}),
}

#: What each state becomes when its time is over.
_NEXT = {
    ServiceState.REQUESTED: ServiceState.CREATING,
    ServiceState.CREATING: ServiceState.CREATED,
    ServiceState.CREATED: ServiceState.STARTED,
    ServiceState.STARTED: ServiceState.INSERVICE,
    ServiceState.SOFT_SUNSET: ServiceState.HARD_SUNSET,
    ServiceState.HARD_SUNSET: ServiceState.DESTRUCTION_REQUESTED,
    ServiceState.DESTRUCTION_REQUESTED: ServiceState.DESTROYING,
    ServiceState.DESTROYING: ServiceState.TERMINATED,
}


@dataclass(frozen=True, slots=True)
class NodeTiming:
    """Seconds that a node's changes take.

    ``start`` from the request to service, ``sunset`` until the sessions of a node that goes are ended, ``hard`` for their
    clients to go, ``destruction`` from its last session until it is gone.
    """

    start: float = 2.0
    sunset: float = 60.0
    hard: float = 2.0
    destruction: float = 1.0


class NodeLifecycle:
    """The life of one node.

    :meth:`ask` takes what is asked, :meth:`take` and :meth:`advance` return the states entered since, and :attr:`due` is the
    time of the next change that comes by itself.
    """

    def __init__(self, now: float, timing: NodeTiming, *, start: float | None = None) -> None:
        self.state = ServiceState.REQUESTED
        self.timing = timing
        #: When the state changes by itself.
        self.due: float | None = None
        self._leaves = self._lost = False
        self._start = timing.start if start is None else start
        self._entered: list[ServiceState] = []
        self._enter(ServiceState.REQUESTED, now)

    def ask(self, action: NodeAction, now: float, seconds: float | None = None) -> None:
        """Do what is asked: ``seconds`` until a sunset's end, or until a fault is noticed.

        Raises:
            NodeActionError: not in this state.
        """
        if self.state not in _ALLOWED[action]:
            able = ", ".join(state for state in ServiceState if state in _ALLOWED[action])
            raise NodeActionError(f"cannot {action} in state {self.state}: that takes {able}")
        if self._lost:
            raise NodeActionError(
                f"cannot {action}: it is lost, which shows in {max(0.0, (self.due or now) - now):.1f} s"
            )
        match action:
            case NodeAction.DRAIN:
                self._leaves, self.due = False, None
                self._change(ServiceState.SOFT_SUNSET)
            case NodeAction.UNDRAIN:
                self._leaves, self.due = False, None
                self._change(ServiceState.INSERVICE)
            case NodeAction.SUNSET if self.state in (ServiceState.INSERVICE, ServiceState.SOFT_SUNSET):
                self._leaves = True
                self.due = now + (self.timing.sunset if seconds is None else seconds)
                self._change(ServiceState.SOFT_SUNSET)
            case NodeAction.SUNSET if self.state is not ServiceState.HARD_SUNSET:
                self._enter(ServiceState.DESTRUCTION_REQUESTED, now)
            case NodeAction.FAULT if seconds:
                self._lost, self.due = True, now + seconds
            case NodeAction.FAULT:
                self._enter(ServiceState.FAULT, now)
            case NodeAction.RECOVER:
                self._enter(ServiceState.STARTED, now)

    @property
    def lost(self) -> bool:
        """Whether the node is lost, noticed or not."""
        return self._lost or self.state is ServiceState.FAULT

    def begin_in_service(self) -> None:
        """Skip the start: the node was there before."""
        self._entered.clear()
        self.due = None
        self._change(ServiceState.INSERVICE)

    def failed(self, now: float) -> None:
        """Note that the node could not be started."""
        self._enter(ServiceState.FAULT, now)

    def take(self) -> list[ServiceState]:
        """Return the states entered since the last call."""
        entered, self._entered = self._entered, []
        return entered

    def advance(self, now: float, sessions: int) -> list[ServiceState]:
        """Return the states entered since the last call, or the next one, if its time has come.

        One at a time, so that each is carried out before the next. ``sessions``: how many the node has now.
        """
        if not self._entered:
            self._step(now, sessions)
        return self.take()

    def _step(self, now: float, sessions: int) -> None:
        state = self.state
        if self._leaves and state in _SUNSET and not sessions and not self._lost:
            self._enter(ServiceState.DESTRUCTION_REQUESTED, now)
        elif self.due is not None and now >= self.due:
            self._enter(ServiceState.FAULT if self._lost else _NEXT[state], now)

    def _enter(self, state: ServiceState, now: float) -> None:
        self._lost = False
        if state in _START:
            self.due = now + self._start / len(_START)
        elif state is ServiceState.HARD_SUNSET:
            self.due = now + self.timing.hard
        elif state in _DESTRUCTION:
            self.due = now + self.timing.destruction / len(_DESTRUCTION)
        else:
            self.due = None
        self._change(state)

    def _change(self, state: ServiceState) -> None:
        self.state = state
        self._entered.append(state)
