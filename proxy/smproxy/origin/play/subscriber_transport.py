"""One subscriber's peer connection: the offer, its slots and their feedback."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from smproxy.origin.aiortc_adapter import Link
from smproxy.origin.aiortc_dtls import Identity
from smproxy.origin.answer import CODEC_NAMES
from smproxy.origin.client_transport import ClientTransport
from smproxy.origin.forward import DownTrack
from smproxy.origin.forward.feedback import KeyFrameRequest, Nack, ReportBlock, read_feedback
from smproxy.origin.media_sockets import MediaSockets
from smproxy.origin.play.answer import SubscriberAnswer
from smproxy.origin.play.offer import OfferPlan, Slot, write_offer
from smproxy.origin.play.viewer import ViewerPlan, write_viewer_answer
from smproxy.origin.transport import TransportEvents
from smproxy.signaling.payloads import Kind
from smproxy.tasks import Tasks

#: Bytes that may wait in the socket of a client whose network does not take them; then media waits, too.
MAX_UNSENT = 256 << 10


class SubscriberTransport(ClientTransport):
    """A subscriber's connection.

    Made, then ``open`` and ``accept``, or ``open_to_viewer``; ended by ``close``.
    """

    MAX_SOURCES = 16

    def __init__(
        self,
        plan: OfferPlan,
        events: TransportEvents,
        *,
        identity: Identity,
        monotonic: Callable[[], float],
        rng: random.Random,
        tasks: Tasks,
    ) -> None:
        #: The slots that the client takes, known from its answer on.
        self.senders: dict[Slot, DownTrack] = {}
        self._plan = plan
        first = plan.slots[0].kind.name.lower() if plan.slots else "application"
        self._bundle_tag = (first, "0")
        self._by_ssrc: dict[int, DownTrack] = {}
        self._paused: set[Kind] = set()
        super().__init__(events, identity=identity, monotonic=monotonic, rng=rng, tasks=tasks)

    @property
    def bundle_tag(self) -> tuple[str, str]:
        """Kind and mid of the media section that names the transport (RFC 9143, 7.2)."""
        return self._bundle_tag

    async def open(self, sockets: MediaSockets) -> str:
        """Bind the sockets and return the offer.

        Raises:
            OSError: no address could be bound.
        """
        ice = self._transport.ice
        await sockets.open(ice)
        return write_offer(
            self._plan,
            ufrag=ice.local.ufrag,
            password=ice.local.password,
            fingerprint=self._identity.fingerprint,
            candidates=ice.candidates,
            session_id=self._rng.getrandbits(62),
        )

    async def open_to_viewer(self, sockets: MediaSockets, plan: ViewerPlan) -> str:
        """Bind the sockets, take the client's offer and return the answer.

        Raises:
            OSError: no address could be bound.
        """
        ice = self._transport.ice
        await sockets.open(ice)
        self._bundle_tag = plan.answer.offer.bundle_tag
        self.accept(plan.accepted)
        return write_viewer_answer(
            plan,
            ufrag=ice.local.ufrag,
            password=ice.local.password,
            fingerprint=self._identity.fingerprint,
            candidates=ice.candidates,
            session_id=self._rng.getrandbits(62),
        )

    def accept(self, answer: SubscriberAnswer) -> None:
        """Take the client's answer; the connection comes about from now on."""
        for accepted in answer.slots:
            slot = accepted.slot
            sender = DownTrack(
                kind=slot.kind,
                codec=CODEC_NAMES[slot.format.codec],
                clock_rate=slot.format.clock_rate,
                ssrc=slot.ssrc,
                payload_type=accepted.payload_type,
                write=self._write,
                monotonic=self._monotonic,
                rng=self._rng,
                cname=self._plan.cname,
            )
            if slot.kind in self._paused:
                sender.pause()
            self.senders[slot] = sender
            self._by_ssrc[slot.ssrc] = sender
        self._transport.connect(answer.remote, answer.fingerprints, answer.dtls_role, answer.data)

    # media ------------------------------------------------------------------------------------------------------------

    def _use_keys(self, link: Link) -> None:
        self._protect = link.protect()

    def _write(self, packets: Sequence[bytes]) -> bool:
        """Seal and send packets: the hot path, once for each turn and subscriber."""
        ice = self._transport.ice
        if ice.unsent() > MAX_UNSENT:
            return False
        ice.send_all(self._protect(packets))
        return True

    def _receive_media(self, data: bytes) -> bool:
        """Take an SRTCP datagram and return whether it is authentic; a subscriber sends no media."""
        if len(data) < 8 or not 191 < data[1] < 224:
            return False
        compound = self._open_rtcp(data)
        if compound is None:
            return False
        for feedback in read_feedback(compound):
            match feedback:
                case Nack(media_ssrc, sequences):
                    if sender := self._by_ssrc.get(media_ssrc):
                        sender.nack(sequences)
                case KeyFrameRequest(media_ssrc):
                    if sender := self._by_ssrc.get(media_ssrc):
                        sender.pli()
                case ReportBlock():
                    if sender := self._by_ssrc.get(feedback.media_ssrc):
                        sender.reported(feedback)
                case _:
                    pass  # REMB: there is but one quality to choose from. BYE: DTLS closes, or the watchdog sees it
        return True

    def _send_feedback(self, now: float) -> None:
        for sender in self.senders.values():
            sender.tick()

    def _send_reports(self, now: float) -> None:
        for sender in self.senders.values():
            if report := sender.sender_report(now):
                self._transport.send_rtcp(report)

    def pause(self, kind: Kind, paused: bool) -> None:
        """Send nothing of a kind, or go on with it; may be called before the answer."""
        (self._paused.add if paused else self._paused.discard)(kind)
        for slot, sender in self.senders.items():
            if slot.kind is kind:
                (sender.pause if paused else sender.resume)()

    async def close(self) -> None:
        """Detach the slots, close DTLS and the sockets. Does not raise."""
        for sender in self.senders.values():
            sender.detach()
        await super().close()
