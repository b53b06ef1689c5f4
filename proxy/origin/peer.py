"""One publisher's peer connection: the answer, the transport, its tracks and their feedback."""

from __future__ import annotations

import asyncio
import functools
import logging
import random
from collections.abc import Callable
from typing import Protocol

from aiortc import RTCDataChannel

from proxy.origin.adapter import MAX_CHANNEL_BUFFER, Identity, Link, NotAuthentic
from proxy.origin.answer import CODEC_NAMES, AcceptedTrack, Plan, write_answer
from proxy.origin.ice import Credentials, IceLite
from proxy.origin.reception import (
    read_sender_reports,
    write_nack,
    write_pli,
    write_receiver_report,
    write_remb,
)
from proxy.origin.tasks import Tasks
from proxy.origin.track import Track

_log = logging.getLogger(__name__)

#: The bitrate that REMB allows, bit/s: enough for 720p, and more where the client's ``b=AS`` asks for more. A local origin
#: has no reason to be narrow, and a browser climbs to it within seconds.
DEFAULT_BITRATE = 2_500_000
_MAX_BITRATE = 50_000_000
#: Seconds between two receiver reports.
FEEDBACK_INTERVAL = 1.0
#: Seconds after which the sockets that the client did not choose are closed.
_SETTLED = 5.0
#: RTP sources of one peer; libsrtp keeps a context for each.
MAX_SOURCES = 32


class PeerEvents(Protocol):
    """What a peer tells."""

    def transport_up(self) -> None:
        """ICE and DTLS are up."""

    def transport_failed(self) -> None:
        """The DTLS handshake failed."""

    def track_started(self, track: Track) -> None:
        """The first packet of a track came."""

    def channel_opened(self, label: str) -> None:
        """The data channel for signaling is open."""

    def channel_message(self, text: str | bytes) -> None:
        """A message came on it."""

    def peer_left(self) -> None:
        """The client closed its peer connection."""


