"""A publisher's part of a session: its offer, its tracks, and what it tells those who watch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from smproxy.origin.answer import plan_answer
from smproxy.origin.effects import (
    Effect,
    KeyFrameInterval,
    MakeOffer,
    Muted,
    Said,
    Started,
    TakeAnswer,
    TakeOffer,
    Turned,
)
from smproxy.origin.effects import Unpublished as ClientUnpublished
from smproxy.origin.offer import InvalidOffer, read_offer
from smproxy.origin.outputs import Keep
from smproxy.origin.publisher_signaling import Conversation
from smproxy.origin.publisher_transport import Peer
from smproxy.origin.source import Source
from smproxy.origin.track import Track
from smproxy.signaling import node
from smproxy.signaling.node import Report, TrackStatistics
from smproxy.signaling.payloads import ConnectError, Role

if TYPE_CHECKING:
    from smproxy.origin.client_session import Session

_log = logging.getLogger(__name__)


class Publication:
    """The part of a client that publishes, or has not said yet what it does."""

    def __init__(self, session: Session, talk: Conversation) -> None:
        self.talk = talk
        self.peer: Peer | None = None
        self.source: Source | None = None
        self._keep: Keep | None = None
        self._session = session

    @property
    def unfinished(self) -> ConnectError:
        """Why the attempt failed when the client leaves before its transport is up: a subscriber found nothing, for one."""
        return ConnectError.REJECTED if self.talk.denied and self.peer is None else ConnectError.TIMEOUT

    async def negotiate(self, effect: TakeOffer | MakeOffer | TakeAnswer) -> None:
        """Answer the offer."""
        if not isinstance(effect, TakeOffer):
            return
        session, house = self._session, self._session.house
        try:
            offer = read_offer(effect.sdp)
            plan = plan_answer(offer, video_encoding=effect.video_encoding, audio_encoding=effect.audio_encoding)
        except InvalidOffer as exc:
            await session.perform(self.talk.refused(ConnectError.INVALID_SDP, str(exc)))
            return
        peer = self.peer = Peer(
            plan,
            session,
            self._track_started,
            identity=house.identity,
            monotonic=house.clock.monotonic,
            rng=house.rng,
            tasks=house.tasks,
        )
        formats = {accepted.kind: accepted.format for accepted in plan.tracks}
        self.source = Source(peer.tracks, formats, house.clock.monotonic)
        self._keep = house.keeper.keep(session.attempt, session.room, peer.tracks, recording=session.recording)
        session.carries = Role.PUBLISHER
        try:
            answer = await peer.open(house.addresses())
        except OSError as exc:
            _log.warning("attempt %s: no UDP socket: %s", session.attempt, exc)
            await session.perform(self.talk.refused(ConnectError.ORIGIN_ERROR, "The origin has no UDP socket left."))
            return
        if session.ended:
            return
        session.negotiating(Role.PUBLISHER)
        await session.perform(self.talk.answered(answer, self.source))

    def do(self, effect: Effect) -> None:
        """Do what only a publisher does."""
        session = self._session
        match effect:
            case Started(stream, mode):
                session.report(node.StreamStarted(session.attempt, stream, session.room, mode))
                if self._keep is not None:
                    self._keep.started(stream, mode)
            case KeyFrameInterval(seconds):
                if self.peer is not None:
                    self.peer.key_frame_interval = seconds
            case ClientUnpublished():
                session.leave()
            case Muted():
                if self.source is not None:
                    self.source.mute(effect)
            case Turned(orientation):
                if self.source is not None:
                    self.source.turn(orientation)
            case Said():
                if self.source is not None:
                    self.source.say(effect)
            case _:
                pass

    def connected(self) -> None:
        """A client that offered nothing but a data channel is available as soon as that can be."""
        if self.peer is not None and not self.peer.tracks:
            self._session.perform_now(self.talk.media_came())

    def _track_started(self, track: Track) -> None:
        session = self._session
        if not session.ended:
            session.report(node.TrackStarted(session.attempt, track.name, track.kind))
            session.perform_now(self.talk.media_came())

    def sweep(self, now: float) -> None:
        """Send the feedback that is due."""
        if self.peer is not None:
            self.peer.sweep(now)

    def statistics(self) -> list[TrackStatistics]:
        """Return the counters of all started tracks."""
        tracks = [] if self.peer is None else self.peer.tracks
        return [track.statistics(self._session.attempt) for track in tracks if track.started]

    def farewell(self) -> Sequence[Report]:
        """Return the last counters of each track, and its end."""
        reports: list[Report] = []
        for last in self.statistics():
            reports += [last, node.TrackEnded(last.attempt, last.track)]
        return reports

    def release(self) -> None:
        """Give the name back; those who watch are told."""
        if self.talk.stream is not None:
            self._session.house.streams.free(self._session.room, self.talk.stream, self._session)
        if self._keep is not None:
            self._keep.ended()
        if self.source is not None:
            self.source.close()
