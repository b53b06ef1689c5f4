"""The control API: its routes, and what they share."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from smproxy.faults import FaultRegistry
from smproxy.hooks.broadcast import HookBroadcast
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.manager.conferences import Conferences
from smproxy.manager.dashboard_events import DashboardEvents
from smproxy.manager.history import History
from smproxy.manager.node_provider import NodeProvider
from smproxy.manager.origin_registry import OriginRegistry
from smproxy.manager.rest.nodes import NodeRoutes
from smproxy.manager.rest.openapi import OpenApiRoutes
from smproxy.manager.rest.origins import OriginRoutes
from smproxy.manager.rest.reset import ResetRoutes
from smproxy.manager.rest.sessions import SessionRoutes
from smproxy.manager.rest.shared_objects import SharedObjectRoutes
from smproxy.manager.rest.streams import StreamRoutes
from smproxy.manager.rest.timeline import Timeline
from smproxy.manager.rest.wait import WaitRoutes
from smproxy.manager.sessions import Sessions
from smproxy.manager.transcripts import Transcripts
from smproxy.signaling.clock import Clock


class Managed(Protocol):
    """What the control API shows and changes."""

    registry: OriginRegistry
    node_provider: NodeProvider | None
    sessions: Sessions
    history: History
    transcripts: Transcripts
    faults: FaultRegistry
    dashboard_events: DashboardEvents
    conferences: Conferences

    def packaged(self) -> set[tuple[str, str]]:
        """Return scope and name of the live streams that are packaged as HLS."""


def routes(
    manager: Managed, dispatcher: HookDispatcher, broadcast: HookBroadcast, *, clock: Clock
) -> list[web.RouteDef]:
    """Return the routes of the control API, the more special first."""
    faults = manager.faults
    timeline = Timeline(manager.transcripts, dispatcher.journal, faults)
    sessions, history = manager.sessions, manager.history
    wait = WaitRoutes(broadcast, dispatcher.journal, clock=clock)

    async def begin() -> None:
        await wait.begin()
        manager.dashboard_events.restart()

    reset = ResetRoutes(
        sessions, history, dispatcher, clock=clock, begin=begin, faults=faults, conferences=manager.conferences
    )
    return [
        *wait.routes(),
        *reset.routes(),
        *OpenApiRoutes().routes(),
        *SessionRoutes(sessions, history, manager.transcripts, timeline).routes(),
        *StreamRoutes(sessions, history, manager.packaged).routes(),
        *OriginRoutes(manager.registry, history).routes(),
        *NodeRoutes(manager.registry, history, lambda: manager.node_provider).routes(),
        *SharedObjectRoutes(manager.registry, history).routes(),
    ]
