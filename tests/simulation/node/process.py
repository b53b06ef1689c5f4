"""One process of the node: the real journal, dispatcher, sinks, faults and sessions, started and ended as a simulator does."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

from smproxy.faults import FaultRegistry
from smproxy.hooks.delivery import Limits
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.event import EventFactory, PublishHook
from smproxy.hooks.journal import Journal, JournalError, Retention
from smproxy.hooks.journal.recovery import end_unfinished
from smproxy.hooks.sinks.webhook import WebhookSink
from smproxy.manager.attempt import Client
from smproxy.manager.faults.hooks import HookFaults
from smproxy.manager.periodic_statistics import PeriodicStatistics
from smproxy.manager.rooms import Rooms
from smproxy.manager.sessions import Sessions
from smproxy.signaling.clock import Clock
from smproxy.signaling.optional_hooks import OptionalHook
from smproxy.signaling.params import ConnectionParams
from smproxy.signaling.payloads import Role
from yarl import URL

from tests.simulation.node.disk import Disk, SimulatedWriterRun
from tests.simulation.node.loop import SimulatedLoop
from tests.simulation.node.models.fault_scope import Switched
from tests.simulation.node.origin import SimulatedClient, SimulatedOrigin
from tests.simulation.node.steps import RECEIVERS, Setup, Step
from tests.simulation.node.witness import Witness


class SimulatedProcess:
    """What a process holds. ``rng`` is of this process alone."""

    def __init__(
        self, loop: SimulatedLoop, rng: random.Random, clock: Clock, setup: Setup, disk: Disk, witness: Witness
    ) -> None:
        self._loop = loop
        self._rng = rng
        self._clock = clock
        self._setup = setup
        self._disk = disk
        self._witness = witness
        self._stack = AsyncExitStack()
        self._clients: list[SimulatedClient] = []
        self.journal: Journal | None = None
        self.sessions: Sessions | None = None
        self._rooms: Rooms | None = None
        self._statistics: PeriodicStatistics | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Start everything, in the order of ``smproxy.startup``. Raises ``JournalError``."""
        setup, clock, witness = self._setup, self._clock, self._witness
        rng = random.Random(self._rng.getrandbits(64))
        keep = Retention() if setup.keep is None else Retention(events=setup.keep, days=0.0001)
        self.journal = journal = await Journal.start(
            self._disk.path,
            clock=clock,
            retention=keep,
            run=lambda writer: SimulatedWriterRun(writer, self._disk),
            connection=self._disk.connection,
        )
        self._stack.push_async_callback(journal.stop)
        witness.healthy = lambda: journal.healthy
        witness.committed = lambda: journal.status().committed
        self.dispatcher = await _watched(witness).start(
            [WebhookSink(URL(f"http://{name}/"), clock=clock) for name in RECEIVERS],
            clock=clock,
            rng=rng,
            events=EventFactory(node=1, clock=clock, rng=rng),
            limits=Limits(queue=setup.queue, in_flight=setup.in_flight),
            listeners=[witness],
            journal=journal,
        )
        self._stack.push_async_callback(self.dispatcher.stop, 2.0)
        self.faults = FaultRegistry(clock=clock, rng=rng)
        self._stack.push_async_callback(HookFaults.start(self.faults, self.dispatcher).stop)
        await end_unfinished(journal, self.dispatcher.emit)
        publish: PublishHook = self.dispatcher.emit
        if setup.all_hooks:
            self._rooms = Rooms(publish, clock=clock, rng=rng, timeout=rng.choice((0.0, 3.0)))
            publish = self._rooms.publish
        hooks = frozenset(OptionalHook) if setup.all_hooks else frozenset()
        sessions = Sessions(publish, clock=clock, rng=rng, reconnect_window=setup.window, hook_events=hooks)
        if setup.all_hooks:
            self._statistics = PeriodicStatistics(sessions.connected, sessions.emit, clock=clock, interval=7.0)
            self._statistics.start()
        self.origin = SimulatedOrigin(self._loop, rng, sessions.report, setup.takeover, self._lost)
        self.sessions = sessions

    async def stop(self) -> None:
        """Stop in order."""
        if self.sessions is not None:
            self.sessions.stop()
            self.origin.stop()
            self.sessions = None
            if self._statistics is not None:
                self._statistics.stop()
            if self._rooms is not None:
                self._rooms.stop()
        self.faults_end()
        await self._stack.aclose()

    def faults_end(self) -> None:
        """Switch all faults off."""
        if self.journal is not None and hasattr(self, "faults"):
            self.faults.clear()
            self._witness.faults.switched_off()

    async def settled(self, timeout: float) -> bool:
        """Wait until every receiver has got all."""
        return await self.dispatcher.drained(timeout)

    def crash(self) -> None:
        """Give back what the machine takes from a process that was killed."""
        journal = self.journal
        if journal is None:
            return
        for connection in (journal._store.connection, journal._reader and journal._reader[1]):
            if connection:
                connection.close()
        if journal._lock is not None:
            journal._lock.release()

    # steps

    def take(self, step: Step) -> None:
        """Let something happen to the running node."""
        if self.sessions is None:
            return
        match step.what:
            case "connect":
                self._connect(step.detail.split())
            case "progress" | "leave" if self._clients:
                client = self._clients[-1 - step.number % min(6, len(self._clients))]
                if step.what == "progress":
                    self.origin.progress(client, step.detail)
                elif step.detail == "kicked":
                    self.sessions.kick(client.attempt)
                else:
                    self.origin.leave(client, step.detail)
            case "fault":
                kind, _, pattern, _, customer = step.detail.split()
                fault = self.faults.add(kind, id=pattern, customer_scope=None if customer == "None" else customer)
                self._witness.faults.switched_on(fault.id, Switched(pattern, fault.match.customer_scope))
                self._touch_living()
            case "faults off":
                self.faults_end()
            case "resend":
                self._spawn(self._resend())
            case "add" | "remove":
                self._spawn(self._add(step.detail) if step.what == "add" else self._remove(step.detail))
        self._witness.faults.check(self.faults.log())
        self._witness.reconnect.check(self._loop.time())

    def _connect(self, words: list[str]) -> None:
        assert self.sessions is not None
        role, stream, _, customer, _, user = words
        publisher = role == "publisher"
        params = ConnectionParams(
            id=stream if publisher else f"subscriber-{stream}",
            app="live",
            username=user,
            customer_scope=None if customer == "None" else customer,
            role=Role.PUBLISHER if publisher else Role.SUBSCRIBER,
        )
        attempt = self.sessions.open(params, self.origin.node, Client(remote_ip="10.0.0.1"))
        identity = params.customer_scope, params.scope, params.id, params.username
        self._witness.reconnect.opened(identity, attempt.session, publisher)
        self._clients.append(self.origin.add(attempt, publisher))

    def _lost(self, client: SimulatedClient) -> None:
        session = self.sessions and self.sessions.find(client.attempt.session)
        if session and session.attempt is client.attempt and client.attempt.up:
            self._witness.reconnect.lost(session.number, self._loop.time())

    def _touch_living(self) -> None:
        """Events that are not handed on yet when a fault is switched on are touched by it, too."""
        delivery = self._witness.delivery
        for uuid in delivery.waiting:
            connection = json.loads(delivery.events[uuid].body)["connection"]
            if self._witness.faults.touches(connection["id"], connection["customerScope"]):
                delivery.touched.add(delivery.events[uuid].session)

    async def _resend(self) -> None:
        self._witness.delivery.resending(True)
        with suppress(JournalError):
            await self.dispatcher.resend_dead()
        self._witness.delivery.resending(False)

    async def _add(self, name: str) -> None:
        """Add a receiver at run time, unless it is there."""
        url = f"http://{name}/"
        receiver = self._witness.delivery.receivers[url]
        async with self._turn:
            if url in (each.name for each in self.dispatcher.status()):
                return
            receiver.being_added()
            with suppress(JournalError):
                await self.dispatcher.add_sink(WebhookSink(URL(url), clock=self._clock))
                self._witness.note(f"{name} is added")
                receiver.added()

    async def _remove(self, name: str) -> None:
        """Remove a receiver at run time, if it is there."""
        url, delivery = f"http://{name}/", self._witness.delivery
        async with self._turn:
            if url not in (each.name for each in self.dispatcher.status()):
                return
            delivery.receivers[url].being_removed(partial(delivery.pending, url))
            with suppress(JournalError):
                await self.dispatcher.remove_sink(url)
                self._witness.note(f"{name} is removed")
                delivery.receivers[url].removed()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(_over)


def _watched(witness: Witness) -> type[HookDispatcher]:
    """Make a dispatcher that the witness sees from the first moment on: deliveries begin while others are started."""

    class WatchedDispatcher(HookDispatcher):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.on_published(partial(witness.guarded, witness.published))
            self.on_update(partial(witness.guarded, witness.updated))

    return WatchedDispatcher


def _over(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
