"""What WebSocket, WHIP and REST share: origins, sessions, faults, and who may publish."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable

import msgspec
from aiohttp import BaseConnector

import smproxy
from smproxy.faults import FaultRegistry
from smproxy.hooks.broadcast import HookBroadcast
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.event import PublishHook
from smproxy.manager.authenticator import Authenticator
from smproxy.manager.conferences import Conferences
from smproxy.manager.faults.injection import FaultInjection
from smproxy.manager.history import History
from smproxy.manager.live_streams import LiveStreams
from smproxy.manager.media_totals import MediaTotals
from smproxy.manager.node_provider import NodeAction, NodeActionError, NodeProvider
from smproxy.manager.origin_registry import Node, OriginRegistry
from smproxy.manager.periodic_statistics import PeriodicStatistics
from smproxy.manager.provisions import Provisions
from smproxy.manager.rooms import Rooms
from smproxy.manager.scope_labels import ScopeLabels
from smproxy.manager.session_captures import SessionCaptures
from smproxy.manager.session_totals import SessionTotals
from smproxy.manager.sessions import Sessions
from smproxy.manager.settings import ManagerSettings
from smproxy.manager.tracing import Tracer
from smproxy.manager.transcripts import Transcripts
from smproxy.manager.verdict_log import VerdictLog
from smproxy.signaling.clock import Clock
from smproxy.signaling.optional_hooks import OptionalHook

logger = logging.getLogger(__name__)


class Services:
    """The parts behind WebSocket, WHIP and REST, which know nothing of them.

    ``stop`` undoes ``start``, and may be called without it; the sessions are ended first, with ``sessions.stop``.
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
        tracer: Tracer | None = None,
        make_connector: Callable[[], BaseConnector] | None = None,
    ) -> None:
        #: Makes what HTTP requests to origins go through, if that is not TCP.
        self.make_connector = make_connector
        #: Makes a trace of each client, if anything does.
        self.tracer = tracer
        self.settings = settings
        self.dispatcher = dispatcher
        self.broadcast = broadcast
        self.clock = clock
        self.rng = rng
        self.faults = faults
        #: What adds and changes nodes, if anything does.
        self.node_provider: NodeProvider | None = None
        self.registry = OriginRegistry(allow_hosts=settings.allow_hosts, any_host=settings.any_host)
        self.transcripts = Transcripts(clock)
        self.verdicts = VerdictLog(self.transcripts)
        self.history = History(
            clock,
            faults_of=faults.names_for,
            verdict_on=self.verdicts.of,
            node=settings.node_name or msgspec.UNSET,
        )
        self._rooms: Rooms | None = None
        publish: PublishHook = dispatcher.emit
        if OptionalHook.ROOM in settings.hook_events:
            self._rooms = Rooms(dispatcher.emit, clock=clock, rng=rng, timeout=settings.room_timeout)
            publish = self._rooms.publish
        self.sessions = Sessions(
            publish,
            clock=clock,
            rng=rng,
            reconnect_window=settings.reconnect_window,
            hook_events=settings.hook_events,
            socket_events=lambda: dispatcher.takes_internal,
        )
        self._statistics = (
            PeriodicStatistics(
                self.sessions.connected, self.sessions.emit, clock=clock, interval=settings.stats_interval
            )
            if OptionalHook.STATS in settings.hook_events
            else None
        )
        self.fault_injection = FaultInjection(
            faults, self.sessions, simulate=settings.simulate, change_node=self._change_node
        )
        self.authenticator = Authenticator(
            settings.auth,
            sessions=self.sessions,
            transcripts=self.transcripts,
            log=self.verdicts,
            clock=clock,
            lazy=settings.auth_lazy,
        )
        self.captures = SessionCaptures(settings.capture, f"smproxy {smproxy.__version__}", self.history.get)
        self.provisions = Provisions(clock)
        self.live_streams = LiveStreams(self.sessions, self.provisions)
        #: Those of the conference API.
        self.conferences = Conferences(dispatcher, clock=clock, rng=rng)
        #: What is counted for metrics.
        self.scope_labels = ScopeLabels()
        self.media_totals = MediaTotals(self.scope_labels)
        self.session_totals = SessionTotals()
        self._follow_sessions()

    def start(self) -> None:
        """Act on faults that are switched on or off from now on; begin with statistics."""
        self.fault_injection.start()
        if self._statistics is not None:
            self._statistics.start()

    def end_rooms(self) -> None:
        """End the rooms that are empty, without waiting until their time is up."""
        if self._rooms is not None:
            self._rooms.stop()

    async def stop(self) -> None:
        """Write the last captures; ask no back ends, carry out no faults.

        The listeners of hooks get the last ones.
        """
        if self._statistics is not None:
            self._statistics.stop()
        self.end_rooms()
        await self.captures.stop()
        await self.authenticator.close()
        self.fault_injection.stop()
        # Listeners get an event once it is journalled.
        if self.dispatcher.journal is not None:
            await self.dispatcher.journal.flush()

    def _follow_sessions(self) -> None:
        self.history.on_forgotten(self.transcripts.forget)
        self.history.on_forgotten(self.verdicts.forget)
        self.dispatcher.on_published(self.history.hook_published)
        self.dispatcher.on_published(self.session_totals.hook_published)
        self.sessions.watch(self.history.seen)
        self.sessions.watch(self.media_totals.session_changed)
        self.sessions.on_ended(self.transcripts.session_ended)
        self.sessions.on_ended(self.captures.session_ended)
        self.history.on_forgotten(self.captures.forget)
        self.sessions.overheard = self.transcripts.add_channel_message

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
