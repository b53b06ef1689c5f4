"""The whole simulator as one object that starts and stops everything."""

from __future__ import annotations

import logging
import random
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any

from smproxy.addresses import WILDCARDS, url_host
from smproxy.certificates import CertificateFiles
from smproxy.component_settings import make_manager_settings, make_node_settings, make_origin_settings, make_sinks
from smproxy.faults import FaultRegistry
from smproxy.hooks.broadcast import HookBroadcast
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.event import EventFactory
from smproxy.hooks.journal import FILE_NAME, Journal, JournalError, Retention
from smproxy.hooks.journal.recovery import end_unfinished
from smproxy.hooks.retry import PROFILES
from smproxy.manager.faults.hooks import HookFaults
from smproxy.manager.manager import ListenError, Manager
from smproxy.manager.origin_registry import Node
from smproxy.option_values import Address
from smproxy.settings import Settings, SettingsError, settings_of
from smproxy.signaling.clock import Clock
from smproxy.signaling.node import Hello, Report, ReportTo
from smproxy.tls_settings import make_tls_context
from smproxy.turn_server import TurnServer

if TYPE_CHECKING:
    from smproxy.clustered import Clustered
    from smproxy.embedded import EmbeddedSimulator
    from smproxy.nodes.fleet import NodeFleet
    from smproxy.nodes.node_names import NodeNames
    from smproxy.origin.origin import Origin
    from smproxy.testing import Publisher, Subscriber
    from smproxy.testing.hook_log import HookLog
    from smproxy.testing.hooks import Hooks

logger = logging.getLogger(__name__)

_UNFIT = (
    "install stream-manager-proxy with its dependencies into an environment of its own, or start with --no-local-origin"
)

#: Seconds for which hooks are still delivered when the simulator stops.
FLUSH = 2.0


