"""One publisher's peer connection: the answer, the transport, its tracks and their feedback."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from smproxy.log_fields import About
from smproxy.origin.aiortc_adapter import Link, NotAuthentic
from smproxy.origin.aiortc_dtls import Identity
from smproxy.origin.answer import CODEC_NAMES, AcceptedTrack, Plan, write_answer
from smproxy.origin.client_transport import ClientTransport
from smproxy.origin.ice import Credentials
from smproxy.origin.media_sockets import MediaSockets
from smproxy.origin.rtcp_receiver import (
    read_sender_reports,
    write_nack,
    write_pli,
    write_receiver_report,
    write_remb,
)
from smproxy.origin.rtp_packet import HEADER, MARKER
from smproxy.origin.ssrc_selection import SourceSelection
from smproxy.origin.track import Track
from smproxy.origin.transport import TransportEvents
from smproxy.tasks import Tasks

#: The bitrate that REMB allows, bit/s: enough for 720p, and more where the client's ``b=AS`` asks for more. A local origin
#: has no reason to be narrow, and a browser climbs to it within seconds.
DEFAULT_BITRATE = 2_500_000
_MAX_BITRATE = 50_000_000
#: The second octet of RTCP packets (RFC 5761, 4).
_RTCP = range(192, 224)


class PublisherTransport(ClientTransport):
    """A publisher's connection. Made, then ``open``; ended by ``close``.

    ``track_started`` is called at the first packet of a track.
    """

    MAX_SOURCES = 32

    def __init__(
        self,
        plan: Plan,
        events: TransportEvents,
        track_started: Callable[[Track], None],
        *,
        identity: Identity,
        monotonic: Callable[[], float],
        rng: random.Random,
        tasks: Tasks,
    ) -> None:
        self.key_frame_interval = 3.0
        self.tracks: list[Track] = []
        self._plan = plan
        self._track_started = track_started
        self._ssrc = rng.getrandbits(32)
        super().__init__(events, identity=identity, monotonic=monotonic, rng=rng, tasks=tasks)
        #: By the second octet of the packets, which is the payload type with the marker bit or without it.
        self._by_octet: dict[int, Track] = {}
        for accepted in plan.tracks:
            self._add_track(accepted, events.about)
        self._remb = any(each.remb for each in plan.tracks)
        asked = sum(each.bandwidth for each in plan.tracks) * 1250
        self._bitrate = min(max(DEFAULT_BITRATE, asked), _MAX_BITRATE)

    def _add_track(self, accepted: AcceptedTrack, about: About) -> None:
        codec = CODEC_NAMES[accepted.format.codec]
        track = Track(accepted.name, accepted.kind, codec, accepted.format.clock_rate, self._monotonic)
        track.log_extra = about
        track.can_repair = accepted.nack
        track.on_gap = self._repair
        track.on_wanted = self._refresh
        track.on_key_frame_of = self._ask_source
        track.selection = SourceSelection(accepted.simulcast)
        self.tracks.append(track)
        for octet in (accepted.format.payload_type, accepted.format.payload_type | MARKER):
            if octet not in _RTCP:
                self._by_octet[octet] = track

    @property
    def bundle_tag(self) -> tuple[str, str]:
        """Kind and mid of the media section that names the transport (RFC 9143, 7.2)."""
        return self._plan.offer.bundle_tag

    async def open(self, sockets: MediaSockets) -> str:
        """Bind the sockets and return the answer.

        Raises:
            OSError: no address could be bound.
        """
        ice, offer = self._transport.ice, self._plan.offer
        await sockets.open(ice)
        self._transport.connect(
            Credentials(offer.ufrag, offer.password), offer.fingerprints, self._plan.dtls_role, self._plan.data
        )
        return write_answer(
            self._plan,
            ufrag=ice.local.ufrag,
            password=ice.local.password,
            fingerprint=self._identity.fingerprint,
            candidates=ice.candidates,
            session_id=self._rng.getrandbits(62),
        )

    def _use_keys(self, link: Link) -> None:
        self._unprotect, _ = link.unprotect()

    def _let_go(self) -> None:
        super()._let_go()
        self._track_started = _ignore
        for track in self.tracks:
            track.on_gap = track.on_wanted = track.on_key_frame_of = _ignore

    # media ------------------------------------------------------------------------------------------------------------

    def _receive_media(self, data: bytes) -> bool:
        """Take an SRTP or SRTCP datagram; return whether it is authentic.

        The hot path: one call for each packet, no task.
        """
        try:
            first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
        except struct.error:  # it is shorter
            return False
        track = self._by_octet.get(second)
        if track is None:
            return second in _RTCP and self._rtcp(data)
        followed = ssrc == track.unwrapper.ssrc
        if not (followed or ssrc in self._sources or len(self._sources) < self.MAX_SOURCES):
            return False
        try:
            packet = self._unprotect(data)
        except NotAuthentic:
            return False
        track.take(packet, first, second, sequence, timestamp, ssrc)
        if not followed:
            # Only now: a forged packet must not take a place.
            self._sources.add(ssrc)
            self._first(track)
        return True

    def _first(self, track: Track) -> None:
        if not track.started and not self._transport.closed:
            track.started = True
            self._track_started(track)

    def _rtcp(self, data: bytes) -> bool:
        compound = self._open_rtcp(data)
        if compound is None:
            return False
        for report in read_sender_reports(compound):
            for track in self.tracks:
                if track.reception.ssrc == report.ssrc:
                    track.sender_report(report)
        return True

    # feedback ---------------------------------------------------------------------------------------------------------

    def _repair(self, track: Track) -> None:
        if missing := track.nacks():
            self._transport.send_rtcp(write_nack(self._ssrc, track.reception.ssrc, missing))

    def _refresh(self, track: Track) -> None:
        """Ask for a key frame, if the last request is long enough ago; else the sweep does it."""
        if track.needs_pli(self._monotonic(), self.key_frame_interval):
            self._transport.send_rtcp(write_pli(self._ssrc, track.reception.ssrc))

    def _ask_source(self, ssrc: int) -> None:
        """Ask a source that is not followed yet for a key frame."""
        self._transport.send_rtcp(write_pli(self._ssrc, ssrc))

    def _send_feedback(self, now: float) -> None:
        for track in self.tracks:
            if track.started:
                self._repair(track)
                if track.needs_pli(now, self.key_frame_interval):
                    self._transport.send_rtcp(write_pli(self._ssrc, track.reception.ssrc))

    def _send_reports(self, now: float) -> None:
        started = [track.reception for track in self.tracks if track.started]
        compound = write_receiver_report(self._ssrc, [each.report_block(now) for each in started])
        if self._remb and started:
            compound += write_remb(self._ssrc, self._bitrate, [each.ssrc for each in started])
        self._transport.send_rtcp(compound)


def _ignore(_: object) -> None:
    pass
