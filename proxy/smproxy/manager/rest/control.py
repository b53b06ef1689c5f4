"""The control API: its routes, and what they share."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from smproxy.manager.dashboard_events import DashboardEvents
from smproxy.manager.headless.clients import HeadlessClients
from smproxy.manager.node_extension import NodeExtension
from smproxy.manager.rest.captures import CaptureRoutes
from smproxy.manager.rest.headless import HeadlessRoutes
from smproxy.manager.rest.late import late
from smproxy.manager.rest.nodes import NodeRoutes
from smproxy.manager.rest.origins import OriginRoutes
from smproxy.manager.rest.reset import ResetRoutes
from smproxy.manager.rest.sessions import SessionRoutes
from smproxy.manager.rest.shared_objects import SharedObjectRoutes
from smproxy.manager.rest.sinks import SinkRoutes
from smproxy.manager.rest.streams import StreamRoutes
from smproxy.manager.rest.timeline import Timeline
from smproxy.manager.rest.wait import WaitRoutes
from smproxy.manager.services import Services


def routes(
    services: Services,
    dashboard_events: DashboardEvents,
    headless: HeadlessClients,
    packaged: Callable[[], set[tuple[str, str]]],
    extension: NodeExtension | None = None,
) -> list[web.RouteDef]:
    """Return the routes of the control API, the more special first.

    ``packaged`` returns scope and name of the live streams that are packaged as HLS.
    """
    dispatcher, clock = services.dispatcher, services.clock
    sessions, history, registry = services.sessions, services.history, services.registry
    timeline = Timeline(services.transcripts, dispatcher.journal, services.faults)
    wait = WaitRoutes(services.broadcast, dispatcher.journal, clock=clock)

    async def begin() -> None:
        await wait.begin()
        dashboard_events.restart()

    reset = ResetRoutes(
        sessions,
        history,
        dispatcher,
        clock=clock,
        begin=begin,
        faults=services.faults,
        conferences=services.conferences,
        clients=headless,
        end_rooms=services.end_rooms,
    )
    return [
        *wait.routes(),
        *reset.routes(),
        web.get("/api/v1/openapi.json", late(_openapi)),
        *SinkRoutes(dispatcher, clock=clock).routes(),
        *HeadlessRoutes("publisher", headless).routes(),
        *HeadlessRoutes("subscriber", headless).routes(),
        *SessionRoutes(sessions, history, services.transcripts, timeline).routes(),
        *CaptureRoutes(services.captures, history, clock.monotonic, extension).routes(),
        *StreamRoutes(sessions, history, packaged).routes(),
        *OriginRoutes(registry, history).routes(),
        *NodeRoutes(registry, history, lambda: services.node_provider).routes(),
        *SharedObjectRoutes(registry, history).routes(),
    ]


def _openapi() -> Handler:
    from smproxy.manager.rest.openapi import OpenApi

    return OpenApi().show
