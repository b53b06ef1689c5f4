"""The stream manager: one port for REST, pages and the WebSocket proxy, plain and TLS."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections.abc import Callable, Iterable

from aiohttp import web

from smproxy.manager.admission import Admission
from smproxy.manager.aiohttp_protocol import HttpProtocol
from smproxy.manager.deadlines import HttpTimes
from smproxy.manager.http_api import HttpApi
from smproxy.manager.listener import Connection as ListenerConnection
from smproxy.manager.listener import Listener
from smproxy.manager.node_extension import NodeExtension
from smproxy.manager.node_provider import NodeProvider
from smproxy.manager.relay.limits import RelayLimits
from smproxy.manager.relay.relay import Relay
from smproxy.manager.services import Services
from smproxy.manager.trusted_proxies import TrustedProxies
from smproxy.signaling.payloads import Reason
from smproxy.signaling.socket_endpoints import is_socket_path

#: Seconds that clients have to answer the close when the manager stops.
CLOSE_TIMEOUT = 1.0


class ListenError(Exception):
    """A port that cannot be opened: which one, and why."""

    def __init__(self, port: int, why: OSError, *, tls: bool) -> None:
        self.port = port
        self.why = why
        self.tls = tls
        super().__init__(f"port {port}: {why}")


class Manager:
    """Listen, admit, relay and answer.

    ``stop`` undoes ``start``, and may be called without it.
    """

    def __init__(self, services: Services, *, extension: NodeExtension | None = None) -> None:
        self._services = services
        self._settings, self._clock = services.settings, services.clock
        self._times = HttpTimes()
        self.registry, self.sessions, self.history = services.registry, services.sessions, services.history
        self.transcripts, self.faults, self.conferences = services.transcripts, services.faults, services.conferences
        #: The hooks for those who listen to them.
        self.broadcast = services.broadcast
        # Its masks are drawn at the pace of the traffic, which must not decide on the next session's number.
        self._relay = Relay(
            limits=RelayLimits(),
            clock=self._clock,
            rng=random.Random(services.rng.getrandbits(64)),  # noqa: S311
        )
        admission = Admission(
            self._settings.rules,
            registry=services.registry,
            sessions=services.sessions,
            relay=self._relay,
            transcripts=services.transcripts,
            faults=services.fault_injection,
            clock=self._clock,
            authenticator=services.authenticator,
            tracer=services.tracer,
        )
        proxies = TrustedProxies(self._settings.trusted_proxies)
        self._api = HttpApi(
            services,
            own_url=self._own_url,
            take_over=lambda request: self._listener.takeover(request),  # noqa: PLW0108 - the listener is made below
            proxies=proxies,
            extension=extension,
        )
        self.packagers, self.dashboard_events = self._api.packagers, self._api.dashboard_events
        self.headless = self._api.headless
        self._runner = web.AppRunner(self._api.application, handle_signals=False, shutdown_timeout=1.0)
        self._listener = Listener(
            http=self._http,
            is_socket_path=is_socket_path,
            upgrade=admission,
            clock=self._clock,
            times=self._times,
            proxies=proxies,
        )
        self._servers: list[asyncio.Server] = []
        #: The ports that are open, in the order of the settings.
        self.ports: tuple[int, ...] = ()
        #: Where the first of them is open.
        self.addresses: tuple[tuple[str, int], ...] = ()
        self.tls_ports: tuple[int, ...] = ()

    @property
    def router(self) -> web.UrlDispatcher:
        """Every route of the HTTP interface."""
        return self._api.application.router

    @property
    def node_provider(self) -> NodeProvider | None:
        """What adds and changes nodes, if anything does."""
        return self._services.node_provider

    @node_provider.setter
    def node_provider(self, provider: NodeProvider | None) -> None:
        self._services.node_provider = provider

    async def start(self) -> None:
        """Open the ports.

        Raises:
            ListenError: a port cannot be opened.
        """
        await self._runner.setup()
        self._services.start()
        for port in self._settings.ports:
            self.ports += (await self._listen(port, None),)
        if (context := self._settings.tls_context) is not None:
            for port in self._settings.tls_ports:
                self.tls_ports += (await self._listen(port, context),)

    def give_media_to(self, take: Callable[[asyncio.Transport, Callable[[], None]], asyncio.Protocol]) -> None:
        """Give connections with media in them to ``take``.

        Its other argument is to be called when one is gone.
        """
        self._listener.media = take

    async def refuse_new(self) -> None:
        """Close the listening sockets; what is connected stays."""
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def stop(self, reason: Reason = Reason.NODE_SHUTDOWN) -> None:
        """End every session with its hooks and every connection."""
        await self.refuse_new()
        await self.packagers.stop()
        self.sessions.stop(reason)
        await self._relay.stop(timeout=CLOSE_TIMEOUT)
        await self._api.end_conferences(reason)
        await self._services.stop()
        await self._api.close()
        await self._listener.stop()
        await self._runner.cleanup()

    def _own_url(self) -> str:
        """Return where this machine reaches the server."""
        host = self._settings.host
        loopback = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host)  # noqa: S104 - compared, not bound
        return f"http://{loopback or (f'[{host}]' if ':' in host else host)}:{self.ports[0]}"

    def _http(self, connection: ListenerConnection) -> asyncio.Protocol:
        server = self._runner.server
        assert server is not None
        return HttpProtocol(server, connection, clock=self._clock, linger=self._times.linger)

    async def _listen(self, port: int, context: ssl.SSLContext | None) -> int:
        """Open a port, on ``::`` for both families: asyncio's socket of it takes IPv6 only."""
        server = await self._open(self._settings.host, port, context)
        sockets = [*server.sockets]
        if self._settings.host == "::":
            sockets += (await self._open("0.0.0.0", _port_of(sockets), context)).sockets  # noqa: S104 - as asked
        self.addresses = self.addresses or tuple(each.getsockname()[:2] for each in sockets)
        return _port_of(sockets)

    async def _open(self, host: str, port: int, context: ssl.SSLContext | None) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                self._listener,
                host,
                port,
                ssl=context,
                ssl_handshake_timeout=10 if context else None,
                backlog=1024,
            )
        except OSError as error:
            raise ListenError(port, error, tls=context is not None) from None
        self._servers.append(server)
        return server


def _port_of(sockets: Iterable[socket.socket]) -> int:
    port = next(iter(sockets)).getsockname()[1]
    assert isinstance(port, int)
    return port