class Simulator:
    """A stream manager with its proxy, its origin and its hooks, in this process.

    Use it as an async context manager, or call ``start`` and ``stop``. As a plain context manager it runs on a thread of its
    own, and what it returns blocks::

        with Simulator(hook_uri="http://127.0.0.1:8000/hooks") as stream_manager:
            with stream_manager.publisher("s1", recording=True):
                stream_manager.hooks.expect("session", state="connected", id="s1")

    Without ``settings`` it takes a free port and keeps everything in memory; ``options`` are named as in ``Settings``.
    ``flush``: seconds for which hooks are still delivered when it stops.
    ``start`` raises ``SettingsError`` for what the user can mend: a port in use, an unreadable certificate.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        flush: float = FLUSH,
        **options: Any,
    ) -> None:
        if settings is not None and options:
            raise TypeError(f"give settings or {', '.join(options)}, not both")
        self.settings = settings or settings_of(**options)
        self._clock = clock or Clock()
        self._rng = rng
        #: What goes wrong on purpose: see :mod:`smproxy.faults`.
        self.faults = FaultRegistry(clock=self._clock, rng=self._stream("faults"))
        self._flush = flush
        self._running = AsyncExitStack()
        self._manager: Manager | None = None
        self._dispatcher: HookDispatcher | None = None
        self._certificates: CertificateFiles | None = None
        self._media_port: int | None = None
        self._fleet: NodeFleet | None = None
        self._ice_servers = self.settings.ice_server
        self._hook_log: HookLog | None = None
        self._embedded: EmbeddedSimulator | None = None

    async def __aenter__(self) -> Simulator:
        _ = self.hook_log
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def __enter__(self) -> EmbeddedSimulator:
        from smproxy.embedded import EmbeddedSimulator
        from smproxy.testing.loop_thread import LoopThread

        _ = self.hook_log
        thread = LoopThread.start()
        try:
            self._embedded = EmbeddedSimulator.start(self, thread)
        except BaseException:
            thread.stop()
            raise
        return self._embedded

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        embedded, self._embedded = self._embedded, None
        if embedded is not None:
            try:
                embedded.stop()
            finally:
                embedded.thread.stop()

    @property
    def manager(self) -> Manager:
        """The running manager."""
        assert self._manager is not None, "the simulator has not been started"
        return self._manager

    @property
    def dispatcher(self) -> HookDispatcher:
        """The running hook delivery."""
        assert self._dispatcher is not None, "the simulator has not been started"
        return self._dispatcher

    @property
    def port(self) -> int:
        """The port of REST, pages and WebSocket; the first where there are several."""
        return self.manager.ports[0]

    @property
    def ports(self) -> tuple[int, ...]:
        """All ports of REST, pages and WebSocket."""
        return self.manager.ports

    @property
    def tls_port(self) -> int | None:
        """The port of https and wss, if any; the first where there are several."""
        return next(iter(self.manager.tls_ports), None)

    @property
    def tls_ports(self) -> tuple[int, ...]:
        """All ports of https and wss."""
        return self.manager.tls_ports

    @property
    def media_port(self) -> int | None:
        """The UDP port of all media, with ``media_port``."""
        return self._media_port

    @property
    def authority(self) -> CertificateFiles | None:
        """The local authority, with ``tls_self_signed``."""
        return self._certificates

    @property
    def url(self) -> str:
        """The URL of the WebSocket proxy."""
        return f"ws://{url_host(self.settings.host)}:{self.port}/streammanager"

    @property
    def rest_url(self) -> str:
        """The base URL of REST and pages."""
        return f"http://{url_host(self.settings.host)}:{self.port}"

    @property
    def hook_log(self) -> HookLog:
        """The latest hooks.

        They are kept in a context manager, or when this was read before ``start``.
        """
        from smproxy.testing.hook_log import HookLog

        if self._hook_log is None:
            if self._dispatcher is not None:
                raise RuntimeError("no hooks were kept: use the simulator as a context manager")
            self._hook_log = HookLog()
        return self._hook_log

    @property
    def hooks(self) -> Hooks:
        """Expectations about the hooks, whether or not anybody receives them.

        ``await simulator.hooks.expect("connected")``.
        """
        from smproxy.testing.hooks import Hooks

        return Hooks(self.hook_log)

    def publisher(self, stream: str, **options: Any) -> Publisher:
        """Make a headless publisher: ``async with simulator.publisher("s1", recording=True):``.

        ``options`` are those of :class:`smproxy.testing.Publisher`, and connection parameters by name.
        """
        from smproxy.testing.clients import make_publisher

        return make_publisher(self.url, stream, options)

    def subscriber(self, stream: str, **options: Any) -> Subscriber:
        """Make a headless subscriber, with options like :meth:`publisher`."""
        from smproxy.testing.clients import make_subscriber

        return make_subscriber(self.url, stream, options)

    def _stream(self, name: str) -> random.Random:
        """Return random numbers for one purpose.

        With a seed each has its own, so that none depends on another's pace.
        """
        if self._rng is not None:
            return self._rng
        seed = self.settings.seed
        return random.SystemRandom() if seed is None else random.Random(f"{seed}/{name}")  # noqa: S311

    async def start(self) -> None:
        """Start everything, from the sinks up to the ports, which open last."""
        async with AsyncExitStack() as stack:
            broadcast = HookBroadcast()
            if self.settings.turn:
                self._ice_servers = (await self._start_turn(stack)).ice_server, *self.settings.ice_server
            cluster = await self._prepare_cluster()
            self._dispatcher = dispatcher = await self._start_dispatcher(stack, broadcast, cluster)
            if cluster is not None:
                stack.push_async_callback(cluster.stop)
            self._manager = manager = self._make_manager(dispatcher, broadcast, cluster)
            stack.push_async_callback(manager.stop)
            for address in self.settings.origin:
                manager.registry.attach(_external(address))
            origin: Origin | None = None
            if self.settings.nodes:
                await self._start_nodes(stack, manager)
            elif self.settings.local_origin and "origin" in self.settings.roles:
                origin = await self._start_origin(stack, manager, cluster)
            stack.push_async_callback(manager.refuse_new)
            try:
                await manager.start()
            except ListenError as error:
                raise SettingsError(_cannot_listen(self.settings.host, error)) from None
            if cluster is not None:
                await cluster.join(manager, *((origin.hello, origin.command) if origin else (None, None)))
            self._running = stack.pop_all()

    async def stop(self) -> None:
        """Refuse new clients, end live ones, deliver hooks for at most ``flush`` seconds."""
        await self._running.aclose()

    async def _start_turn(self, stack: AsyncExitStack) -> TurnServer:
        addresses = self.settings.media_address
        host = addresses[0] if addresses and self.settings.host in WILDCARDS else self.settings.host
        try:
            turn = await TurnServer.start("127.0.0.1" if host in WILDCARDS else host, self._stream("turn"))
        except (RuntimeError, OSError) as error:
            raise SettingsError(f"--turn: {error}") from None
        stack.push_async_callback(turn.stop)
        return turn

    async def _prepare_cluster(self) -> Clustered | None:
        if self.settings.cluster is None:
            return None
        try:
            from smproxy.clustered import Clustered
        except ImportError:
            raise SettingsError("--cluster needs nats-py: pip install 'stream-manager-proxy[cluster]'") from None
        return await Clustered.prepare(self.settings, self._clock, self._stream("cluster"))

    async def _start_dispatcher(
        self, stack: AsyncExitStack, broadcast: HookBroadcast, cluster: Clustered | None
    ) -> HookDispatcher:
        """Start the journal and what reads from it.

        What a process before this one left unfinished is ended first.
        """
        settings = self.settings
        path = None if settings.in_memory else settings.data_dir / FILE_NAME
        try:
            retention = Retention(events=settings.hook_keep, days=settings.hook_keep_days)
            journal = await Journal.start(path, clock=self._clock, retention=retention)
            stack.push_async_callback(journal.stop)
            dispatcher = await HookDispatcher.start(
                make_sinks(settings, self._clock),
                clock=self._clock,
                rng=self._stream("delivery"),
                events=cluster.events if cluster is not None else self._events(),
                profile=PROFILES[settings.hook_retries],
                listeners=[broadcast] if self._hook_log is None else [broadcast, self._hook_log],
                journal=journal,
            )
            stack.push_async_callback(dispatcher.stop, self._flush)
            stack.push_async_callback(HookFaults.start(self.faults, dispatcher).stop)
            if cluster is None:
                await end_unfinished(journal, dispatcher.emit)
            else:
                cluster.take_hooks(dispatcher, journal)
                await end_unfinished(journal, dispatcher.emit, cluster.events.found)
        except (JournalError, ValueError) as error:
            raise SettingsError(str(error)) from None
        return dispatcher

    def _events(self) -> EventFactory:
        return EventFactory(node=self.settings.node, clock=self._clock, rng=self._stream("events"))

    def _make_manager(self, dispatcher: HookDispatcher, broadcast: HookBroadcast, cluster: Clustered | None) -> Manager:
        context, self._certificates = make_tls_context(self.settings, self._clock)
        return Manager(
            make_manager_settings(self.settings, context, self._clock, self._ice_servers),
            dispatcher=dispatcher,
            broadcast=broadcast,
            clock=self._clock,
            rng=self._stream("manager"),
            faults=self.faults,
            extension=None if cluster is None else cluster.membership,
        )

    async def _start_origin(self, stack: AsyncExitStack, manager: Manager, cluster: Clustered | None) -> Origin:
        # Imported here because aiortc takes a third of a second, which --no-local-origin and --help need not pay.
        from smproxy.origin.origin import Origin, UnfitLibraryError

        node: Node | None = None

        def report(report: Report) -> None:
            if node is not None:
                manager.sessions.report(node, report)

        if cluster is not None:
            cluster.report_to(report)
        settings = make_origin_settings(self.settings, self._ice_servers)
        try:
            origin = await Origin.start(
                settings,
                report if cluster is None else cluster.channels.report,
                clock=self._clock,
                rng=self._stream("origin"),
                names=None if cluster is None else cluster.names,
            )
        except UnfitLibraryError as error:
            raise SettingsError(f"the origin cannot run: {error}: {_UNFIT}") from None
        except OSError as error:
            port = self.settings.media_port
            raise SettingsError(
                f"--media-port {port}: {(error.strerror or str(error)).lower()}: free it, or give another --media-port"
            ) from None
        stack.push_async_callback(origin.stop)
        self._media_port = origin.media_port
        node = manager.registry.attach(
            origin.hello,
            origin.command if cluster is None else cluster.channels.command,
            thumbnail=origin.thumbnail,
            shared_objects=origin.shared_objects,
            interstitials=origin.interstitials,
        )
        return origin

    async def _start_nodes(self, stack: AsyncExitStack, manager: Manager) -> None:
        from smproxy.nodes.fleet import NodeFleet
        from smproxy.nodes.lifecycle import NodeTiming
        from smproxy.nodes.scenario import ScenarioError, load_node_scenario
        from smproxy.origin.origin import Origin, OriginTables, UnfitLibraryError

        settings, asked = self.settings, make_origin_settings(self.settings, self._ice_servers)
        tables, rng = OriginTables.make(asked, self._clock), self._stream("origin")

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
            raise SettingsError(f"the origin cannot run: {error}: {_UNFIT}") from None
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise SettingsError(
                f"--nodes: an address cannot be used: {why}: each node needs one of 127.0.0.x, which some systems need told: "
                "see docs/nodes.md"
            ) from None
        stack.push_async_callback(fleet.stop)
        self._media_port = fleet.media_port
        self._fleet = manager.node_provider = fleet

    @property
    def nodes(self) -> NodeNames:
        """The simulated nodes, by their names: ``simulator.nodes.sunset("node2")``."""
        from smproxy.nodes.node_names import NodeNames

        if self._fleet is None:
            raise RuntimeError("there are no simulated nodes: start it with nodes=3")
        return NodeNames(self.manager.registry, self._fleet)


def _external(address: Address) -> Hello:
    return Hello(address=str(address), host=address.host, port=address.port)


def _cannot_listen(host: str, error: ListenError) -> str:
    flag = "--tls-port" if error.tls else "--port"
    reason = (error.why.strerror or str(error.why)).lower()
    mend = f"choose another with {flag} or --host (0 takes a free port)"
    if isinstance(error.why, PermissionError):
        mend = f"allow it as docs/ports.md says, or {mend}"
    return f"cannot listen on {host}, port {error.port}: {reason}: {mend}"
