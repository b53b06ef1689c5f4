"""An origin: takes publishers' media, gives it to subscribers, and tells the manager what becomes of it.

This is the only module that other rooms import.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from websockets.asyncio.server import ServerConnection

from smproxy.origin.aiortc_adapter import Identity, UnfitLibraryError, self_test
from smproxy.origin.candidates import host_addresses
from smproxy.origin.client_session import Session
from smproxy.origin.impairments import Impairments
from smproxy.origin.liveness import Sweeper
from smproxy.origin.outputs import Keeper
from smproxy.origin.recording.recorder import Recorder
from smproxy.origin.server import Listener, Target, random_attempt
from smproxy.origin.settings import OriginSettings
from smproxy.origin.streams import Streams
from smproxy.origin.tasks import Tasks
from smproxy.signaling.clock import Clock
from smproxy.signaling.node import Command, Drain, Evict, Hello, Inject, Kick, Lift, Load, ReportTo, TrackStatistics
from smproxy.signaling.payloads import Reason, Role

__all__ = ["Origin", "OriginSettings", "UnfitLibraryError"]

_log = logging.getLogger(__name__)

_SWEEP_INTERVAL = 0.25
_WILDCARDS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104
#: Seconds that a look at the network interfaces is good for.
_ADDRESSES_FRESH = 10.0


class Origin:
    """A running origin. Made by :meth:`start`, ended by :meth:`stop`."""

    def __init__(self, settings: OriginSettings, report: ReportTo, clock: Clock, rng: random.Random) -> None:
        self.settings = settings
        self.report = report
        self.clock = clock
        self.rng = rng
        self.streams = Streams()
        self.tasks = Tasks()
        self.identity = Identity.generateCertificate()
        self.draining = False
        self.hello = Hello(address=settings.address, host=settings.host, port=settings.port, region=settings.region)
        self.keeper = Keeper(Recorder(settings.recordings, settings.recordings_limit, report, clock.monotonic))
        self.impairments = Impairments()
        interval = min(_SWEEP_INTERVAL, settings.media_gap / 4, settings.media_timeout / 4)
        self._sweeper = Sweeper(max(interval, 0.01), clock.monotonic)
        self._sessions: set[Session] = set()
        self._attempts: dict[str, Session] = {}
        self._carried: dict[Role, set[Session]] = {role: set() for role in Role}
        self._load = Load(publishers=0)
        self._addresses: tuple[str, ...] = ()
        self._addresses_at = float("-inf")
        self._listener: Listener | None = None
        self._stop_sweeper: Callable[[], None] | None = None

    @classmethod
    async def start(cls, settings: OriginSettings, report: ReportTo, *, clock: Clock, rng: random.Random) -> Origin:
        """Listen and be ready.

        Raises:
            OSError: the port is not to be had.
            UnfitLibraryError: aiortc is not as the media path needs it.
        """
        if (unfit := self_test()) is not None:
            raise UnfitLibraryError(unfit)
        origin = cls(settings, report, clock, rng)
        origin._listener = await Listener.start(settings, origin._take)
        dial = settings.host if settings.host not in _WILDCARDS else "127.0.0.1"
        origin.hello = Hello(address=settings.address, host=dial, port=origin._listener.port, region=settings.region)
        origin._stop_sweeper = origin._sweeper.start()
        report(origin._load)
        return origin

    def command(self, command: Command) -> None:
        """Do what the manager asks. An attempt that is not here is passed over: it ended while the command travelled.

        ``Kick`` ends a stream so that its client notices, and is answered by ``PeerEnded`` (``AttemptFailed`` when the
        transport was not up). ``Evict`` frees a name at once and in silence: nothing more is reported of that attempt.
        ``Drain`` refuses new streams and new subscribers; what is live goes on.
        """
        match command:
            case Drain(enabled=enabled):
                self.draining = enabled
            case Kick(attempt=attempt, reason=reason):
                if session := self._attempts.get(attempt):
                    session.kick(reason)
            case Evict(attempt=attempt):
                if session := self._attempts.get(attempt):
                    session.evict()
            case Inject(attempt=attempt):
                self.impairments.inject(command, self._attempts.get(attempt))
            case Lift(attempt=attempt):
                self.impairments.lift(command, self._attempts.get(attempt))

    def statistics(self) -> list[TrackStatistics]:
        """Return the counters of all live tracks."""
        return [report for session in self._sessions for report in session.statistics()]

    async def stop(self, reason: Reason = Reason.NODE_SHUTDOWN) -> None:
        """End all streams with ``reason``, close everything, and leave no task, thread or socket behind."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        if self._stop_sweeper is not None:
            self._stop_sweeper()
        await asyncio.gather(*(session.shut(reason) for session in tuple(self._sessions)))
        await listener.stop()
        for session in tuple(self._sessions):
            await session.shut(reason)
        await self.keeper.stop()
        self.impairments.stop()
        await self.tasks.drain(0.3)

    async def thumbnail(self, room: str, stream: str) -> bytes | None:
        """Return the last key frame of a live stream as PNG; ``None`` when there is no such stream or no picture yet.

        Raises:
            ValueError: it cannot be decoded.
        """
        return await self.keeper.thumbnails.png(room, stream)

    # what a session asks ----------------------------------------------------------------------------------------------

    def addresses(self) -> tuple[str, ...]:
        """Return the addresses that media is taken on; looked up anew now and then, since laptops change networks."""
        now = self.clock.monotonic()
        if now - self._addresses_at > _ADDRESSES_FRESH:
            self._addresses, self._addresses_at = host_addresses(), now
        return self._addresses

    def changed(self, session: Session) -> None:
        """Keep the books after a session took an offer, ended, or is gone."""
        for role, carried in self._carried.items():
            (carried.add if session.carries is role else carried.discard)(session)
        (self._sweeper.discard if session.carries is None else self._sweeper.add)(session)
        if session.gone:
            self._sessions.discard(session)
            session.cancel_timers()
            if self._attempts.get(session.attempt) is session:
                del self._attempts[session.attempt]
        load = Load(len(self._carried[Role.PUBLISHER]), len(self._carried[Role.SUBSCRIBER]))
        if load != self._load:
            self._load = load
            self.report(load)

    async def _take(self, connection: ServerConnection, target: Target) -> None:
        attempt = target.attempt
        if attempt is None or attempt in self._attempts:
            attempt = random_attempt(self.rng)
        session = Session(self, connection, attempt, target.room, target.client_id, recording=target.recording)
        self._sessions.add(session)
        self._attempts[attempt] = session
        await session.run()
