"""The simulated nodes of one process: starts their origins, ends their sessions."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from smproxy.capture.ring import CaptureRing
from smproxy.manager.faults.origin import lose
from smproxy.manager.node_provider import NodeAction, NodeActionError
from smproxy.manager.origin_registry import Node, OriginRegistry, Thumbnail
from smproxy.manager.service_state import ServiceState
from smproxy.manager.sessions import Sessions
from smproxy.nodes.lifecycle import NodeLifecycle, NodeTiming
from smproxy.nodes.node_spec import DEFAULT_REGION, MAX_NODES, ROLES, NodeSpec, read_region
from smproxy.nodes.scenario import NodeSchedule, NodeStep
from smproxy.signaling.clock import Clock
from smproxy.signaling.node_channel import (
    Command,
    Drain,
    Hello,
    InterstitialState,
    Kick,
    Report,
    ReportTo,
    SharedObjectState,
    TrackStatistics,
)
from smproxy.signaling.payloads import Reason

logger = logging.getLogger(__name__)

#: Terminated nodes that are remembered.
MAX_ENDED = 20


class RunningOrigin(Protocol):
    """An origin as the fleet needs it."""

    @property
    def hello(self) -> Hello: ...
    @property
    def media_port(self) -> int | None: ...
    def command(self, command: Command, /) -> None: ...
    def shared_objects(self) -> list[SharedObjectState]: ...
    def interstitials(self) -> list[InterstitialState]: ...
    async def thumbnail(self, scope: str, stream: str, /) -> bytes | None: ...

    def capture(self, attempt: str, begin: bool, /) -> CaptureRing | None: ...
    def counters(self, attempt: str, /) -> list[TrackStatistics]: ...
    async def stop(self, reason: Reason = ..., /) -> None: ...


StartOrigin = Callable[[str, str, ReportTo], Awaitable[RunningOrigin]]
"""Starts an origin on an address, in a region, with what takes its reports. Raises ``OSError``."""


class _Life:
    """One node with its origin, while it runs."""

    def __init__(self, node: Node, cycle: NodeLifecycle) -> None:
        self.node = node
        self.cycle = cycle
        self.origin: RunningOrigin | None = None
        self.changed = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class NodeFleet:
    """Simulated nodes. Made by :meth:`start`, ended by :meth:`stop`."""

    def __init__(
        self,
        registry: OriginRegistry,
        sessions: Sessions,
        start_origin: StartOrigin,
        *,
        clock: Clock,
        timing: NodeTiming,
    ) -> None:
        self._registry = registry
        self._sessions = sessions
        self._start_origin = start_origin
        self._clock = clock
        self._timing = timing
        self._lives: dict[Node, _Life] = {}
        self._ended: deque[Node] = deque(maxlen=MAX_ENDED)
        self._number = 0
        self._scenario: asyncio.Task[None] | None = None
        self._unwatch: Callable[[], None] = lambda: None
        self._anything = asyncio.Event()

    @classmethod
    async def start(
        cls,
        specs: tuple[NodeSpec, ...],
        steps: tuple[NodeStep, ...],
        registry: OriginRegistry,
        sessions: Sessions,
        start_origin: StartOrigin,
        *,
        clock: Clock,
        timing: NodeTiming,
    ) -> NodeFleet:
        """Start these nodes, which are in service when this returns; then the scenario begins.

        Raises:
            OSError: an address is not to be had.
        """
        fleet = cls(registry, sessions, start_origin, clock=clock, timing=timing)
        try:
            for spec in specs:
                life = fleet._make(spec.region, spec.role, None)
                await fleet._run_origin(life)
                life.cycle.begin_in_service()
                fleet._carry_out(life, life.cycle.take())
        except BaseException:
            await fleet.stop()
            raise
        for life in fleet._lives.values():
            life.task = asyncio.create_task(fleet._follow(life))
        fleet._unwatch = sessions.watch(lambda session: fleet._wake())
        if steps:
            fleet._scenario = asyncio.create_task(fleet._play(NodeSchedule(steps, clock.monotonic())))
        return fleet

    async def stop(self) -> None:
        """Stop every origin, its sessions with the reason of a shutdown."""
        self._unwatch()
        tasks = [life.task for life in self._lives.values() if life.task is not None]
        tasks += [self._scenario] if self._scenario is not None else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(self._stop_origin(life, Reason.NODE_SHUTDOWN) for life in self._lives.values()))

    @property
    def ended(self) -> list[Node]:
        """The nodes that have terminated, the latest last."""
        return list(self._ended)

    @property
    def media_port(self) -> int | None:
        """The UDP port of all media, on each node's own address."""
        return next((life.origin.media_port for life in self._lives.values() if life.origin is not None), None)

    def add(self, *, region: str | None = None, role: str = "origin", start: float | None = None) -> Node:
        """Add a node, which is in service after ``start`` seconds.

        Raises:
            NodeActionError: there are as many as there can be, or region or role cannot be used.
        """
        if len(self._lives) >= MAX_NODES:
            raise NodeActionError(f"there are {MAX_NODES} nodes already: end one first")
        if role not in ROLES:
            raise NodeActionError(f"role {role[:100]!r} is neither {' nor '.join(ROLES)}")
        try:
            life = self._make(read_region(region or DEFAULT_REGION), role, start)
        except ValueError as error:
            raise NodeActionError(str(error)) from None
        life.task = asyncio.create_task(self._follow(life))
        return life.node

    def act(self, node: Node, action: NodeAction, seconds: float | None = None) -> None:
        """Change a node at once, as far as that needs no waiting.

        Raises:
            NodeActionError: it is not one of these nodes, or in another state.
        """
        life = self._lives.get(node)
        if life is None:
            raise NodeActionError(f"node {node.id} is not simulated here: it cannot be changed")
        try:
            life.cycle.ask(action, self._clock.monotonic(), seconds)
        except NodeActionError as error:
            raise NodeActionError(f"node {node.id} {error}") from None
        logger.info("node %s: %s", node.id, action)
        if life.cycle.lost:
            self._lose_all(node)
        self._carry_out(life, life.cycle.take())
        life.changed.set()

    async def reached(self, id: str, state: ServiceState) -> None:
        """Wait until a node is in a state."""
        while not any(node.id == id and node.state is state for node in [*self._registry.nodes, *self._ended]):
            await self._anything.wait()

    def _make(self, region: str, role: str, start: float | None) -> _Life:
        self._number += 1
        rest, last = divmod(self._number - 1, 254)
        address = f"127.0.{rest}.{last + 1}"
        node = self._registry.attach(Hello(address=address, host=address, port=0, region=region))
        node.id, node.role, node.shares, node.state = f"node{self._number}", role, True, ServiceState.REQUESTED
        life = self._lives[node] = _Life(node, NodeLifecycle(self._clock.monotonic(), self._timing, start=start))
        return life

    def _wake(self) -> None:
        """Look again at nodes that wait for their last session."""
        for life in self._lives.values():
            if life.node.state in (ServiceState.SOFT_SUNSET, ServiceState.HARD_SUNSET):
                asyncio.get_running_loop().call_soon(life.changed.set)

    async def _follow(self, life: _Life) -> None:
        """Follow a node until it has terminated."""
        node, cycle = life.node, life.cycle
        while node.state is not ServiceState.TERMINATED:
            life.changed.clear()
            if cycle.lost:
                await self._stop_origin(life, Reason.ORIGIN_LOST)
            elif node.state is ServiceState.DESTROYING:
                await self._stop_origin(life, Reason.NODE_SHUTDOWN)
            if node.state is ServiceState.STARTED and life.origin is None:
                try:
                    await self._run_origin(life)
                except OSError as error:
                    logger.error("node %s cannot start on %s: %s", node.id, node.address, error.strerror or error)
                    cycle.failed(self._clock.monotonic())
            if entered := cycle.advance(self._clock.monotonic(), len(self._carried(node))):
                self._carry_out(life, entered)
                continue
            wait = None if cycle.due is None else max(0.0, cycle.due - self._clock.monotonic())
            try:
                async with asyncio.timeout(wait):
                    await life.changed.wait()
            except TimeoutError:
                continue

    def _carry_out(self, life: _Life, entered: list[ServiceState]) -> None:
        """Carry out the states that a node has entered, but for what takes time."""
        node = life.node
        for state in entered:
            if state is not node.state:
                logger.info("node %s: %s", node.id, state)
            node.state = state
            match state:
                case ServiceState.INSERVICE | ServiceState.SOFT_SUNSET:
                    if life.origin is not None:
                        life.origin.command(Drain(state is ServiceState.SOFT_SUNSET))
                case ServiceState.HARD_SUNSET | ServiceState.DESTRUCTION_REQUESTED:
                    self._end_all(life)
                case ServiceState.FAULT:
                    self._lose_all(node)
                case ServiceState.TERMINATED:
                    self._registry.detach(node)
                    del self._lives[node]
                    self._ended.append(node)
        self._anything.set()
        self._anything = asyncio.Event()

    def _carried(self, node: Node) -> list[str]:
        """Return the attempts of living sessions at a node."""
        attempts = (each for each in self._sessions.attempts if each.node is node)
        return [each.token for each in attempts if self._sessions.find(each.session) is not None]

    def _end_all(self, life: _Life) -> None:
        for token in self._carried(life.node):
            if life.origin is not None:
                life.origin.command(Kick(token, Reason.NODE_SHUTDOWN))

    def _lose_all(self, node: Node) -> None:
        for token in self._carried(node):
            if (attempt := self._sessions.attempt(token)) is not None:
                lose(self._sessions, attempt)

    async def _run_origin(self, life: _Life) -> None:
        node = life.node

        def report(report: Report) -> None:
            self._sessions.report(node, report)

        origin = await self._start_origin(node.address, node.region, report)
        life.origin = origin
        node.host, node.port, node.command = origin.hello.host, origin.hello.port, origin.command
        thumbnail: Thumbnail = origin.thumbnail
        node.thumbnail, node.shared_objects, node.interstitials = thumbnail, origin.shared_objects, origin.interstitials
        node.capture, node.counters = origin.capture, origin.counters

    async def _stop_origin(self, life: _Life, reason: Reason) -> None:
        origin, life.origin = life.origin, None
        if origin is not None:
            life.node.thumbnail = life.node.shared_objects = life.node.interstitials = None
            await origin.stop(reason)
            life.node.capture = life.node.counters = None

    async def _play(self, schedule: NodeSchedule) -> None:
        """Do the steps of a scenario; one that cannot be done is logged."""
        while (due := schedule.due) is not None:
            await asyncio.sleep(max(0.0, due - self._clock.monotonic()))
            for step in schedule.take(self._clock.monotonic()):
                try:
                    self._do(step)
                except NodeActionError as error:
                    logger.warning("scenario, second %g: %s", step.at, error)

    def _do(self, step: NodeStep) -> None:
        for _ in range(step.count):
            self.add(region=step.region, role=step.role, start=step.seconds)
        if step.action is not None:
            node = self._registry.find(step.node)
            if node is None:
                known = ", ".join(node.id for node in self._registry.nodes) or "none"
                raise NodeActionError(f"there is no node {step.node[:100]!r}: those are {known}")
            self.act(node, step.action, step.seconds)
