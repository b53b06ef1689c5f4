"""The subscriber's role: its offer, its slots, and which source they show."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

from smproxy.origin.effects import (
    Effect,
    MakeOffer,
    Mute,
    Negotiation,
    PublisherMessage,
    StartPlayback,
    SwitchTo,
    TakeAnswer,
    TakeViewerOffer,
)
from smproxy.origin.offer import InvalidOffer, read_offer
from smproxy.origin.payload_format import carries
from smproxy.origin.play.answer import CodecRefused, InvalidAnswer, read_answer
from smproxy.origin.play.offer import OfferPlan, Slot, plan_offer
from smproxy.origin.play.subscriber_signaling import SubscriberSignaling
from smproxy.origin.play.subscriber_transport import SubscriberTransport
from smproxy.origin.play.viewer import plan_viewer_answer
from smproxy.origin.role import OriginServices, RoleSession
from smproxy.origin.source import Source
from smproxy.origin.token_bucket import TokenBucket
from smproxy.signaling import node_channel
from smproxy.signaling.node_channel import Report, TrackStatistics
from smproxy.signaling.payloads import ConnectError, Kind, Role

_log = logging.getLogger(__name__)

#: How often a client may switch, times a second and at once: each is a key frame to it, and four hooks.
SWITCH_RATE = 2.0
SWITCH_BURST = 10.0


class SubscriberRole:
    """The role of a client that watches.

    It watches a name: when the stream ends its slots show nothing, and when the name is published again they go on. "starting"
    is sent when the transport is up; only then slots are reported and media flows.
    """

    def __init__(self, services: OriginServices, session: RoleSession, signaling: SubscriberSignaling) -> None:
        self.signaling = signaling
        self.transport: SubscriberTransport | None = None
        self._services = services
        self._session = session
        self._plan: OfferPlan | None = None
        self._unwatch: Callable[[], None] = _nothing
        self._source: Source | None = None
        #: Those whose forwarders are in use.
        self._used: set[Source] = set()
        self._slotted = False
        self._attached: dict[Slot, Source] = {}
        self._may_switch = TokenBucket(SWITCH_RATE, SWITCH_BURST, services.clock.monotonic)

    @property
    def error_if_client_leaves(self) -> ConnectError:
        """Why the attempt failed when the client leaves before its transport is up."""
        return ConnectError.TIMEOUT if self.transport is not None else ConnectError.REJECTED

    # the offer and its answer -----------------------------------------------------------------------------------------

    async def negotiate(self, effect: Negotiation) -> None:
        """Make the offer, or take its answer."""
        match effect:
            case MakeOffer(stream, channel):
                await self._offer(stream, channel)
            case TakeAnswer(sdp):
                await self._accept(sdp)
            case TakeViewerOffer(stream, sdp):
                await self._answer_viewer(stream, sdp)
            case _:
                pass

    async def _offer(self, stream: str, channel: bool) -> None:
        session, services = self._session, self._services
        source = services.streams.source(session.scope, stream)
        reason = ""
        if source is None:
            reason = f"Stream {stream} ended."
        else:
            try:
                self._plan = plan_offer(source.formats, data=channel, rng=services.rng)
            except ValueError as exc:
                reason = str(exc)
        if self._plan is None:
            await session.perform(self.signaling.refused(ConnectError.ORIGIN_ERROR, reason))
            return
        transport = self._make_transport(self._plan)
        offer = await self._open(transport.open(services.sockets))
        if offer is not None:
            await session.perform(self.signaling.offered(offer))

    def _make_transport(self, plan: OfferPlan) -> SubscriberTransport:
        services = self._services
        self.transport = SubscriberTransport(
            plan,
            self._session,
            identity=services.identity,
            monotonic=services.clock.monotonic,
            rng=services.rng,
            tasks=services.tasks,
        )
        self._session.count_as(Role.SUBSCRIBER)
        return self.transport

    async def _open(self, opening: Awaitable[str]) -> str | None:
        """Open the transport; ``None`` when that failed or the session ended meanwhile."""
        session = self._session
        try:
            description = await opening
        except OSError as exc:
            _log.warning("attempt %s: no UDP socket: %s", session.attempt, exc, extra=session.about)
            reason = "The origin has no UDP socket left."
            await session.perform(self.signaling.refused(ConnectError.ORIGIN_ERROR, reason))
            return None
        if session.ended:
            return None
        session.negotiating()
        return description

    async def _answer_viewer(self, stream: str, sdp: str) -> None:
        """Answer the client's offer, or make a counter-offer when it has not the stream's codec."""
        session, services = self._session, self._services
        source = services.streams.source(session.scope, stream)
        try:
            offer = read_offer(sdp)
            self.signaling.check_offer(offer)
            plan = plan_viewer_answer(offer, None if source is None else source.formats, rng=services.rng)
        except InvalidOffer as exc:
            await session.perform(self.signaling.invalid_offer(exc))
            return
        except CodecRefused as exc:
            if source is None:
                await session.perform(self.signaling.refused(ConnectError.REJECTED, str(exc)))
            else:
                await self._offer(stream, any(each.kind == "application" for each in offer.sections))
            return
        self._plan = plan.slots
        transport = self._make_transport(plan.slots)
        answer = await self._open(transport.open_to_viewer(services.sockets, plan))
        if answer is not None:
            await session.perform(self.signaling.answered(answer))

    async def _accept(self, sdp: str) -> None:
        session = self._session
        if self._plan is None or self.transport is None:
            return
        try:
            answer = read_answer(sdp, self._plan)
        except InvalidAnswer as exc:
            await session.perform(self.signaling.refused(ConnectError.INVALID_SDP, str(exc)))
            return
        except CodecRefused as exc:
            await session.perform(self.signaling.refused(ConnectError.REJECTED, str(exc)))
            return
        self.transport.accept(answer)
        await session.perform(self.signaling.accepted())

    # playback ---------------------------------------------------------------------------------------------------------

    def perform(self, effect: Effect) -> None:
        """Perform an effect that only subscribers have."""
        match effect:
            case StartPlayback(stream):
                self._session.report(node_channel.PlayStarted(self._session.attempt, stream, self._session.scope))
                self._watch(self._session.scope, stream)
            case Mute(audio, video):
                for kind, muted in ((Kind.AUDIO, audio), (Kind.VIDEO, video)):
                    if muted is not None and self.transport is not None:
                        self.transport.pause(kind, muted)
            case SwitchTo():
                self._switch(effect)
            case _:
                pass

    def connected(self) -> None:
        """Act on the transport being up."""
        self._session.perform_now(self.signaling.connected())

    def _watch(self, scope: str, stream: str) -> None:
        self._unwatch()
        streams = self._services.streams
        self._unwatch = streams.watch(scope, stream, self)
        self._source = streams.source(scope, stream)
        self._show()
        self.informed()

    def _show(self) -> None:
        """Attach every slot that can be to the source, once media may flow."""
        session, transport = self._session, self.transport
        if transport is None or session.ended:
            return
        if not self._slotted:
            self._slotted = True
            for slot in transport.senders:
                session.report(node_channel.LocalTrack(session.attempt, slot.number, slot.kind))
        source = self._source
        if source is None:
            return
        for slot, sender in transport.senders.items():
            shown = self._shown(slot, source)
            if self._attached.get(slot) is shown:
                continue
            forwarder = shown.forwarder(slot.kind, self)
            if forwarder is None:
                continue
            self._detach(slot)
            self._used.add(shown)
            try:
                sender.attach(forwarder)
            except ValueError as exc:
                _log.warning("attempt %s: stream %s: %s", session.attempt, shown.name, exc, extra=session.about)
                session.perform_now(self.signaling.cannot_show(f"Stream {shown.name}: {exc}."))
                continue
            self._attached[slot] = shown
            session.report(node_channel.LocalTrackAttached(session.attempt, slot.number, shown.name, slot.name))
        self._leave_unused()

    def _shown(self, slot: Slot, source: Source) -> Source:
        """Return the stream for a slot: an inserted one whose codec it takes, or its own."""
        shown = self._services.streams.shown(source, slot.kind)
        if shown is source or carries(slot.format, shown.formats[slot.kind]):
            return shown
        codec = shown.formats[slot.kind].codec
        _log.warning(
            "attempt %s: interstitial %s is not shown: it has %s, and this subscription takes %s",
            self._session.attempt, shown.name, codec, slot.format.codec, extra=self._session.about,
        )  # fmt: skip
        return source

    def _leave_unused(self) -> None:
        for unused in self._used.difference(self._attached.values()):
            unused.leave(self)
        self._used.intersection_update(self._attached.values())

    def _detach(self, slot: Slot) -> None:
        if self.transport is not None:
            self.transport.senders[slot].detach()
        if self._attached.pop(slot, None) is not None:
            self._session.report(node_channel.LocalTrackDetached(self._session.attempt, slot.number))

    def _detach_all(self) -> None:
        for slot in tuple(self._attached):
            self._detach(slot)
        self._source = None
        self._leave_unused()

    def _switch(self, wanted: SwitchTo) -> None:
        session = self._session
        source = self._services.streams.source(wanted.scope, wanted.stream)
        transport = self.transport
        reason = ""
        if source is None or transport is None:
            reason = f"Stream {wanted.stream} does not exist."
        elif not self._may_switch.take():
            reason = f"Too many switches: {SWITCH_RATE:g} a second are done, wait a little."
        else:
            for slot in transport.senders:
                other = source.formats.get(slot.kind)
                if other is not None and not carries(slot.format, other):
                    reason = (
                        f"Stream {wanted.stream} has {other.codec}, and this subscription takes {slot.format.codec}."
                    )
        if reason:
            session.perform_now(self.signaling.not_switched(wanted, reason))
            return
        self._detach_all()
        self._watch(wanted.scope, wanted.stream)
        session.perform_now(self.signaling.switched_to(wanted))

    # events of the stream ---------------------------------------------------------------------------------------------

    def published(self, source: Source) -> None:
        """Show the stream: its name is published again."""
        self._source = source
        self._session.perform_now(self.signaling.published())
        self._show()
        self.informed()

    def unpublished(self, source: Source) -> None:
        """Show nothing: the stream is gone; its subscribers may stay."""
        if self._source is source:
            self._detach_all()
            self._session.perform_now(self.signaling.unpublished())

    def inserted(self) -> None:
        """Show another stream in place of the one that is watched, or that one again."""
        if self._slotted:
            self._show()

    def informed(self) -> None:
        """Send the metadata, if it changed."""
        if self._source is not None:
            self._session.perform_now(self.signaling.metadata_changed(self._source.metadata()))

    def told(self, message: PublisherMessage, sender: str) -> None:
        """Pass on a message of the publisher."""
        self._session.perform_now(self.signaling.publisher_sent(message, sender))

    def broke(self) -> None:
        """End because of an error of ours, which was logged."""
        self._session.fail()

    # for the session --------------------------------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """Send the reports that are due; a picture's size is known from its first key frame only."""
        if self.signaling.stream is not None:
            self.signaling.watched_by(self._services.streams.watchers(self._session.scope, self.signaling.stream))
        if self.transport is not None:
            self.transport.sweep(now)
        self.informed()

    def statistics(self) -> list[TrackStatistics]:
        """Return what was sent in each slot."""
        if self.transport is None or not self._slotted:
            return []
        attempt, rtt_ms = self._session.attempt, self.transport.rtt_ms
        return [sender.statistics(attempt, slot.name, rtt_ms) for slot, sender in self.transport.senders.items()]

    def final_reports(self) -> Sequence[Report]:
        """Return the last counters of each slot, and its detachment."""
        reports: list[Report] = list(self.statistics())
        for slot in self._attached:
            reports.append(node_channel.LocalTrackDetached(self._session.attempt, slot.number))
        self._attached.clear()
        return reports

    async def freed(self) -> None:
        """Return at once: a subscriber has no name."""

    def release(self) -> None:
        """Show and watch nothing any more."""
        self._unwatch()
        self._unwatch = _nothing
        if self.transport is not None:
            for sender in self.transport.senders.values():
                sender.detach()
        self._attached.clear()
        self._detach_all()

    def let_go(self) -> None:
        """Do nothing: the collector gets what is left."""


def _nothing() -> None:
    pass
