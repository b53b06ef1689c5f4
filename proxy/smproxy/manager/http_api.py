"""The manager's HTTP interface: one application, with its routes group by group."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

import smproxy
from smproxy.faults import FaultRegistry
from smproxy.hooks.formats.registry import FORMATS
from smproxy.hooks.trigger import Trigger
from smproxy.manager.access import AccessRule
from smproxy.manager.dashboard_events import DashboardEvents
from smproxy.manager.forward_routes import ForwardRoutes
from smproxy.manager.headless.clients import HeadlessClients
from smproxy.manager.hls.packagers import Packagers
from smproxy.manager.hls.routes import HlsRoutes
from smproxy.manager.node_extension import NodeExtension, make_extension_middleware
from smproxy.manager.rest import control, cors, errors, event, health, hooks, proxy_clients
from smproxy.manager.rest.as_v1.login import Login
from smproxy.manager.rest.as_v1.nodes import AdminRoutes
from smproxy.manager.rest.as_v1.provisions import GroupProvisionRoutes
from smproxy.manager.rest.as_v1.streams import GroupStreamRoutes
from smproxy.manager.rest.client_limit import ClientLimit
from smproxy.manager.rest.conference import ConferenceRoutes
from smproxy.manager.rest.directory import DirectoryRoutes
from smproxy.manager.rest.faults import FaultRoutes
from smproxy.manager.rest.feed import FeedRoutes
from smproxy.manager.rest.ice_servers import IceServerRoutes
from smproxy.manager.rest.interstitials import InterstitialRoutes
from smproxy.manager.rest.late import late
from smproxy.manager.rest.nodes import NodeRoutes
from smproxy.manager.rest.origins import OriginRoutes
from smproxy.manager.rest.pages import PageRoutes
from smproxy.manager.rest.provisions import ProvisionRoutes
from smproxy.manager.rest.recordings import RecordingFiles, RecordingRoutes
from smproxy.manager.rest.server_lists import ServerListRoutes
from smproxy.manager.rest.upgrades import make_upgrade_middleware
from smproxy.manager.rest.webhook_socket import webhook_socket
from smproxy.manager.services import Services
from smproxy.manager.trusted_proxies import TrustedProxies
from smproxy.manager.whip.exchange import Origins
from smproxy.manager.whip.routes import WhipRoutes
from smproxy.signaling.payloads import Reason
from smproxy.signaling.socket_endpoints import MANAGER_PATHS

if TYPE_CHECKING:
    from smproxy.manager.rest.metrics import Metrics


class HttpApi:
    """Every route, with the rule of who may use it.

    ``own_url`` is where this machine reaches the server once it runs; ``take_over`` hands an upgrade back to the listener.
    """

    def __init__(
        self,
        services: Services,
        *,
        own_url: Callable[[], str],
        take_over: Callable[[web.BaseRequest], web.StreamResponse],
        proxies: TrustedProxies,
        extension: NodeExtension | None = None,
    ) -> None:
        self._services = services
        self._extension = extension
        settings, clock = services.settings, services.clock
        # Every route needs the access rule but those that are marked as open, or as a scope's own.
        self._access = access = AccessRule(settings.admin_token, hosts=(settings.host, *settings.names))
        self._login = Login(access, clock=clock, key=secrets.token_bytes(32))
        access.accept_also(lambda request: self._login.user(request) is not None)
        self._sockets = ClientLimit("listeners on the webhook socket")
        self.packagers = Packagers(clock.monotonic)
        #: The clients that the server runs itself.
        self.headless = HeadlessClients(
            url=lambda: own_url().replace("http", "ws", 1) + "/streammanager",
            find_session=services.history.session_of_agent,
            clock=clock,
            node=settings.node_name,
        )
        files = RecordingFiles(settings.recordings, access)
        self._recordings = RecordingRoutes(files, services.registry, access)
        self._hls = HlsRoutes(
            self.packagers,
            services.sessions,
            files,
            access,
            own_url,
            asks_viewers=settings.auth is not None,
            has_stream=lambda scope, name: services.registry.owner(scope, name) is not None,
        )
        self._interstitials = InterstitialRoutes(services.registry, services.sessions, clock=clock)
        self._conference = ConferenceRoutes(services.conferences, services.authenticator, settings.rules)
        self._forward = ForwardRoutes(
            Origins(services.make_connector), services.registry, self._login, self._interstitials, self._hls
        )
        self._whip = WhipRoutes(
            settings.rules,
            origins=Origins(services.make_connector),
            registry=services.registry,
            sessions=services.sessions,
            streams=services.live_streams,
            transcripts=services.transcripts,
            faults=services.fault_injection,
            clock=clock,
            authenticator=services.authenticator,
            ice_servers=settings.ice_servers,
            tracer=services.tracer,
        )
        self.dashboard_events = self._make_dashboard_events()
        middlewares = [make_upgrade_middleware(take_over), errors.make_middleware(clock, access, proxies)]
        if extension is not None:
            middlewares.append(make_extension_middleware(extension))
            access.accept_also(extension.accepts)
            self._login.trust(extension.accepts)
        self.application = web.Application(middlewares=middlewares, client_max_size=2**20)
        self.application.on_response_prepare.append(cors.add_headers)
        # The first that matches takes a request: those that match any scope in a path come last.
        for group in (
            self._first_routes,
            self._stream_manager_routes,
            self._stream_manager_2_routes,
            self._control_routes,
            self._page_routes,
            self._routes_of_any_scope,
        ):
            self.application.add_routes(group())

    def packaged(self) -> set[tuple[str, str]]:
        """Return scope and name of the live streams that are packaged as HLS."""
        return self.packagers.live()

    async def end_conferences(self, reason: Reason) -> None:
        """Close the sockets of the conference API, with their hooks."""
        await self._conference.close(reason)

    async def close(self) -> None:
        """Close what listens, and the connections to origins and other nodes; end headless clients."""
        await self.dashboard_events.close()
        await self._services.broadcast.close()
        await self._whip.close()
        await self.headless.stop()
        await self._forward.close()
        if self._extension is not None:
            await self._extension.close()

    def _make_dashboard_events(self) -> DashboardEvents:
        services = self._services
        return DashboardEvents(
            sessions=services.sessions,
            history=services.history,
            dispatcher=services.dispatcher,
            clock=services.clock,
            counts={
                "origins": OriginRoutes(services.registry, services.history).current,
                "nodes": NodeRoutes(services.registry, services.history, lambda: services.node_provider).current,
                "faults": lambda: _count_faults(services.faults),
                "sinks": lambda: [
                    msgspec.structs.replace(status, oldest=None) for status in services.dispatcher.status()
                ],
            },
            facts={
                "version": smproxy.__version__,
                "startedAt": services.clock.wall_ms(),
                "app": services.settings.rules.default_app,
                "hookFormats": list(FORMATS),
            },
        )

    def _first_routes(self) -> list[web.RouteDef]:
        """Return what no other path may cover: other nodes, health, and the user's pages."""
        open_routes = [] if self._extension is None else self._extension.routes()
        open_routes += health.routes()
        for path, directory in self._services.settings.pages:
            open_routes += DirectoryRoutes(path, directory).routes()
        return self._access.open(open_routes)

    def _stream_manager_routes(self) -> list[web.RouteDef]:
        """Return the REST interface of Stream Manager 1.x."""
        services = self._services
        events = event.EventRoutes(services.registry, services.sessions, services.live_streams)
        return [
            *proxy_clients.ProxyClientRoutes(services.sessions, clock=services.clock).routes(),
            *ProvisionRoutes(services.provisions).routes(),
            *ServerListRoutes(services.sessions).routes(),
            *events.overviews(),
            *self._access.open(events.places()),
        ]

    def _stream_manager_2_routes(self) -> list[web.RouteDef]:
        """Return the REST interface of Stream Manager 2.0, with conferences and interstitials."""
        services, access = self._services, self._access
        registry, sessions, provisions = services.registry, services.sessions, services.provisions
        streams = GroupStreamRoutes(registry, sessions, provisions, services.live_streams, clock=services.clock)
        return [
            *access.open(self._login.routes()),
            *streams.overviews(),
            *access.open(streams.places()),
            *GroupProvisionRoutes(provisions, streams, registry, self._login).routes(),
            *self._interstitials.routes(),
            *self._conference.routes(),
            *access.open(self._conference.socket_routes()),
            *self._forward.routes(),
            *AdminRoutes(registry, sessions, self._login, clock=services.clock).routes(),
        ]

    def _control_routes(self) -> list[web.RouteDef]:
        """Return the control API, hooks, faults, metrics, and what the dashboard follows."""
        services = self._services
        dispatcher = services.dispatcher
        return [
            *self._access.open(web.get(path, _no_upgrade) for path in sorted(MANAGER_PATHS)),
            *control.routes(services, self.dashboard_events, self.headless, self.packaged, self._extension),
            *self._recordings.routes(),
            *hooks.HookRoutes(dispatcher, Trigger(dispatcher, rng=services.rng)).routes(),
            *FaultRoutes(services.faults).routes(),
            web.get("/metrics", late(lambda: self._metrics().show)),
            web.get("/metrics/targets", late(lambda: self._metrics().targets)),
            *FeedRoutes(self.dashboard_events, self._extension).routes(),
        ]

    def _metrics(self) -> Metrics:
        from smproxy.manager.rest.metrics import Metrics

        return Metrics(self._services, self._sockets, self.packaged, self._extension)

    def _page_routes(self) -> list[web.RouteDef]:
        """Return the pages and what they load."""
        settings = self._services.settings
        pages = PageRoutes(
            app=settings.rules.default_app, sdk_file=settings.sdk_file, asks_token=self._access.has_token
        )
        return self._access.open([*IceServerRoutes(settings.ice_servers).routes(), *pages.routes()])

    def _routes_of_any_scope(self) -> list[web.RouteDef]:
        """Return HLS, WHIP, WHEP and the webhook socket, whose paths begin with any scope."""
        services = self._services
        webhook = webhook_socket(services.broadcast, services.dispatcher.journal, places=self._sockets)
        return [
            *self._hls.routes(),
            *self._access.open(self._whip.routes()),
            *self._access.scoped([web.get("/{app:.+}/webhook", webhook)]),
        ]


async def _no_upgrade(request: web.Request) -> web.StreamResponse:
    raise errors.ApiError(426, "This is the WebSocket proxy: connect with ws:// or wss://.")


def _count_faults(registry: FaultRegistry) -> dict[str, int]:
    """Count the faults that are on and what they did, so that a change shows."""
    log = registry.log()
    return {"active": len(registry.active()), "logged": len(log), "last": log[-1].at if log else 0}
