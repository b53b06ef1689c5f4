"""An origin: takes publishers' media, sends it to subscribers, and reports to the manager.

This is the only module that other packages import.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from websockets.asyncio.server import ServerConnection

from smproxy.capture.ring import CaptureRing
from smproxy.origin.aiortc_adapter import UnfitLibraryError, self_test
from smproxy.origin.aiortc_dtls import Identity
from smproxy.origin.announcements import Announcements
from smproxy.origin.candidates import HostAddresses
from smproxy.origin.captures import Captures
from smproxy.origin.client_session import ClientSession
from smproxy.origin.connection_request import ConnectionRequest, random_attempt
from smproxy.origin.ice_tcp import MediaStreams, WithStreams
from smproxy.origin.injected_faults import InjectedFaults
from smproxy.origin.interstitials import Interstitials
from smproxy.origin.kept_pictures import KeptPictures
from smproxy.origin.liveness import Sweeper
from smproxy.origin.media_sockets import MediaSockets, open_media
from smproxy.origin.outputs import Outputs
from smproxy.origin.play.subscriber_signaling import SubscriberSignaling
from smproxy.origin.publisher_signaling import PublisherSignaling
from smproxy.origin.pull.feed import PullFeed
from smproxy.origin.pull.pulls import OtherNodes, Pulls
from smproxy.origin.recording.recorder import Recorder
from smproxy.origin.role import OriginServices
from smproxy.origin.server import OriginListener
from smproxy.origin.settings import OriginSettings, WhepOffline
from smproxy.origin.shared_names import SharedNames
from smproxy.origin.shared_objects import SharedObjects
from smproxy.origin.signaling_channel import NoChannel, SignalingChannel
from smproxy.origin.streams import Streams
from smproxy.origin.websocket import WebSocketChannel, serve_websocket
from smproxy.origin.whip.exchanges import HttpExchanges
from smproxy.origin.whip.http_handler import WhipHandler
from smproxy.origin.whip.publisher import WhipSignaling
from smproxy.origin.whip.subscriber import WhepSignaling
from smproxy.signaling.clock import Clock
from smproxy.signaling.node import (
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

__all__ = ["Origin", "OriginSettings", "OriginTables", "UnfitLibraryError", "WhepOffline"]

_log = logging.getLogger(__name__)

_SWEEP_INTERVAL = 0.25
_WILDCARDS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104


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
        sockets: MediaSockets,
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
            sockets=sockets,
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
        self.hello = Hello(address=settings.address, host=settings.host, port=settings.port, region=settings.region)
        self._announcements = Announcements(clock.monotonic)
        self._announced = asyncio.Event()
        self._exchanges = HttpExchanges(self.services, self._admit, self._open_exchange)
        interval = min(_SWEEP_INTERVAL, settings.media_gap / 4, settings.media_timeout / 4)
        self._sweeper = Sweeper(max(interval, 0.01), clock.monotonic)
        self._sessions: set[ClientSession] = set()
        self._attempts: dict[str, ClientSession] = {}
        self._loaded: dict[Role, set[ClientSession]] = {role: set() for role in Role}
        self._load = Load(publishers=0)
        self._interstitials = Interstitials(self.services.streams, clock.monotonic)
        self._timers = Timers()
        self._listener: OriginListener | None = None
        #: Where TCP connections with media come in, with ``media_tcp``.
        self.streams: MediaStreams | None = None
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
    ) -> Origin:
        """Listen and be ready.

        ``names`` are shared with the other nodes of a cluster, whose streams are pulled from ``other_nodes``; ``tables`` are
        shared with other origins in this process.

        Raises:
            OSError: the port is not to be had.
            UnfitLibraryError: aiortc is not as the media path needs it.
        """
        if (unfit := self_test()) is not None:
            raise UnfitLibraryError(unfit)
        own = HostAddresses(clock.monotonic, ipv6_loopback=settings.ipv6_loopback)
        addresses = (lambda: settings.media_hosts) if settings.media_hosts else own
        sockets = await open_media(settings, addresses)
        streams = MediaStreams(addresses, settings.media_addresses) if settings.media_tcp else None
        if streams is not None:
            sockets = WithStreams(sockets, streams)
        tables = tables or OriginTables.make(settings, clock, names)
        origin = cls(settings, report, clock, rng, sockets, names, tables, other_nodes)
        origin.streams = streams
        try:
            origin._listener = await OriginListener.start(
                settings, origin._admit_socket, origin._serve, WhipHandler(origin._exchanges)
            )
        except OSError:
            sockets.close()
            raise
        dial = settings.host if settings.host not in _WILDCARDS else "127.0.0.1"
        origin.hello = Hello(address=settings.address, host=dial, port=origin._listener.port, region=settings.region)
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
                self._announcements.add(command)
                announced, self._announced = self._announced, asyncio.Event()
                announced.set()
            case Drain(enabled=enabled):
                self.services.draining = enabled
            case Kick(attempt=attempt, reason=reason):
                self._announcements.discard(attempt)
                if session := self._attempts.get(attempt):
                    session.kick(reason)
            case Evict(attempt=attempt):
                self._announcements.discard(attempt)
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
    def media_port(self) -> int | None:
        """The UDP port of all media; ``None``: each client has ports of its own."""
        return self.services.sockets.port

    async def stop(self, reason: Reason = Reason.NODE_SHUTDOWN) -> None:
        """End all streams with ``reason`` and close everything: no task, thread or socket is left."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        if self._stop_sweeper is not None:
            self._stop_sweeper()
        self._timers.cancel()
        await asyncio.gather(*(session.shut(reason) for session in tuple(self._sessions)))
        if self.services.pulls is not None:
            await self.services.pulls.stop()
        await listener.stop()
        for session in tuple(self._sessions):
            await session.shut(reason)
        self.services.sockets.close()
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

    async def _admit(self, attempt: str | None, scope: str) -> bool:
        """Decide whether a client may connect."""
        settings = self.services.settings
        if settings.open_to_all or self._announcements.take(attempt):
            return True
        if settings.announce_wait and attempt is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(settings.announce_wait):
                    while not self._announcements.take(attempt):
                        await self._announced.wait()
                    return True
        _log.warning("refused a client for scope %s: its stream manager did not announce it", scope)
        return False

    async def _admit_socket(self, asked: ConnectionRequest) -> bool:
        return await self._admit(asked.attempt, asked.scope)

    async def _serve(self, connection: ServerConnection, asked: ConnectionRequest) -> None:
        signaling = PublisherSignaling(
            scope=asked.scope,
            client_id=asked.client_id,
            streams=self.services.streams,
            redactor=Redactor(asked.url),
        )
        session = self._open_session(WebSocketChannel(connection), signaling, asked.attempt, asked.recording)
        await serve_websocket(connection, session, signaling.opened())

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
            announced=self._announcements.forget(attempt),
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
            session.cancel_timers()
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
