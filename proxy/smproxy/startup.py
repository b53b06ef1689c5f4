"""Start the parts of a simulator in order, from the sinks of hooks up to the ports."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smproxy.addresses import WILDCARDS
from smproxy.faults import FaultRegistry
from smproxy.hooks.broadcast import HookBroadcast
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.event import EventFactory
from smproxy.hooks.journal import FILE_NAME, Journal, JournalError, Retention
from smproxy.hooks.journal.recovery import end_unfinished
from smproxy.hooks.retry import PROFILES
from smproxy.hooks.sink import EventListener
from smproxy.manager.faults.hooks import HookFaults
from smproxy.manager.manager import ListenError, Manager
from smproxy.manager.origin_registry import Node
from smproxy.manager.services import Services
from smproxy.origin.front import OriginFront
from smproxy.origin.late_origin import LateOrigin
from smproxy.origin.unfit_library import UnfitLibraryError, check_installed
from smproxy.settings import Settings, SettingsError
from smproxy.settings.components import make_manager_settings, make_node_settings, make_origin_settings, make_sinks
from smproxy.settings.option_values import Address
from smproxy.settings.tls import make_tls_context
from smproxy.signaling.clock import Clock
from smproxy.signaling.node_channel import Hello, Report, ReportTo
from smproxy.trace_context import environment_asks

if TYPE_CHECKING:
    from smproxy.certificates import CertificateFiles
    from smproxy.clustered import Clustered
    from smproxy.nodes.fleet import NodeFleet
    from smproxy.origin.origin import Origin
    from smproxy.otel import OtelTracer
    from smproxy.turn_server import TurnServer

logger = logging.getLogger(__name__)

_UNFIT = (
    "install stream-manager-proxy with its dependencies into an environment of its own, or start with --no-local-origin"
)


@dataclass(slots=True)
class Parts:
    """What runs in a simulator."""

    dispatcher: HookDispatcher
    manager: Manager
    certificates: CertificateFiles | None
    origin: LateOrigin | None = None
    media_port: int | None = None
    fleet: NodeFleet | None = None


class Startup:
    """Starts the parts one after another; each is stopped by ``stack``, in the reverse order.

    ``rng_for`` returns the random numbers for one purpose; ``flush``: seconds for which hooks are still delivered at the stop.
    """

    def __init__(
        self,
        stack: AsyncExitStack,
        settings: Settings,
        *,
        clock: Clock,
        rng_for: Callable[[str], random.Random],
        faults: FaultRegistry,
        listeners: Sequence[EventListener],
        flush: float,
    ) -> None:
        self._stack = stack
        self._settings = settings
        self._clock = clock
        self._rng_for = rng_for
        self._faults = faults
        self._listeners = listeners
        self._flush = flush
        self._ice_servers = settings.ice_server
        self._tracer: OtelTracer | None = None

    async def run(self) -> Parts:
        """Start everything; the ports open last.

        Raises:
            SettingsError: what the user can mend: a port in use, an unreadable certificate.
        """
        stack, settings = self._stack, self._settings
        broadcast = HookBroadcast()
        self._tracer = self._start_tracer()
        if settings.capture is not None:
            _make_capture_directory(settings.capture)
        if settings.turn:
            self._ice_servers = (await self._start_turn()).ice_server, *settings.ice_server
        cluster = await self._prepare_cluster()
        dispatcher = await self._start_dispatcher(broadcast, cluster)
        if cluster is not None:
            stack.push_async_callback(cluster.stop)
        context, certificates = make_tls_context(settings, self._clock)
        services = Services(
            make_manager_settings(settings, context, self._clock, self._ice_servers),
            dispatcher=dispatcher,
            broadcast=broadcast,
            clock=self._clock,
            rng=self._rng_for("manager"),
            faults=self._faults,
            tracer=self._tracer,
        )
        manager = Manager(services, extension=None if cluster is None else cluster.membership)
        parts = Parts(dispatcher, manager, certificates)
        stack.push_async_callback(manager.stop)
        for address in settings.origin:
            manager.registry.attach(_external(address))
        origin: LateOrigin | None = None
        if settings.nodes:
            parts.fleet = manager.node_provider = await self._start_nodes(manager)
            parts.media_port = parts.fleet.media_port
        elif settings.local_origin and {"origin", "edge"} & set(settings.roles):
            origin = await self._start_origin(manager, cluster)
            parts.origin, parts.media_port = origin, origin.front.media_port
        stack.push_async_callback(manager.refuse_new)
        try:
            await manager.start()
        except ListenError as error:
            raise SettingsError(_cannot_listen(settings.host, error)) from None
        for fault in settings.fault:
            fault.switch_on(self._faults)
        if origin is not None and (streams := origin.front.streams) is not None:
            streams.listening(manager.addresses)
            manager.give_media_to(streams.accept)
        if cluster is not None:
            await cluster.join(manager, None if origin is None else await origin.load())
        return parts

    def _start_tracer(self) -> OtelTracer | None:
        """Start to make traces, where somebody asks for them."""
        asked = self._settings.otel_endpoint
        if asked is None and not environment_asks(os.environ):
            return None
        try:
            from smproxy.otel import OtelTracer
        except ImportError:
            need = "needs OpenTelemetry: pip install 'stream-manager-proxy[otel]'"
            if asked is not None:
                raise SettingsError(f"--otel-endpoint {need}") from None
            logger.warning("no traces are made: OTEL_EXPORTER_OTLP_ENDPOINT %s", need)
            return None
        tracer = OtelTracer(asked, clock=self._clock)
        self._stack.push_async_callback(tracer.stop)
        return tracer

    async def _start_turn(self) -> TurnServer:
        from smproxy.turn_server import TurnServer

        addresses = self._settings.media_address
        host = addresses[0] if addresses and self._settings.host in WILDCARDS else self._settings.host
        try:
            turn = await TurnServer.start("127.0.0.1" if host in WILDCARDS else host, self._rng_for("turn"))
        except (RuntimeError, OSError) as error:
            raise SettingsError(f"--turn: {error}") from None
        self._stack.push_async_callback(turn.stop)
        return turn

    async def _prepare_cluster(self) -> Clustered | None:
        if self._settings.cluster is None:
            return None
        try:
            from smproxy.clustered import Clustered
        except ImportError:
            raise SettingsError("--cluster needs nats-py: pip install 'stream-manager-proxy[cluster]'") from None
        return await Clustered.prepare(self._settings, self._clock, self._rng_for("cluster"))

    async def _start_dispatcher(self, broadcast: HookBroadcast, cluster: Clustered | None) -> HookDispatcher:
        """Start the journal and what reads from it.

        What a process before this one left unfinished is ended first.
        """
        settings = self._settings
        path = None if settings.in_memory else settings.data_dir / FILE_NAME
        try:
            retention = Retention.of(settings.hook_keep, settings.hook_keep_days)
            journal = await Journal.start(path, clock=self._clock, retention=retention)
            self._stack.push_async_callback(journal.stop)
            dispatcher = await HookDispatcher.start(
                make_sinks(settings, self._clock),
                clock=self._clock,
                rng=self._rng_for("delivery"),
                events=cluster.events if cluster is not None else self._events(),
                profile=PROFILES[settings.hook_retries],
                listeners=[broadcast, *self._listeners],
                journal=journal,
            )
            self._stack.push_async_callback(dispatcher.stop, self._flush)
            if self._tracer is not None:
                dispatcher.on_published(self._tracer.hook_published)
                dispatcher.on_update(self._tracer.delivery_update)
            self._stack.push_async_callback(HookFaults.start(self._faults, dispatcher).stop)
            if cluster is None:
                await end_unfinished(journal, dispatcher.emit)
            else:
                cluster.take_hooks(dispatcher, journal)
                await end_unfinished(journal, dispatcher.emit, cluster.events.found)
        except (JournalError, ValueError) as error:
            raise SettingsError(str(error)) from None
        return dispatcher

    def _events(self) -> EventFactory:
        return EventFactory(node=self._settings.node, clock=self._clock, rng=self._rng_for("events"))

    async def _start_origin(self, manager: Manager, cluster: Clustered | None) -> LateOrigin:
        """Have an origin listen.

        In a cluster its media stack is there, too; else that comes when it is needed.
        """
        _check_media_libraries()
        node: Node | None = None

        def report(report: Report) -> None:
            if node is not None:
                manager.sessions.report(node, report)

        if cluster is not None:
            cluster.report_to(report)
        settings, rng = make_origin_settings(self._settings, self._ice_servers), self._rng_for("origin")

        async def start_behind(front: OriginFront) -> Origin:
            from smproxy.origin.origin import Origin

            return await Origin.start(
                settings,
                report if cluster is None else cluster.channels.report,
                clock=self._clock,
                rng=rng,
                names=None if cluster is None else cluster.names,
                other_nodes=None if cluster is None else cluster.membership,
                front=front,
            )

        try:
            origin = LateOrigin(await OriginFront.open(settings, self._clock), start_behind)
        except OSError as error:
            port = self._settings.media_port
            raise SettingsError(
                f"--media-port {port}: {(error.strerror or str(error)).lower()}: free it, or give another --media-port"
            ) from None
        self._stack.push_async_callback(origin.stop)
        if cluster is not None:
            await load_media(origin)
        node = manager.registry.attach(
            origin.hello,
            origin.command if cluster is None else cluster.channels.command,
            thumbnail=origin.thumbnail,
            shared_objects=origin.shared_objects,
            interstitials=origin.interstitials,
            capture=origin.capture,
            counters=origin.counters,
            connect=origin.front.connect,
        )
        return origin

    async def _start_nodes(self, manager: Manager) -> NodeFleet:
        _check_media_libraries()
        from smproxy.nodes.fleet import NodeFleet
        from smproxy.nodes.lifecycle import NodeTiming
        from smproxy.nodes.scenario import ScenarioError, load_node_scenario
        from smproxy.origin.origin import Origin, OriginTables

        settings, asked = self._settings, make_origin_settings(self._settings, self._ice_servers)
        tables, rng = OriginTables.make(asked, self._clock), self._rng_for("origin")

        async def start_origin(address: str, region: str, report: ReportTo) -> Origin:
            own = make_node_settings(asked, address, region)
            own_rng = random.Random(rng.getrandbits(64))  # noqa: S311
            return await Origin.start(own, report, clock=self._clock, rng=own_rng, tables=tables)

        try:
            steps = () if settings.node_scenario is None else load_node_scenario(settings.node_scenario)
            fleet = await NodeFleet.start(
                settings.nodes, steps, manager.registry, manager.sessions, start_origin,
                clock=self._clock, timing=NodeTiming(start=settings.node_start, sunset=settings.node_sunset),
            )  # fmt: skip
        except ScenarioError as error:
            raise SettingsError(f"--node-scenario {error}") from None
        except UnfitLibraryError as error:
            raise _cannot_run(error) from None
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise SettingsError(
                f"--nodes: an address cannot be used: {why}: each node needs one of 127.0.0.x, which some systems need told: "
                "see docs/nodes.md"
            ) from None
        self._stack.push_async_callback(fleet.stop)
        return fleet


async def load_media(origin: LateOrigin) -> None:
    """Wait until an origin has its media stack.

    Raises:
        SettingsError: it cannot run on what is installed; says what to do.
    """
    try:
        await origin.load()
    except UnfitLibraryError as error:
        raise _cannot_run(error) from None


def _check_media_libraries() -> None:
    """Check what is installed before a port is open; the import comes later."""
    try:
        check_installed()
    except UnfitLibraryError as error:
        raise _cannot_run(error) from None


def _cannot_run(error: UnfitLibraryError) -> SettingsError:
    return SettingsError(f"the origin cannot run: {error}: {_UNFIT}")


def _make_capture_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise SettingsError(f"--capture {directory}: {why}: give a directory that can be written to") from None


def _external(address: Address) -> Hello:
    return Hello(address=str(address), host=address.host, port=address.port)


def _cannot_listen(host: str, error: ListenError) -> str:
    flag = "--tls-port" if error.tls else "--port"
    reason = (error.why.strerror or str(error.why)).lower()
    mend = f"choose another with {flag} or --host (0 takes a free port)"
    if isinstance(error.why, PermissionError):
        mend = f"allow it as docs/ports.md says, or {mend}"
    return f"cannot listen on {host}, port {error.port}: {reason}: {mend}"
