"""The control API: its routes, and what they share."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from proxy.faults import FaultBook
from proxy.hooks.hub import Hub
from proxy.hooks.interceptor import Interceptor
from proxy.manager.feed import Feed
from proxy.manager.history import History
from proxy.manager.records import Records
from proxy.manager.registry import Registry
from proxy.manager.rest.openapi import OpenApiRoutes
from proxy.manager.rest.origins import OriginRoutes
from proxy.manager.rest.reset import ResetRoutes
from proxy.manager.rest.sessions import SessionRoutes
from proxy.manager.rest.streams import StreamRoutes
from proxy.manager.rest.timeline import Timeline
from proxy.manager.rest.wait import WaitRoutes
from proxy.manager.sessions import Sessions
from proxy.signaling.clock import Clock


class Managed(Protocol):
    """What the control API shows and changes."""

    registry: Registry
    sessions: Sessions
    history: History
    records: Records
    faults: FaultBook
    feed: Feed


def routes(
    manager: Managed, hub: Hub, interceptor: Interceptor, token: str | None, *, clock: Clock
) -> list[web.RouteDef]:
    """Return the routes of the control API, the more special first."""
    faults = manager.faults
    timeline = Timeline(manager.records, hub.journal, faults)
    sessions, history = manager.sessions, manager.history
    wait = WaitRoutes(interceptor, hub.journal, token, clock=clock)

    async def begin() -> None:
        await wait.begin()
        manager.feed.restart()

    reset = ResetRoutes(sessions, history, hub, token, clock=clock, begin=begin, faults=faults)
    return [
        *wait.routes(),
        *reset.routes(),
        *OpenApiRoutes(token).routes(),
        *SessionRoutes(sessions, history, manager.records, timeline, token).routes(),
        *StreamRoutes(sessions, history, token).routes(),
        *OriginRoutes(manager.registry, history, token).routes(),
    ]
