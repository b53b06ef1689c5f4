"""An origin: takes publishers' media, sends it to subscribers, and reports to the manager.

This is the only module that other packages import.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from smproxy.capture.ring import CaptureRing
from smproxy.origin.aiortc_adapter import self_test
from smproxy.origin.aiortc_dtls import Identity
from smproxy.origin.captures import Captures
from smproxy.origin.client_session import ClientSession
from smproxy.origin.client_socket import ClientSocket
from smproxy.origin.connection_request import ConnectionRequest, random_attempt
from smproxy.origin.front import OriginFront
from smproxy.origin.injected_faults import InjectedFaults
from smproxy.origin.interstitials import Interstitials
from smproxy.origin.kept_pictures import KeptPictures
from smproxy.origin.liveness import Sweeper
from smproxy.origin.media_sockets import OwnPorts, own_addresses
from smproxy.origin.outputs import Outputs
from smproxy.origin.play.subscriber_signaling import SubscriberSignaling
from smproxy.origin.publisher_signaling import PublisherSignaling
from smproxy.origin.pull.feed import PullFeed
from smproxy.origin.pull.pulls import OtherNodes, Pulls
from smproxy.origin.recording.recorder import Recorder
from smproxy.origin.role import OriginServices
from smproxy.origin.settings import OriginSettings, WhepOffline
from smproxy.origin.shared_names import SharedNames
from smproxy.origin.shared_objects import SharedObjects
from smproxy.origin.signaling_channel import NoChannel, SignalingChannel
from smproxy.origin.streams import Streams
from smproxy.origin.unfit_library import UnfitLibraryError
from smproxy.origin.websocket import serve_websocket
from smproxy.origin.whip.exchanges import HttpExchanges
from smproxy.origin.whip.http_handler import WhipHandler
from smproxy.origin.whip.publisher import WhipSignaling
from smproxy.origin.whip.subscriber import WhepSignaling
from smproxy.signaling.clock import Clock
from smproxy.signaling.node_channel import (
    Announce,
    Command,
    Drain,
    Evict,
    Hello,
    Inject,
    InsertStream,
    InterstitialState,
    Kick,
    Lift,
    Load,
    ReportTo,
    ResumeStream,
    SharedObjectState,
    TrackStatistics,
)
from smproxy.signaling.payloads import Reason, Role
from smproxy.signaling.redaction import Redactor
from smproxy.tasks import Tasks, Timers

__all__ = ["Origin", "OriginSettings", "OriginTables", "WhepOffline"]

_log = logging.getLogger(__name__)

_SWEEP_INTERVAL = 0.25


@dataclass(frozen=True, slots=True)
class OriginTables:
    """What origins in one process may share, so that each serves the streams of all."""

    streams: Streams
    shared_objects: SharedObjects

    @classmethod
    def make(cls, settings: OriginSettings, clock: Clock, names: SharedNames | None = None) -> OriginTables:
        """Make empty ones."""
        streams = Streams(settings.takeover, clock.monotonic, None if names is None else names.taken)
        return cls(streams, SharedObjects(clock.monotonic))


class Origin:
    """A running origin. Made by :meth:`start`, ended by :meth:`stop`."""

    def __init__(
        self,
        settings: OriginSettings,
        report: ReportTo,
        clock: Clock,
        rng: random.Random,
        front: OriginFront,
        names: SharedNames | None,
        tables: OriginTables,
        other_nodes: OtherNodes | None,
    ) -> None:
        recorder = Recorder(settings.recordings, settings.recordings_limit, report, clock.monotonic)
        self.services = OriginServices(
            settings=settings,
            clock=clock,
            rng=rng,
            report=report,
            identity=Identity.generateCertificate(),
            streams=tables.streams,
            kept=KeptPictures(),
            outputs=Outputs(recorder),
            faults=InjectedFaults(),
            captures=Captures(clock.wall, every=settings.capture),
            shared_objects=tables.shared_objects,
            tasks=Tasks(),
            sockets=front.sockets or OwnPorts(own_addresses(settings, clock.monotonic), settings.media_addresses),
            names=names,
        )
        if other_nodes is not None:
            self.services.pulls = Pulls(
                tables.streams,
                other_nodes,
                clock.monotonic,
                linger=settings.pull_linger,
                connect_within=settings.connect_timeout,
                changed=self._count,
            )
        self.front = front
        self._exchanges = HttpExchanges(self.services, front.gate.admit, self._open_exchange)
        interval = min(_SWEEP_INTERVAL, settings.media_gap / 4, settings.media_timeout / 4)
        self._sweeper = Sweeper(max(interval, 0.01), clock.monotonic)
        self._sessions: set[ClientSession] = set()
        self._attempts: dict[str, ClientSession] = {}
        self._loaded: dict[Role, set[ClientSession]] = {role: set() for role in Role}
        self._load = Load(publishers=0)
        self._interstitials = Interstitials(self.services.streams, clock.monotonic)
        self._timers = Timers()
        self._stopped = False
        self._stop_sweeper: Callable[[], None] | None = None

    @classmethod
    async def start(
        cls,
        settings: OriginSettings,
        report: ReportTo,
        *,
        clock: Clock,
        rng: random.Random,
        names: SharedNames | None = None,
        tables: OriginTables | None = None,
        other_nodes: OtherNodes | None = None,
        front: OriginFront | None = None,
    ) -> Origin:
        """Listen, unless a ``front`` does already, and be ready.

        ``names`` are shared with the other nodes of a cluster, whose streams are pulled from ``other_nodes``; ``tables`` are
        shared with other origins in this process.

        Raises:
            OSError: the port is not to be had.
            UnfitLibraryError: aiortc is not as the media path needs it.
        """
        if (unfit := self_test()) is not None:
            raise UnfitLibraryError(unfit)
        front = front or await OriginFront.open(settings, clock)
        tables = tables or OriginTables.make(settings, clock, names)
        origin = cls(settings, report, clock, rng, front, names, tables, other_nodes)
        front.attach(origin._serve, WhipHandler(origin._exchanges))
        origin._stop_sweeper = origin._sweeper.start()
        if origin.services.pulls is not None:
            origin.services.pulls.start()
        report(origin._load)
        return origin

    def command(self, command: Command) -> None:
        """Do what the manager asks.

        An attempt that is not here is ignored: it ended while the command travelled.

        ``Kick`` ends a stream so that its client notices, and is answered by ``PeerEnded`` (``AttemptFailed`` when the
        transport was not up). ``Evict`` frees a name at once and in silence: nothing more is reported of that attempt.
        ``Announce`` lets the client of an attempt in. ``Drain`` refuses new streams and new subscribers; what is live goes on.
        """
        match command:
            case Announce():
                self.front.gate.announce(command)
            case Drain(enabled=enabled):
                self.services.draining = enabled
            case Kick(attempt=attempt, reason=reason):
                self.front.gate.discard(attempt)
                if session := self._attempts.get(attempt):
                    session.kick(reason)
            case Evict(attempt=attempt):
                self.front.gate.discard(attempt)
                if session := self._attempts.get(attempt):
                    session.evict()
            case Inject(attempt=attempt):
                self.services.faults.inject(command, self._attempts.get(attempt))
            case Lift(attempt=attempt):
                self.services.faults.lift(command, self._attempts.get(attempt))
            case InsertStream():
                self._interstitials.add(command)
                self._advance_interstitials()
            case ResumeStream():
                self._interstitials.resume(command)
                self._advance_interstitials()

    def open_feed(self, scope: str, name: str, ready: Callable[[], None]) -> PullFeed:
        """Send a stream to another node; ``close`` of what is returned ends that."""
        return PullFeed(self.services.streams, scope, name, ready)

    def statistics(self) -> list[TrackStatistics]:
        """Return the counters of all live tracks."""
        return [report for session in self._sessions for report in session.statistics()]

    def counters(self, attempt: str) -> list[TrackStatistics]:
        """Return the counters of an attempt as they are now; none when it is not here."""
        session = self._attempts.get(attempt)
        return [] if session is None else session.statistics()

    @property
    def hello(self) -> Hello:
        """What the manager is told of this origin."""
        return self.front.hello

    @property
    def media_port(self) -> int | None:
        """The UDP port of all media; ``None``: each client has ports of its own."""
        return self.front.media_port

    async def stop(self, reason: Reason = Reason.NODE_SHUTDOWN) -> None:
        """End all streams with ``reason`` and close everything: no task, thread or socket is left."""
        if self._stopped:
            return
        self._stopped = True
        if self._stop_sweeper is not None:
            self._stop_sweeper()
        self._timers.cancel()
        await asyncio.gather(*(session.shut(reason) for session in tuple(self._sessions)))
        if self.services.pulls is not None:
            await self.services.pulls.stop()
        await self.front.stop_listening()
        for session in tuple(self._sessions):
            await session.shut(reason)
        await self.front.close()
        await self.services.outputs.stop()
        self.services.faults.stop()
        await self.services.tasks.drain(0.3)

    async def thumbnail(self, scope: str, stream: str) -> bytes | None:
        """Return the last key frame of a live stream as PNG; ``None`` when there is none.

        Raises:
            ValueError: it cannot be decoded.
        """
        return await self.services.outputs.thumbnails.png(scope, stream)

    def capture(self, attempt: str, begin: bool) -> CaptureRing | None:
        """Return what is captured of an attempt; ``None``: nothing.

        ``begin``: from now on, if it is not yet.
        """
        session = self._attempts.get(attempt)
        if begin and session is not None:
            return self.services.captures.begin(session)
        return self.services.captures.find(attempt)

    def shared_objects(self) -> list[SharedObjectState]:
        """Return the shared objects of all scopes."""
        return self.services.shared_objects.states()

    def interstitials(self) -> list[InterstitialState]:
        """Return the interstitials that are shown or wait."""
        return self._interstitials.states()

    def _advance_interstitials(self) -> None:
        self._timers.cancel()
        wait = self._interstitials.advance()
        if wait is not None:
            self._timers.after(wait, self._advance_interstitials)

    # sessions ---------------------------------------------------------------------------------------------------------

    async def _serve(self, socket: ClientSocket, asked: ConnectionRequest) -> None:
        signaling = PublisherSignaling(
            scope=asked.scope,
            client_id=asked.client_id,
            streams=self.services.streams,
            redactor=Redactor(asked.url),
        )
        session = self._open_session(socket, signaling, asked.attempt, asked.recording)
        await serve_websocket(socket, session, signaling.opened())

    def _open_exchange(
        self, signaling: WhipSignaling | WhepSignaling, attempt: str | None, recording: bool
    ) -> ClientSession:
        return self._open_session(NoChannel(), signaling, attempt, recording)

    def _open_session(
        self,
        channel: SignalingChannel,
        signaling: PublisherSignaling | SubscriberSignaling,
        attempt: str | None,
        recording: bool,
    ) -> ClientSession:
        if attempt is None or attempt in self._attempts:
            attempt = random_attempt(self.services.rng)
        session = ClientSession(
            self.services,
            channel,
            signaling,
            self._changed,
            attempt=attempt,
            recording=recording,
            announced=self.front.gate.forget(attempt),
        )
        self._sessions.add(session)
        self._attempts[attempt] = session
        return session

    def _changed(self, session: ClientSession) -> None:
        """Update the load and the tables after a session took an offer, ended, or is gone."""
        for role, loaded in self._loaded.items():
            (loaded.add if session.load_role is role else loaded.discard)(session)
        (self._sweeper.discard if session.load_role is None else self._sweeper.add)(session)
        if session.gone:
            self._sessions.discard(session)
            session.let_go()
            self.services.captures.end(session.attempt)
            if self._attempts.get(session.attempt) is session:
                del self._attempts[session.attempt]
            self._exchanges.forget(session)
        self._count()

    def _count(self) -> None:
        """Report the load, when it has changed."""
        pulls = 0 if self.services.pulls is None else len(self.services.pulls)
        load = Load(len(self._loaded[Role.PUBLISHER]), len(self._loaded[Role.SUBSCRIBER]), pulls=pulls)
        if load != self._load:
            self._load = load
            self.services.report(load)
