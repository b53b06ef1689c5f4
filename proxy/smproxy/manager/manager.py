"""The stream manager: one port for REST, pages and the WebSocket proxy, plain and TLS."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

import smproxy
from smproxy.auth.scheme import Scheme
from smproxy.faults import FaultRegistry
from smproxy.hooks.broadcast import HookBroadcast
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.trigger import Trigger
from smproxy.manager.access import AccessRule
from smproxy.manager.admission import Admission, AdmissionRules
from smproxy.manager.aiohttp_protocol import HttpProtocol
from smproxy.manager.authenticator import Authenticator
from smproxy.manager.conferences import Conferences
from smproxy.manager.dashboard_events import DashboardEvents
from smproxy.manager.deadlines import HttpTimes
from smproxy.manager.faults.injection import FaultInjection
from smproxy.manager.forward import ForwardRoutes
from smproxy.manager.history import History
from smproxy.manager.hls.packagers import Packagers
from smproxy.manager.hls.routes import HlsRoutes
from smproxy.manager.listener import Connection as ListenerConnection
from smproxy.manager.listener import Listener
from smproxy.manager.live_streams import LiveStreams
from smproxy.manager.node_provider import NodeAction, NodeActionError, NodeProvider
from smproxy.manager.origin_registry import Node, OriginRegistry
from smproxy.manager.provisions import Provisions
from smproxy.manager.relay.limits import RelayLimits
from smproxy.manager.relay.relay import Relay
from smproxy.manager.rest import control, cors, errors, event, health, hooks, metrics, proxy_clients
from smproxy.manager.rest.as_v1 import provisions as as_v1_provisions
from smproxy.manager.rest.as_v1 import streams as as_v1_streams
from smproxy.manager.rest.as_v1.login import Login
from smproxy.manager.rest.as_v1.nodes import AdminRoutes
from smproxy.manager.rest.client_limit import ClientLimit
from smproxy.manager.rest.conference import ConferenceRoutes
from smproxy.manager.rest.directory import DirectoryRoutes
from smproxy.manager.rest.faults import FaultRoutes
from smproxy.manager.rest.feed import FeedRoutes
from smproxy.manager.rest.ice_servers import IceServerRoutes
from smproxy.manager.rest.interstitials import InterstitialRoutes
from smproxy.manager.rest.nodes import NodeRoutes
from smproxy.manager.rest.origins import OriginRoutes
from smproxy.manager.rest.pages import PageRoutes
from smproxy.manager.rest.provisions import ProvisionRoutes
from smproxy.manager.rest.recordings import RecordingFiles, RecordingRoutes
from smproxy.manager.rest.server_lists import ServerListRoutes
from smproxy.manager.rest.upgrades import make_upgrade_middleware
from smproxy.manager.rest.webhook_socket import webhook_socket
from smproxy.manager.sessions import Sessions
from smproxy.manager.transcripts import Transcripts
from smproxy.manager.trusted_proxies import Network, TrustedProxies
from smproxy.manager.verdict_log import VerdictLog
from smproxy.manager.whip.routes import WhipRoutes
from smproxy.signaling.clock import Clock
from smproxy.signaling.payloads import Reason
from smproxy.signaling.socket_endpoints import MANAGER_PATHS, is_socket_path
from smproxy.signaling.whip import IceServer

logger = logging.getLogger(__name__)

#: Seconds that clients have to answer the close when the manager stops.
CLOSE_TIMEOUT = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerSettings:
    """The manager's settings; times are in seconds.

    ``names``: others than ``host`` that the server is known by.
    """

    host: str = "127.0.0.1"
    names: tuple[str, ...] = ()
    ports: tuple[int, ...] = (0,)
    tls_ports: tuple[int, ...] = (0,)
    tls_context: ssl.SSLContext | None = field(default=None, repr=False)
    rules: AdmissionRules = field(default_factory=AdmissionRules)
    admin_token: str | None = field(default=None, repr=False)
    allow_hosts: tuple[str, ...] = ()
    any_host: bool = False
    reconnect_window: float = 0.0
    simulate: bool = True
    ice_servers: tuple[IceServer, ...] = ()
    sdk_file: Path | None = None
    recordings: Path | None = None
    #: Who may publish and subscribe; everybody without one.
    auth: Scheme | None = field(default=None, repr=False)
    auth_lazy: bool = False
    trusted_proxies: tuple[Network, ...] = ()
    #: Directories of a user's pages, by the path below which they are served.
    pages: tuple[tuple[str, Path], ...] = ()


class ListenError(Exception):
    """A port that cannot be opened: which one, and why."""

    def __init__(self, port: int, why: OSError, *, tls: bool) -> None:
        self.port = port
        self.why = why
        self.tls = tls
        super().__init__(f"port {port}: {why}")


class NodeExtension(Protocol):
    """What a cluster adds to a manager's HTTP interface."""

    def routes(self) -> list[web.RouteDef]:
        """Return the routes for other nodes, which check by themselves who asks."""

    def accepts(self, request: web.BaseRequest) -> bool:
        """Return whether a request comes from another node."""

    async def handle(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Respond to a request, which other nodes may have to answer, too."""

    async def close(self) -> None:
        """Close the connections that other nodes have here."""


class Manager:
    """Listen, admit, relay and answer.

    ``stop`` undoes ``start``, and may be called without it.
    """

    def __init__(
        self,
        settings: ManagerSettings,
        *,
        dispatcher: HookDispatcher,
        broadcast: HookBroadcast,
        clock: Clock,
        rng: random.Random,
        faults: FaultRegistry,
        extension: NodeExtension | None = None,
    ) -> None:
        self._settings = settings
        self._extension = extension
        self._dispatcher = dispatcher
        self._broadcast = broadcast
        #: What adds and changes nodes, if anything does.
        self.node_provider: NodeProvider | None = None
        self.registry = OriginRegistry(allow_hosts=settings.allow_hosts, any_host=settings.any_host)

        self.transcripts = transcripts = Transcripts(clock)
        verdicts = VerdictLog(transcripts)
        self.history = history = History(clock, faults_of=faults.names_for, verdict_on=verdicts.of)
        history.on_forgotten(transcripts.forget)
        history.on_forgotten(verdicts.forget)

        dispatcher.on_published(history.hook_published)
        self.sessions = Sessions(dispatcher.emit, clock=clock, rng=rng, reconnect_window=settings.reconnect_window)
        self.sessions.watch(history.seen)
        self.sessions.watch(transcripts.session_changed)
        self.sessions.overheard = transcripts.add_channel_message
        self.faults = faults
        self._fault_injection = FaultInjection(
            faults, self.sessions, simulate=settings.simulate, change_node=self._change_node
        )
        # Its masks are drawn at the pace of the traffic, which must not decide on the next session's number.
        self._relay = Relay(limits=RelayLimits(), clock=clock, rng=random.Random(rng.getrandbits(64)))  # noqa: S311
        self._authenticator = Authenticator(
            settings.auth,
            sessions=self.sessions,
            transcripts=transcripts,
            log=verdicts,
            clock=clock,
            lazy=settings.auth_lazy,
        )
        admission = Admission(
            settings.rules,
            registry=self.registry,
            sessions=self.sessions,
            relay=self._relay,
            transcripts=transcripts,
            faults=self._fault_injection,
            clock=clock,
            authenticator=self._authenticator,
        )
        # Every route needs the access rule but those that are marked as open, or as a scope's own.
        access = AccessRule(settings.admin_token, hosts=(settings.host, *settings.names))
        proxies = TrustedProxies(settings.trusted_proxies)
        middlewares = [make_upgrade_middleware(self._take_over), errors.make_middleware(clock, access, proxies)]
        if extension is not None:
            middlewares.append(_middleware(extension))
            access.accept_also(extension.accepts)
        application = web.Application(middlewares=middlewares, client_max_size=2**20)
        if extension is not None:
            application.add_routes(access.open(extension.routes()))
        application.on_response_prepare.append(cors.add_headers)
        application.add_routes(access.open(health.routes()))
        # Before all that match any scope in a path: a directory's path is the user's choice.
        for path, directory in settings.pages:
            application.add_routes(access.open(DirectoryRoutes(path, directory).routes()))
        application.add_routes(proxy_clients.ProxyClientRoutes(self.sessions, clock=clock).routes())
        provisions = Provisions(clock)
        live_streams = LiveStreams(self.sessions, provisions)
        application.add_routes(ProvisionRoutes(provisions).routes())
        login = Login(access, clock=clock, key=secrets.token_bytes(32))
        access.accept_also(lambda request: login.user(request) is not None)
        application.add_routes(access.open(login.routes()))
        streams_2 = as_v1_streams.GroupStreamRoutes(self.registry, self.sessions, provisions, live_streams, clock=clock)
        application.add_routes(streams_2.overviews())
        application.add_routes(access.open(streams_2.places()))
        provisions_2 = as_v1_provisions.GroupProvisionRoutes(provisions, streams_2, self.registry, login)
        application.add_routes(provisions_2.routes())
        interstitials = InterstitialRoutes(self.registry, self.sessions, clock=clock)
        application.add_routes(interstitials.routes())
        #: Those of the conference API.
        self.conferences = Conferences(dispatcher, clock=clock, rng=rng)
        self._conference_routes = ConferenceRoutes(self.conferences, self._authenticator, settings.rules)
        application.add_routes(self._conference_routes.routes())
        application.add_routes(access.open(self._conference_routes.socket_routes()))
        files = RecordingFiles(settings.recordings, access)
        self.packagers = Packagers(clock.monotonic)
        hls = HlsRoutes(
            self.packagers,
            self.sessions,
            files,
            access,
            lambda: self._own_url(settings.host),
            asks_viewers=settings.auth is not None,
        )
        self._forward = ForwardRoutes(self.registry, login, interstitials, hls)
        application.add_routes(self._forward.routes())
        application.add_routes(AdminRoutes(self.registry, self.sessions, login, clock=clock).routes())
        application.add_routes(ServerListRoutes(self.sessions).routes())
        events_api = event.EventRoutes(self.registry, self.sessions, live_streams)
        application.add_routes(events_api.overviews())
        application.add_routes(access.open(events_api.places()))
        application.add_routes(access.open(web.get(path, _no_upgrade) for path in sorted(MANAGER_PATHS)))
        application.add_routes(control.routes(self, dispatcher, broadcast, clock=clock))
        application.add_routes(RecordingRoutes(files, self.registry, access).routes())
        application.add_routes(hls.routes())
        trigger = Trigger(dispatcher, rng=rng)
        application.add_routes(hooks.HookRoutes(dispatcher, trigger).routes())
        application.add_routes(FaultRoutes(faults).routes())
        sockets = ClientLimit("listeners on the webhook socket")
        numbers = metrics.MetricsRoutes(dispatcher, self.sessions, broadcast, sockets, verdicts, self.packaged)
        application.add_routes(numbers.routes())
        self.dashboard_events = DashboardEvents(
            sessions=self.sessions,
            history=history,
            dispatcher=dispatcher,
            clock=clock,
            counts={
                "origins": OriginRoutes(self.registry, history).current,
                "nodes": NodeRoutes(self.registry, history, lambda: self.node_provider).current,
                "faults": lambda: _count_faults(faults),
                "sinks": lambda: [msgspec.structs.replace(status, oldest=None) for status in dispatcher.status()],
            },
            facts={"version": smproxy.__version__, "startedAt": clock.wall_ms(), "app": settings.rules.default_app},
        )
        application.add_routes(FeedRoutes(self.dashboard_events).routes())
        application.add_routes(access.open(IceServerRoutes(settings.ice_servers).routes()))
        pages = PageRoutes(app=settings.rules.default_app, sdk_file=settings.sdk_file, asks_token=access.has_token)
        application.add_routes(access.open(pages.routes()))
        self._whip = WhipRoutes(
            settings.rules,
            registry=self.registry,
            sessions=self.sessions,
            streams=live_streams,
            transcripts=transcripts,
            faults=self._fault_injection,
            clock=clock,
            authenticator=self._authenticator,
            ice_servers=settings.ice_servers,
        )
        application.add_routes(access.open(self._whip.routes()))
        webhook = webhook_socket(broadcast, dispatcher.journal, places=sockets)
        application.add_routes(access.scoped([web.get("/{app:.+}/webhook", webhook)]))
        self._runner = web.AppRunner(application, handle_signals=False, shutdown_timeout=1.0)
        self._clock = clock
        self._times = HttpTimes()
        self._listener = Listener(
            http=self._http,
            is_socket_path=is_socket_path,
            upgrade=admission,
            clock=clock,
            times=self._times,
            proxies=proxies,
        )
        self._servers: list[asyncio.Server] = []
        #: The ports that are open, in the order of the settings.
        self.ports: tuple[int, ...] = ()
        self.tls_ports: tuple[int, ...] = ()

    @property
    def router(self) -> web.UrlDispatcher:
        """Every route of the HTTP interface."""
        return self._runner.app.router

    async def start(self) -> None:
        """Open the ports.

        Raises:
            ListenError: a port cannot be opened.
        """
        await self._runner.setup()
        self._fault_injection.start()
        for port in self._settings.ports:
            self.ports += (await self._listen(port, None),)
        if (context := self._settings.tls_context) is not None:
            for port in self._settings.tls_ports:
                self.tls_ports += (await self._listen(port, context),)

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
        await self._conference_routes.close(reason)
        await self._authenticator.close()
        self._fault_injection.stop()
        if self._dispatcher.journal is not None:
            await (
                self._dispatcher.journal.flush()
            )  # listeners are told once an event is journalled: let them have the last ones
        await self.dashboard_events.close()
        await self._broadcast.close()
        await self._whip.close()
        await self._forward.close()
        if self._extension is not None:
            await self._extension.close()
        await self._listener.stop()
        await self._runner.cleanup()

    def packaged(self) -> set[tuple[str, str]]:
        """Return scope and name of the live streams that are packaged as HLS."""
        return self.packagers.live()

    def _own_url(self, host: str) -> str:
        """Return where this machine reaches the server."""
        loopback = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host)  # noqa: S104 - compared, not bound
        return f"http://{loopback or (f'[{host}]' if ':' in host else host)}:{self.ports[0]}"

    def _change_node(self, node: Node, action: str, seconds: float) -> bool:
        """Change a node for a fault; return whether that could be done."""
        if self.node_provider is None:
            logger.warning("%s is not simulated, and a fault cannot %s it: start with --nodes N", node.id, action)
            return False
        try:
            self.node_provider.act(node, NodeAction(action), seconds)
        except NodeActionError as error:
            logger.info("a fault has found nothing to do: %s", error)
            return False
        return True

    def _http(self, connection: ListenerConnection) -> asyncio.Protocol:
        server = self._runner.server
        assert server is not None
        return HttpProtocol(server, connection, clock=self._clock, linger=self._times.linger)

    async def _listen(self, port: int, context: ssl.SSLContext | None) -> int:
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                self._listener,
                self._settings.host,
                port,
                ssl=context,
                ssl_handshake_timeout=10 if context else None,
                backlog=1024,
            )
        except OSError as error:
            raise ListenError(port, error, tls=context is not None) from None
        self._servers.append(server)
        return _port_of(server.sockets)

    def _take_over(self, request: web.BaseRequest) -> web.StreamResponse:
        return self._listener.takeover(request)


async def _no_upgrade(request: web.Request) -> web.StreamResponse:
    raise errors.ApiError(426, "This is the WebSocket proxy: connect with ws:// or wss://.")


def _middleware(extension: NodeExtension) -> Middleware:
    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        return await extension.handle(request, handler)

    return middleware


def _count_faults(book: FaultRegistry) -> dict[str, int]:
    """Count the faults that are on and what they did, so that a change shows."""
    log = book.log()
    return {"active": len(book.active()), "logged": len(log), "last": log[-1].at if log else 0}


def _port_of(sockets: Iterable[socket.socket]) -> int:
    port = next(iter(sockets)).getsockname()[1]
    assert isinstance(port, int)
    return port
