"""A subscriber's part of a session: its offer, its slots, and which source they show."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from smproxy.origin.effects import Effect, MakeOffer, Muted, Playing, Said, SwitchTo, TakeAnswer, TakeOffer
from smproxy.origin.payload_format import carries
from smproxy.origin.play.answer import CodecRefused, InvalidAnswer, read_answer
from smproxy.origin.play.offer import OfferPlan, Slot, plan_offer
from smproxy.origin.play.subscriber_signaling import SubscriberConversation
from smproxy.origin.play.subscriber_transport import SendingPeer
from smproxy.origin.source import Source
from smproxy.origin.token_bucket import Allowance
from smproxy.signaling import node
from smproxy.signaling.node import Report, TrackStatistics
from smproxy.signaling.payloads import ConnectError, Kind, Role

if TYPE_CHECKING:
    from smproxy.origin.client_session import Session

_log = logging.getLogger(__name__)

#: How often a client may switch, times a second and at once: each is a key frame to it, and four hooks.
SWITCH_RATE = 2.0
SWITCH_BURST = 10.0


class Subscription:
    """The part of a client that watches.

    It watches a name: when the stream ends its slots show nothing, and when the name is published again they go on. "starting"
    is said when the transport is up; only then slots are reported and media flows.
    """

    def __init__(self, session: Session) -> None:
        self.talk = SubscriberConversation(room=session.room, streams=session.house.streams)
        self.peer: SendingPeer | None = None
        self._session = session
        self._plan: OfferPlan | None = None
        self._unwatch: Callable[[], None] = _nothing
        self._source: Source | None = None
        self._slotted = False
        self._attached: dict[Slot, str] = {}
        self._may_switch = Allowance(SWITCH_RATE, SWITCH_BURST, session.house.clock.monotonic)

    @property
    def unfinished(self) -> ConnectError:
        """Why the attempt failed when the client leaves before its transport is up."""
        return ConnectError.TIMEOUT if self.peer is not None else ConnectError.REJECTED

    # the offer and its answer -----------------------------------------------------------------------------------------

    async def negotiate(self, effect: TakeOffer | MakeOffer | TakeAnswer) -> None:
        """Make the offer, or take its answer."""
        match effect:
            case MakeOffer(stream, channel):
                await self._offer(stream, channel)
            case TakeAnswer(sdp):
                await self._accept(sdp)
            case _:
                pass

    async def _offer(self, stream: str, channel: bool) -> None:
        session, house = self._session, self._session.house
        source = house.streams.source(session.room, stream)
        reason = ""
        if source is None:
            reason = f"Stream {stream} ended."
        else:
            try:
                self._plan = plan_offer(source.formats, data=channel, rng=house.rng)
            except ValueError as exc:
                reason = str(exc)
        if self._plan is None:
            await session.perform(self.talk.refused(ConnectError.ORIGIN_ERROR, reason))
            return
        peer = self.peer = SendingPeer(
            self._plan,
            session,
            identity=house.identity,
            monotonic=house.clock.monotonic,
            rng=house.rng,
            tasks=house.tasks,
        )
        session.carries = Role.SUBSCRIBER
        try:
            offer = await peer.open(house.addresses())
        except OSError as exc:
            _log.warning("attempt %s: no UDP socket: %s", session.attempt, exc)
            await session.perform(self.talk.refused(ConnectError.ORIGIN_ERROR, "The origin has no UDP socket left."))
            return
        if session.ended:
            return
        session.negotiating(Role.SUBSCRIBER)
        await session.perform(self.talk.offered(offer))

    async def _accept(self, sdp: str) -> None:
        session = self._session
        if self._plan is None or self.peer is None:
            return
        try:
            answer = read_answer(sdp, self._plan)
        except InvalidAnswer as exc:
            await session.perform(self.talk.refused(ConnectError.INVALID_SDP, str(exc)))
            return
        except CodecRefused as exc:
            await session.perform(self.talk.refused(ConnectError.REJECTED, str(exc)))
            return
        self.peer.accept(answer)
        await session.perform(self.talk.accepted())

    # what happens -----------------------------------------------------------------------------------------------------

    def do(self, effect: Effect) -> None:
        """Do what only a subscriber does."""
        match effect:
            case Playing(stream):
                self._session.report(node.PlayStarted(self._session.attempt, stream, self._session.room))
                self._watch(self._session.room, stream)
            case Muted(audio, video):
                for kind, muted in ((Kind.AUDIO, audio), (Kind.VIDEO, video)):
                    if muted is not None and self.peer is not None:
                        self.peer.pause(kind, muted)
            case SwitchTo():
                self._switch(effect)
            case _:
                pass

    def connected(self) -> None:
        """The transport is up."""
        self._session.perform_now(self.talk.connected())

    def _watch(self, room: str, stream: str) -> None:
        self._unwatch()
        streams = self._session.house.streams
        self._unwatch = streams.watch(room, stream, self)
        self._source = streams.source(room, stream)
        self._show()
        self.informed()

    def _show(self) -> None:
        """Attach every slot that can be to the source, once media may flow."""
        session, peer = self._session, self.peer
        if peer is None or session.ended:
            return
        if not self._slotted:
            self._slotted = True
            for slot in peer.senders:
                session.report(node.LocalTrack(session.attempt, slot.number, slot.kind))
        source = self._source
        if source is None:
            return
        for slot, sender in peer.senders.items():
            feed = source.feed(slot.kind, self)
            if feed is None:
                continue
            self._detach(slot)
            try:
                sender.attach(feed)
            except ValueError as exc:
                _log.warning("attempt %s: stream %s: %s", session.attempt, source.name, exc)
                session.perform_now(self.talk.unfit(f"Stream {source.name}: {exc}."))
                continue
            self._attached[slot] = source.name
            session.report(node.LocalTrackAttached(session.attempt, slot.number, source.name, slot.name))

    def _detach(self, slot: Slot) -> None:
        if self.peer is not None:
            self.peer.senders[slot].detach()
        if self._attached.pop(slot, None) is not None:
            self._session.report(node.LocalTrackDetached(self._session.attempt, slot.number))

    def _detach_all(self) -> None:
        for slot in tuple(self._attached):
            self._detach(slot)
        source, self._source = self._source, None
        if source is not None:
            source.leave(self)

    def _switch(self, wanted: SwitchTo) -> None:
        session = self._session
        source = session.house.streams.source(wanted.room, wanted.stream)
        peer = self.peer
        reason = ""
        if source is None or peer is None:
            reason = f"Stream {wanted.stream} does not exist."
        elif not self._may_switch.take():
            reason = f"Too many switches: {SWITCH_RATE:g} a second are done, wait a little."
        else:
            for slot in peer.senders:
                other = source.formats.get(slot.kind)
                if other is not None and not carries(slot.format, other):
                    reason = (
                        f"Stream {wanted.stream} has {other.codec}, and this subscription takes {slot.format.codec}."
                    )
        if reason:
            session.perform_now(self.talk.not_switched(wanted, reason))
            return
        self._detach_all()
        self._watch(wanted.room, wanted.stream)
        session.perform_now(self.talk.showing(wanted))

    # what the stream tells --------------------------------------------------------------------------------------------

    def published(self, source: Source) -> None:
        """The name is published again."""
        self._source = source
        self._session.perform_now(self.talk.published())
        self._show()
        self.informed()

    def unpublished(self, source: Source) -> None:
        """The stream is gone; its subscribers may stay."""
        if self._source is source:
            self._detach_all()
            self._session.perform_now(self.talk.unpublished())

    def informed(self) -> None:
        """The stream's metadata changed."""
        if self._source is not None:
            self._session.perform_now(self.talk.informed(self._source.metadata()))

    def told(self, said: Said, sender: str) -> None:
        """The publisher says something."""
        self._session.perform_now(self.talk.told(said, sender))

    def broke(self) -> None:
        """End because of a mistake of ours, which was logged."""
        self._session.broke()

    # what the session asks --------------------------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """Send the reports that are due; a picture's size is known from its first key frame only."""
        if self.peer is not None:
            self.peer.sweep(now)
        self.informed()

    def statistics(self) -> list[TrackStatistics]:
        """Return what was sent in each slot."""
        if self.peer is None or not self._slotted:
            return []
        return [sender.statistics(self._session.attempt, slot.name) for slot, sender in self.peer.senders.items()]

    def farewell(self) -> Sequence[Report]:
        """Return the last counters of each slot, and its detachment."""
        reports: list[Report] = list(self.statistics())
        for slot in self._attached:
            reports.append(node.LocalTrackDetached(self._session.attempt, slot.number))
        self._attached.clear()
        return reports

    def release(self) -> None:
        """Show and watch nothing any more."""
        self._unwatch()
        self._unwatch = _nothing
        if self.peer is not None:
            for sender in self.peer.senders.values():
                sender.detach()
        self._attached.clear()
        self._detach_all()


def _nothing() -> None:
    pass
