"""The publisher's role: its offer, its tracks, and its messages to subscribers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from smproxy.origin.answer import plan_answer
from smproxy.origin.effects import (
    Effect,
    EndStream,
    Mute,
    Negotiation,
    PublisherMessage,
    SetKeyFrameInterval,
    SetOrientation,
    StartStream,
    TakeOffer,
)
from smproxy.origin.offer import InvalidOffer, read_offer
from smproxy.origin.outputs import PublisherOutputs
from smproxy.origin.publisher_signaling import PublisherSignaling
from smproxy.origin.publisher_transport import PublisherTransport
from smproxy.origin.role import OriginServices, RoleSession
from smproxy.origin.source import Source
from smproxy.origin.track import Track
from smproxy.signaling import node_channel
from smproxy.signaling.node_channel import Report, TrackStatistics
from smproxy.signaling.payloads import ConnectError, Reason, Role

_log = logging.getLogger(__name__)


class PublisherRole:
    """The role of a client that publishes, or has not said yet what it does."""

    def __init__(self, services: OriginServices, session: RoleSession, signaling: PublisherSignaling) -> None:
        self.signaling = signaling
        self.transport: PublisherTransport | None = None
        self.source: Source | None = None
        self._services = services
        #: ``None`` once it is gone.
        self._session: RoleSession | None = session
        self._scope, self._attempt = session.scope, session.attempt
        self._outputs: PublisherOutputs | None = None
        #: The name that this client has in the cluster, and the claim's epoch.
        self._claimed: str | None = None
        self._epoch: int | None = None

    @property
    def error_if_client_leaves(self) -> ConnectError:
        """Why the attempt failed when the client leaves before its transport is up."""
        # One that asked for a stream and found none was a subscriber.
        denied = self.signaling.denied and self.transport is None
        return ConnectError.REJECTED if denied else ConnectError.TIMEOUT

    async def negotiate(self, effect: Negotiation) -> None:
        """Answer the offer."""
        session, services = self._session, self._services
        if session is None or not isinstance(effect, TakeOffer):
            return
        try:
            offer = read_offer(effect.sdp)
            self.signaling.check_offer(offer)
            plan = plan_answer(offer, video_encoding=effect.video_encoding, audio_encoding=effect.audio_encoding)
        except InvalidOffer as exc:
            await session.perform(self.signaling.invalid_offer(exc))
            return
        if self.signaling.stream is not None and (refused := await self._claim(self.signaling.stream)) is not None:
            await session.perform(self.signaling.name_refused(refused))
            return
        transport = self.transport = PublisherTransport(
            plan,
            session,
            self._track_started,
            identity=services.identity,
            monotonic=services.clock.monotonic,
            rng=services.rng,
            tasks=services.tasks,
        )
        formats = {accepted.kind: accepted.format for accepted in plan.tracks}
        soon = asyncio.get_running_loop().call_soon
        self.source = Source(transport.tracks, formats, services.clock.monotonic, session.about, services.kept, soon)
        self._outputs = services.outputs.of(
            session.attempt, session.scope, transport.tracks, recording=session.recording
        )
        session.count_as(Role.PUBLISHER)
        try:
            answer = await transport.open(services.sockets)
        except OSError as exc:
            _log.warning("attempt %s: no UDP socket: %s", session.attempt, exc, extra=session.about)
            reason = "The origin has no UDP socket left."
            await session.perform(self.signaling.refused(ConnectError.ORIGIN_ERROR, reason))
            return
        if session.ended:
            return
        session.negotiating()
        await session.perform(self.signaling.answered(answer, self.source))

    def perform(self, effect: Effect) -> None:
        """Perform an effect that only publishers have."""
        session, source = self._session, self.source
        if session is None:
            return
        match effect:
            case StartStream(stream, mode):
                session.report(node_channel.StreamStarted(session.attempt, stream, session.scope, mode, self._epoch))
                for track in source.tracks.values() if source is not None else ():
                    if source is not None and source.is_muted(track.kind):
                        session.report(node_channel.TrackMuted(session.attempt, track.name, True))
                if self._claimed not in (None, stream):
                    self._services.tasks.spawn(self._claim_other(stream))
                if self._outputs is not None:
                    self._outputs.started(stream, mode)
            case SetKeyFrameInterval(seconds) if self.transport is not None:
                self.transport.key_frame_interval = seconds
            case EndStream():
                session.leave()
            case Mute() if source is not None:
                for track in source.mute(effect):
                    session.report(node_channel.TrackMuted(session.attempt, track.name, source.is_muted(track.kind)))
            case SetOrientation(orientation) if source is not None:
                source.turn(orientation)
            case PublisherMessage() if source is not None:
                source.say(effect)
            case _:
                pass

    async def _claim(self, name: str) -> ConnectError | None:
        """Take the name on every node of the cluster; return why it cannot be had."""
        names, session = self._services.names, self._session
        if names is None:
            return None
        if session is None:
            return ConnectError.TIMEOUT
        epoch = await names.claim(session.scope, name, lambda: session.kick(Reason.ORIGIN_LOST))
        if isinstance(epoch, ConnectError):  # which is a number, too
            return epoch
        if session.ended:  # the client has left meanwhile
            names.release(session.scope, name)
            return ConnectError.TIMEOUT
        self._claimed, self._epoch = name, epoch
        return None

    async def _claim_other(self, name: str) -> None:
        """Take the name of a client that publishes under another one than it offered."""
        if self._services.names is not None and self._claimed is not None:
            self._services.names.release(self._scope, self._claimed)
        if await self._claim(name) is not None and self._session is not None:
            self._session.kick(Reason.ORIGIN_LOST)

    def connected(self) -> None:
        """Act on the transport being up. With a data channel only the stream is available at once."""
        if (session := self._session) is None:
            return
        session.perform_now(self.signaling.connected())
        if self.transport is not None and not self.transport.tracks:
            session.perform_now(self.signaling.media_came())

    def _track_started(self, track: Track) -> None:
        session = self._session
        if session is not None and not session.ended:
            session.report(node_channel.TrackStarted(session.attempt, track.name, track.kind))
            session.perform_now(self.signaling.media_came())

    def sweep(self, now: float) -> None:
        """Send the feedback that is due."""
        if self.transport is not None:
            self.transport.sweep(now)

    def statistics(self) -> list[TrackStatistics]:
        """Return the counters of all started tracks."""
        if (transport := self.transport) is None:
            return []
        attempt, rtt_ms = self._attempt, transport.rtt_ms
        return [track.statistics(attempt, rtt_ms) for track in transport.tracks if track.started]

    def final_reports(self) -> Sequence[Report]:
        """Return the last counters of each track, and its end."""
        reports: list[Report] = []
        for last in self.statistics():
            reports += [last, node_channel.TrackEnded(last.attempt, last.track)]
        return reports

    def _free_name(self) -> None:
        if self.signaling.stream is not None:
            self._services.streams.free(self._scope, self.signaling.stream, self.signaling)
        if self._services.names is not None and self._claimed is not None:
            self._services.names.release(self._scope, self._claimed)

    async def freed(self) -> None:
        """Free the name, and return once it is free on every node."""
        self._free_name()
        if self._services.names is not None and self._claimed is not None:
            await self._services.names.freed(self._scope, self._claimed)

    def release(self) -> None:
        """Free the name, which ends the stream for its subscribers, and end the outputs."""
        self._free_name()
        if self._outputs is not None:
            self._outputs.ended()
        if self.source is not None:
            self.source.close()

    def let_go(self) -> None:
        """Drop the session, which is gone: it ends too fast for the cycle collector."""
        self._session = None
        self.signaling.let_go()
