"""The whole simulator as one object that starts and stops everything."""

from __future__ import annotations

import random
import secrets
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any

from smproxy.addresses import url_host
from smproxy.faults import FaultRegistry
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.manager.manager import Manager
from smproxy.settings import Settings, settings_of
from smproxy.signaling.clock import Clock, SystemRandomness
from smproxy.startup import Parts, Startup, load_media

if TYPE_CHECKING:
    from smproxy.certificates import CertificateFiles
    from smproxy.embedded import EmbeddedSimulator
    from smproxy.nodes.node_names import NodeNames
    from smproxy.testing import Publisher, Subscriber
    from smproxy.testing.hook_log import HookLog
    from smproxy.testing.hooks import Hooks

#: Seconds for which hooks are still delivered when the simulator stops.
FLUSH = 2.0


def _fault_prefix(settings: Settings) -> str:
    """Return what names of faults begin with: two lives of cluster nodes give no name twice."""
    return "f" if settings.cluster is None else f"{settings.node_name}-{secrets.token_hex(3)}-f"


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
        self.faults = FaultRegistry(clock=self._clock, rng=self._stream("faults"), prefix=_fault_prefix(self.settings))
        self._flush = flush
        self._running = AsyncExitStack()
        self._parts: Parts | None = None
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
        return self._running_parts.manager

    @property
    def dispatcher(self) -> HookDispatcher:
        """The running hook delivery."""
        return self._running_parts.dispatcher

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
        return self._running_parts.media_port

    @property
    def authority(self) -> CertificateFiles | None:
        """The local authority, with ``tls_self_signed``."""
        return self._running_parts.certificates

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
            if self._parts is not None:
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
        return SystemRandomness() if seed is None else random.Random(f"{seed}/{name}")  # noqa: S311

    async def start(self) -> None:
        """Start everything, from the sinks up to the ports, which open last."""
        async with AsyncExitStack() as stack:
            startup = Startup(
                stack,
                self.settings,
                clock=self._clock,
                rng_for=self._stream,
                faults=self.faults,
                listeners=() if self._hook_log is None else (self._hook_log,),
                flush=self._flush,
            )
            self._parts = await startup.run()
            self._running = stack.pop_all()

    async def load_media(self) -> None:
        """Import what media needs, now rather than when the first client comes.

        Raises:
            SettingsError: the origin cannot run on what is installed.
        """
        if (origin := self._running_parts.origin) is not None:
            await load_media(origin)

    async def stop(self) -> None:
        """Refuse new clients, end live ones, deliver hooks for at most ``flush`` seconds."""
        await self._running.aclose()

    @property
    def nodes(self) -> NodeNames:
        """The simulated nodes, by their names: ``simulator.nodes.sunset("node2")``."""
        from smproxy.nodes.node_names import NodeNames

        parts = self._running_parts
        if parts.fleet is None:
            raise RuntimeError("there are no simulated nodes: start it with nodes=3")
        return NodeNames(parts.manager.registry, parts.fleet)

    @property
    def _running_parts(self) -> Parts:
        assert self._parts is not None, "the simulator has not been started"
        return self._parts
