"""A running simulator for code that blocks.

On a thread of its own, with everything that a test of it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from smproxy.faults import Fault, FaultRegistry
from smproxy.settings import Settings
from smproxy.testing.blocking import SyncHooks, SyncPublisher, SyncSubscriber
from smproxy.testing.clients import Clients
from smproxy.testing.hook_log import HookLog
from smproxy.testing.hooks import Hooks
from smproxy.testing.loop_thread import LoopThread
from smproxy.testing.remote import Blocking

if TYPE_CHECKING:
    from smproxy.nodes.node_names import NodeNames


class EmbeddedInner(Protocol):
    """What is needed of the simulator inside."""

    settings: Settings

    @property
    def port(self) -> int: ...
    @property
    def tls_port(self) -> int | None: ...
    @property
    def ports(self) -> tuple[int, ...]: ...
    @property
    def tls_ports(self) -> tuple[int, ...]: ...
    @property
    def url(self) -> str: ...
    @property
    def rest_url(self) -> str: ...
    @property
    def hook_log(self) -> HookLog: ...
    @property
    def faults(self) -> FaultRegistry: ...
    @property
    def nodes(self) -> NodeNames: ...
    async def start(self) -> None: ...
    async def stop(self) -> None: ...


class EmbeddedSimulator:
    """A simulator that runs on a :class:`LoopThread`; every method blocks.

    Made by :meth:`start`, ended by :meth:`stop`.

    Blocking the thread of the test, or its event loop, does not hold it up.
    """

    def __init__(self, simulator: EmbeddedInner, thread: LoopThread) -> None:
        #: The simulator itself; touch it on ``thread`` only (``thread.call``, ``thread.run``).
        self.inner = simulator
        self.thread = thread
        self._clients = Clients(simulator.url, thread, Blocking)

    @classmethod
    def start(cls, simulator: EmbeddedInner, thread: LoopThread) -> EmbeddedSimulator:
        """Start a simulator on the thread. Raises what its ``start`` raises."""
        thread.run(simulator.start())
        return cls(simulator, thread)

    @property
    def settings(self) -> Settings:
        """What it was started with."""
        return self.inner.settings

    @property
    def url(self) -> str:
        """The URL of the WebSocket proxy."""
        return self.inner.url

    @property
    def rest_url(self) -> str:
        """The base URL of REST and pages."""
        return self.inner.rest_url

    @property
    def port(self) -> int:
        """The port of REST, pages and WebSocket; the first where there are several."""
        return self.inner.port

    @property
    def ports(self) -> tuple[int, ...]:
        """All ports of REST, pages and WebSocket."""
        return self.inner.ports

    @property
    def tls_port(self) -> int | None:
        """The port of https and wss, if any; the first where there are several."""
        return self.inner.tls_port

    @property
    def tls_ports(self) -> tuple[int, ...]:
        """All ports of https and wss."""
        return self.inner.tls_ports

    @property
    def hooks(self) -> SyncHooks:
        """The hooks since the start."""
        return cast(SyncHooks, Blocking(Hooks(self.inner.hook_log), self.thread))

    @property
    def faults(self) -> FaultRegistry:
        """What goes wrong on purpose: ``faults.add("publish-denied", id="s1")``."""
        return cast(FaultRegistry, Blocking(self.inner.faults, self.thread, (Fault,)))

    @property
    def nodes(self) -> NodeNames:
        """The simulated nodes: ``nodes.sunset("node2")``."""
        return cast("NodeNames", Blocking(self.inner.nodes, self.thread))

    def publisher(self, stream: str | None = None, **options: Any) -> SyncPublisher:
        """Make a headless publisher: ``with simulator.publisher("s1"):``.

        See :class:`smproxy.testing.Publisher`.
        """
        return cast(SyncPublisher, self._clients.publisher(stream, **options))

    def subscriber(self, stream: str, **options: Any) -> SyncSubscriber:
        """Make a headless subscriber. See :class:`smproxy.testing.Subscriber`."""
        return cast(SyncSubscriber, self._clients.subscriber(stream, **options))

    def stop(self) -> None:
        """Close the clients, end every session, deliver the hooks. The thread is left to its owner."""
        try:
            self._clients.close()
        finally:
            self.thread.run(self.inner.stop())
