"""A simulator's membership in a cluster. Imported only with ``--cluster``."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

import smproxy
from smproxy.addresses import url_host
from smproxy.cluster.claims import ClaimRefusal, Held
from smproxy.cluster.hook_events import ClusterEvents
from smproxy.cluster.nats_registry import NatsRegistry, RegistryError
from smproxy.cluster.node import ClusterNode
from smproxy.cluster.records import NodeLife, NodeRecord, Unfinished
from smproxy.cluster.timing import Timing
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.journal import Journal
from smproxy.manager.cluster.membership import ClusterMembership
from smproxy.manager.cluster.origin_channels import OriginChannels
from smproxy.manager.manager import Manager
from smproxy.settings import Settings, SettingsError
from smproxy.signaling.clock import Clock
from smproxy.signaling.node_channel import Load, Report, ReportTo
from smproxy.signaling.payloads import ConnectError, Reason

if TYPE_CHECKING:
    from smproxy.origin.origin import Origin

logger = logging.getLogger(__name__)

#: Seconds for which the end of a stream is not confirmed to its client because the registry is slow to free the name.
_FREED_WITHIN = 1.0


class _Names:
    """The names of the cluster, for the origin of this node."""

    def __init__(self, cluster: Clustered) -> None:
        self._cluster = cluster
        self._held: dict[tuple[str, str], Held] = {}
        self._releasing: dict[tuple[str, str], asyncio.Task[None]] = {}

    def taken(self, scope: str, name: str) -> bool:
        node = self._cluster.node
        owner = None if node is None else node.directory.owner(scope, name)
        return owner is not None and node is not None and owner.life.node != node.name

    async def claim(self, scope: str, name: str, lost: Callable[[], None]) -> int | ConnectError:
        node = self._cluster.node
        if node is None:
            return ConnectError.ORIGIN_ERROR
        if self._cluster.is_edge:
            return ConnectError.REJECTED
        held = await node.claim(scope, name, lost)
        if isinstance(held, Held):
            self._held[scope, name] = held
            return held.epoch
        return ConnectError.NAME_IN_USE if held is ClaimRefusal.TAKEN else ConnectError.ORIGIN_ERROR

    async def look(self, scope: str, name: str) -> None:
        if self._cluster.node is not None and self.taken(scope, name):
            await self._cluster.node.look(scope, name)

    async def freed(self, scope: str, name: str) -> None:
        if (task := self._releasing.get((scope, name))) is not None:
            await asyncio.wait((task,), timeout=_FREED_WITHIN)

    def release(self, scope: str, name: str) -> None:
        key = (scope, name)
        held = self._held.pop(key, None)
        if held is not None and self._cluster.node is not None:
            task = self._releasing[key] = self._cluster.node.release(held)
            task.add_done_callback(lambda done: self._releasing.get(key) is done and self._releasing.pop(key))


class Clustered:
    """Joins one simulator to a cluster, in steps as it starts; ``stop`` leaves."""

    def __init__(
        self, settings: Settings, registry: NatsRegistry, timing: Timing, clock: Clock, rng: random.Random
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._timing = timing
        self._clock = clock
        self._rng = rng
        self._key = secrets.token_hex(16)
        self._journal: Journal | None = None
        self._dispatcher: HookDispatcher | None = None
        self._local_report: ReportTo = lambda report: None
        self.node: ClusterNode | None = None
        self.is_edge = "edge" in settings.roles
        self.names = _Names(self)
        self.channels = OriginChannels(self._report)
        self.membership = ClusterMembership(
            self._key, timing.witness / 2, self.channels, manages="manager" in settings.roles
        )
        self.events = ClusterEvents(node=settings.node_number, clock=clock, rng=rng, on_changed=self._session_changed)

    def _report(self, report: Report) -> None:
        self._local_report(report)

    @classmethod
    async def prepare(cls, settings: Settings, clock: Clock, rng: random.Random) -> Clustered:
        """Connect to the registry.

        Raises:
            SettingsError: it cannot be used.
        """
        assert settings.cluster is not None
        timing = Timing.of_ttl(settings.cluster_ttl)
        try:
            registry = await NatsRegistry.start(settings.cluster, timing, clock.monotonic)
        except RegistryError as error:
            raise SettingsError(str(error)) from None
        return cls(settings, registry, timing, clock, rng)

    def take_hooks(self, dispatcher: HookDispatcher, journal: Journal) -> None:
        """Follow the hooks, so that other nodes can end what this one cannot."""
        self._dispatcher, self._journal = dispatcher, journal
        dispatcher.on_published(self.events.published)

    def report_to(self, report: ReportTo) -> None:
        """Take the reports of the own origin for the own manager."""
        self._local_report = report

    async def join(self, manager: Manager, origin: Origin | None) -> None:
        """Join, with the ports open."""
        settings = self._settings
        advertised = url_host(settings.advertise or settings.host)
        me = NodeRecord(
            life=NodeLife(settings.node_name, ""),
            roles=settings.roles,
            url=f"http://{advertised}:{manager.ports[0]}",
            key=self._key,
            origin=None if origin is None else (settings.advertise or origin.hello.host, origin.hello.port),
            region=settings.region,
            version=smproxy.__version__,
            since=self._clock.wall_ms(),
        )

        def fenced() -> None:
            manager.sessions.stop(Reason.ORIGIN_LOST)

        self.node = ClusterNode(
            self._registry,
            me,
            self._timing,
            monotonic=self._clock.monotonic,
            rng=self._rng,
            load=self._with_load,
            ask_peer=self.membership.peers.has_registry,
            write_ends=self._write_ends,
            on_fenced=fenced,
            on_nodes=self.membership.nodes_changed,
        )
        self.membership.begin(self.node, manager.registry, manager.sessions)
        if origin is not None:
            self.channels.serve_origin(origin.command, self._drain)
            self.membership.pulled.serve_origin(origin.open_feed)
            self.membership.captures = origin.capture
            own = manager.registry.find(origin.hello.address)
            assert own is not None
            own.role, own.pulls_others = "edge" if self.is_edge else "origin", True
        await self.node.start()

    def _drain(self, enabled: bool) -> None:
        if self.node is not None:
            self.node.draining = enabled

    def _with_load(self, record: NodeRecord) -> NodeRecord:
        load: Load = self.channels.load
        return msgspec.structs.replace(
            record, publishers=load.publishers, subscribers=load.subscribers, capacity=load.capacity, pulls=load.pulls
        )

    def _session_changed(self, number: int, state: Unfinished | None) -> None:
        if self.node is not None:
            self.node.session_changed(number, state)

    async def _write_ends(self, state: Unfinished) -> None:
        """Write the ends of a dead node's session, unless the journal has them."""
        assert self._dispatcher is not None
        assert self._journal is not None
        for event, context in self.events.ends(state):
            if await self._journal.get(event.uuid) is None:
                self._dispatcher.publish(event, context)
        await self._journal.flush()

    async def stop(self) -> None:
        """Leave the cluster; the sessions have ended."""
        await self.membership.stop()
        if self.node is not None:
            await self.node.stop()
        else:
            await self._registry.stop()
