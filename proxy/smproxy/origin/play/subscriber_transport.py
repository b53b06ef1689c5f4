"""One subscriber's peer connection: the offer, the transport, its slots, and what the client says of them."""

from __future__ import annotations

import random
from collections.abc import Callable

from smproxy.origin.aiortc_adapter import Identity, Link, NotAuthentic
from smproxy.origin.answer import CODEC_NAMES
from smproxy.origin.forward import Sender
from smproxy.origin.forward.feedback import KeyFrameRequest, Nack, ReportBlock, read_feedback
from smproxy.origin.ice import IceLite
from smproxy.origin.play.answer import Answer
from smproxy.origin.play.offer import OfferPlan, Slot, write_offer
from smproxy.origin.tasks import Tasks
from smproxy.origin.transport import Transport, TransportEvents
from smproxy.signaling.payloads import Kind

#: Seconds between two sender reports.
REPORT_INTERVAL = 1.0
#: Sources of RTCP that one client may have; libsrtp keeps a context for each.
MAX_SOURCES = 16
#: Bytes that may wait in the socket of a client whose network does not take them; then media waits, too.
MAX_UNSENT = 256 << 10


class SendingPeer:
    """A subscriber's connection. Made, then ``open``, then ``accept``; ended by ``close``."""

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
        self.senders: dict[Slot, Sender] = {}
        self._plan = plan
        self._events = events
        self._identity = identity
        self._monotonic = monotonic
        self._rng = rng
        self._by_ssrc: dict[int, Sender] = {}
        self._paused: set[Kind] = set()
        self._sources: set[bytes] = set()
        self._next_report = 0.0
        self._transport = Transport(events, self._ready, identity=identity, monotonic=monotonic, rng=rng, tasks=tasks)

    @property
    def ice(self) -> IceLite:
        """Its way through the network."""
        return self._transport.ice

    @property
    def datagrams(self) -> int:
        """How many datagrams the client sent, for the watchdog."""
        return self._transport.ice.datagrams

    async def open(self, addresses: tuple[str, ...]) -> str:
        """Bind the sockets and return the offer.

        Raises:
            OSError: no address could be bound.
        """
        ice = self._transport.ice
        await ice.open(addresses)
        return write_offer(
            self._plan,
            ufrag=ice.local.ufrag,
            password=ice.local.password,
            fingerprint=self._identity.fingerprint,
            candidates=ice.candidates,
            session_id=self._rng.getrandbits(62),
        )

    def accept(self, answer: Answer) -> None:
        """Take the client's answer; the connection comes about from now on."""
        for accepted in answer.slots:
            slot = accepted.slot
            sender = Sender(
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

    async def _ready(self, link: Link) -> None:
        self._protect = link.protect()
        _, self._unprotect_rtcp = link.unprotect()
        self._next_report = self._monotonic() + REPORT_INTERVAL
        self._transport.ice.take_media(self._incoming)
        self._events.transport_up()

    def _write(self, packet: bytes) -> bool:
        """Seal and send a packet: the hot path, once for each packet and subscriber."""
        ice = self._transport.ice
        if ice.unsent > MAX_UNSENT:
            return False
        ice.send(self._protect(packet))
        return True

    def _incoming(self, data: bytes) -> None:
        """Take an SRTCP datagram; a subscriber sends no media."""
        if len(data) < 8 or not 191 < data[1] < 224:
            return
        source = data[4:8]
        if source not in self._sources and len(self._sources) >= MAX_SOURCES:
            return
        try:
            compound = self._unprotect_rtcp(data)
        except NotAuthentic:
            return
        self._sources.add(source)
        for said in read_feedback(compound):
            match said:
                case Nack(media_ssrc, sequences):
                    if sender := self._by_ssrc.get(media_ssrc):
                        sender.nack(sequences)
                case KeyFrameRequest(media_ssrc):
                    if sender := self._by_ssrc.get(media_ssrc):
                        sender.pli()
                case ReportBlock():
                    if sender := self._by_ssrc.get(said.media_ssrc):
                        sender.reported(said)
                case _:
                    pass  # REMB: there is but one quality to choose from. BYE: DTLS says goodbye, or the watchdog

    def sweep(self, now: float) -> None:
        """Send what is due; called several times a second."""
        if not self._transport.connected or self._transport.closed:
            return
        for sender in self.senders.values():
            sender.tick()
        if now >= self._next_report:
            self._next_report = max(self._next_report + REPORT_INTERVAL, now)
            for sender in self.senders.values():
                if report := sender.sender_report(now):
                    self._transport.send_rtcp(report)
        self._transport.settle(now)

    def pause(self, kind: Kind, paused: bool) -> None:
        """Send nothing of a kind, or go on with it; may be said before the answer."""
        (self._paused.add if paused else self._paused.discard)(kind)
        for slot, sender in self.senders.items():
            if slot.kind is kind:
                (sender.pause if paused else sender.resume)()

    def probe(self) -> None:
        """Ask the silent client for a sign of life."""
        self._transport.ice.probe()

    def send(self, text: str) -> bool:
        """Say something on the data channel; False when there is none, or its client does not read."""
        return self._transport.send(text)

    async def flush(self, seconds: float) -> None:
        """Wait until what was said on the data channel has arrived, at most so long."""
        await self._transport.flush(seconds)

    async def close(self) -> None:
        """Say goodbye on DTLS and close the sockets. Does not raise."""
        for sender in self.senders.values():
            sender.detach()
        await self._transport.close()