class Peer:
    """A publisher's connection. Made, then ``open``; ended by ``close``."""

    def __init__(
        self,
        plan: Plan,
        events: PeerEvents,
        *,
        identity: Identity,
        passthrough: bool,
        monotonic: Callable[[], float],
        rng: random.Random,
        tasks: Tasks,
    ) -> None:
        self.key_frame_interval = 3.0
        self.tracks: list[Track] = []
        self._plan = plan
        self._events = events
        self._identity = identity
        self._passthrough = passthrough
        self._monotonic = monotonic
        self._rng = rng
        self._tasks = tasks
        self._ssrc = rng.getrandbits(32)
        self._ice = IceLite(Credentials(plan.offer.ufrag, plan.offer.password), rng)
        self._ice.on_nominated = self._nominated
        self._link = Link(self._ice, identity, plan.dtls_role, self._left)
        self._starting: asyncio.Task[None] | None = None
        self._channel: RTCDataChannel | None = None
        self._closed = self._connected = False
        self._up_at: float | None = None
        self._next_feedback = 0.0
        self._by_payload_type: dict[int, Track] = {}
        self._accepted: dict[str, AcceptedTrack] = {}
        self._sources: set[bytes] = set()
        for accepted in plan.tracks:
            self._add_track(accepted)
        self._remb = any(each.remb for each in plan.tracks)
        asked = sum(each.bandwidth for each in plan.tracks) * 1250
        self._bitrate = min(max(DEFAULT_BITRATE, asked), _MAX_BITRATE)

    def _add_track(self, accepted: AcceptedTrack) -> None:
        codec = CODEC_NAMES[accepted.format.codec]
        track = Track(accepted.name, accepted.kind, codec, accepted.format.clock_rate, self._monotonic)
        track.can_repair = accepted.nack
        track.on_gap = self._repair
        self.tracks.append(track)
        self._accepted[track.name] = accepted
        self._by_payload_type[accepted.format.payload_type] = track

    @property
    def datagrams(self) -> int:
        """How many datagrams the client sent, for the watchdog."""
        return self._ice.datagrams

    async def open(self, addresses: tuple[str, ...]) -> str:
        """Bind the sockets and return the answer.

        Raises:
            OSError: no address could be bound.
        """
        await self._ice.open(addresses)
        return write_answer(
            self._plan,
            ufrag=self._ice.local.ufrag,
            password=self._ice.local.password,
            fingerprint=self._identity.fingerprint,
            candidates=self._ice.candidates,
            session_id=self._rng.getrandbits(62),
        )

    # the transport ----------------------------------------------------------------------------------------------------

    def _nominated(self) -> None:
        self._starting = self._tasks.spawn(self._start())

    async def _start(self) -> None:
        if not await self._link.start(self._plan.offer.fingerprints):
            if not self._closed:
                self._events.transport_failed()
            return
        if self._closed:
            return
        self._connected = True
        self._up_at = self._monotonic()
        self._next_feedback = self._up_at + FEEDBACK_INTERVAL
        if self._passthrough:
            self._unprotect, self._unprotect_rtcp = self._link.unprotect()
        self._events.transport_up()
        if self._passthrough:
            self._ice.take_media(self._media)
        else:
            await self._decode()
        if self._plan.data is not None:
            await self._link.open_data(self._plan.data, self._channel_came)

    async def _decode(self) -> None:
        self._link.queue_media()
        for track in self.tracks:
            accepted = self._accepted[track.name]
            picked = accepted.format
            first = functools.partial(self._first, track)
            await self._link.decode(track, picked.payload_type, picked.fmtp, accepted.ssrcs, self._ssrc, first)

    def _left(self) -> None:
        if not self._closed and self._connected:
            self._events.peer_left()

    # media ------------------------------------------------------------------------------------------------------------

    def _media(self, data: bytes) -> None:
        """Take an SRTP or SRTCP datagram: the hot path, one call for each packet and no task."""
        if len(data) < 12:
            return
        second = data[1]
        if 191 < second < 224:
            self._rtcp(data)
            return
        track = self._by_payload_type.get(second & 0x7F)
        source = data[8:12]
        known = source in self._sources
        if track is None or not (known or len(self._sources) < MAX_SOURCES):
            return
        try:
            packet = self._unprotect(data)
        except NotAuthentic:
            return
        if not known:
            # Only now: a forged packet must not take a place.
            self._sources.add(source)
        track.packet(packet)
        if not track.started:
            self._first(track)

    def _first(self, track: Track) -> None:
        if not track.started and not self._closed:
            track.started = True
            self._events.track_started(track)

    def _rtcp(self, data: bytes) -> None:
        source = data[4:8]
        if source not in self._sources and len(self._sources) >= MAX_SOURCES:
            return
        try:
            compound = self._unprotect_rtcp(data)
        except NotAuthentic:
            return
        self._sources.add(source)
        for report in read_sender_reports(compound):
            for track in self.tracks:
                if track.reception.ssrc == report.ssrc:
                    track.sender_report(report)

    # feedback ---------------------------------------------------------------------------------------------------------

    def _repair(self, track: Track) -> None:
        if missing := track.nacks():
            self._link.send_rtcp(write_nack(self._ssrc, track.reception.ssrc, missing))

    def sweep(self, now: float) -> None:
        """Send the feedback that is due; called several times a second."""
        if not self._connected or self._closed:
            return
        if self._passthrough:
            for track in self.tracks:
                if track.started:
                    self._repair(track)
                    if track.needs_pli(now, self.key_frame_interval):
                        self._link.send_rtcp(write_pli(self._ssrc, track.reception.ssrc))
            if now >= self._next_feedback:
                self._next_feedback = max(self._next_feedback + FEEDBACK_INTERVAL, now)
                self._report(now)
        if self._up_at is not None and now - self._up_at > _SETTLED:
            self._up_at = None
            self._ice.close_unused()

    def _report(self, now: float) -> None:
        started = [track.reception for track in self.tracks if track.started]
        compound = write_receiver_report(self._ssrc, [each.report_block(now) for each in started])
        if self._remb and started:
            compound += write_remb(self._ssrc, self._bitrate, [each.ssrc for each in started])
        self._link.send_rtcp(compound)

    def probe(self) -> None:
        """Ask the silent client for a sign of life."""
        self._ice.probe()

    # the data channel -------------------------------------------------------------------------------------------------

    def _channel_came(self, channel: RTCDataChannel) -> None:
        if self._channel is None and not self._closed:
            # The SDK makes one channel; what else a page opens is not signaling.
            self._channel = channel
            channel.on("message", self._events.channel_message)
            self._events.channel_opened(channel.label)

    def send(self, text: str) -> bool:
        """Say something on the data channel; False when there is none, or its client does not read."""
        channel = self._channel
        if channel is None or channel.readyState != "open" or channel.bufferedAmount > MAX_CHANNEL_BUFFER:
            return False
        try:
            channel.send(text)
        except ValueError:
            return False
        return True

    async def close(self) -> None:
        """Say goodbye on DTLS and close the sockets. Does not raise."""
        if self._closed:
            return
        self._closed = True
        if self._starting is not None and not self._starting.done() and self._starting is not asyncio.current_task():
            self._starting.cancel()
        try:
            await self._link.stop()
        except Exception:
            _log.exception("closing a peer failed")
        finally:
            self._ice.close()
