"""One media track of a publisher, fed with decrypted RTP packets.

Sans-I/O, and the hot path of the origin.

Nothing is decoded: a packet costs a header read and a few additions, and only the packets that start a frame are looked into.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from smproxy.log_fields import About
from smproxy.origin.codecs import FRAME_START
from smproxy.origin.key_frame_requests import KeyFrameRequests
from smproxy.origin.rtcp_receiver import Reception, SenderReport
from smproxy.origin.rtp_packet import HEADER, MARKER, FrameStart, RtpPacket, payload_of
from smproxy.origin.ssrc_selection import SILENT, SourceSelection
from smproxy.signaling.node_channel import TrackStatistics
from smproxy.signaling.payloads import Kind

_log = logging.getLogger(__name__)

#: Seconds between two requests for a key frame.
PLI_SPACING = 0.5
#: How often one packet is asked for, at the gap and then once a sweep, before a key frame is asked for instead.
MAX_NACKS = 2


class PacketSink(Protocol):
    """Takes the packets of a track, in the order of arrival. Must not block nor raise."""

    def __call__(self, packet: RtpPacket, /) -> None: ...


class Track:
    """Counters, loss and key frame state of a track. ``bytes`` counts whole RTP packets."""

    __slots__ = (
        "__weakref__",
        "_floor",
        "_frame_start",
        "_ignores",
        "_key_frame_sinks",
        "_key_timestamp",
        "_last_key_frame",
        "_last_pli",
        "_monotonic",
        "_requests",
        "_sinks",
        "_undecided",
        "_unmuted",
        "_withheld",
        "bytes",
        "can_repair",
        "codec",
        "ended",
        "frames",
        "height",
        "key_frames",
        "kind",
        "last_report",
        "last_report_at",
        "log_extra",
        "muted",
        "name",
        "on_answer",
        "on_gap",
        "on_key_frame_of",
        "on_wanted",
        "reception",
        "selection",
        "started",
        "unwrapper",
        "wants_key_frame",
        "width",
    )

    def __init__(self, name: str, kind: Kind, codec: str, clock_rate: int, monotonic: Callable[[], float]) -> None:
        self.name = name
        self.kind = kind
        self.codec = codec
        self.reception = Reception(clock_rate)
        self.unwrapper = self.reception.unwrapper
        #: The publisher's session, for the log.
        self.log_extra: About | None = None
        self.started = False
        self.ended = False
        self.bytes = self.frames = self.key_frames = self.width = self.height = 0
        #: Asked for by a sink, or lost beyond repair: the next sweep sends a PLI.
        self.wants_key_frame = False
        #: Whether the client retransmits what a NACK names; ``on_gap`` is then called at each new gap.
        self.can_repair = False
        self.on_gap: Callable[[Track], None] = _ignore
        #: Called when a key frame is wanted, so that a PLI need not wait for the sweep; see :meth:`needs_pli`.
        self.on_wanted: Callable[[Track], None] = _ignore
        #: Called when a key frame of another source than the one that is followed is wanted.
        self.on_key_frame_of: Callable[[int], None] = _ignore
        #: Called when a key frame shows that the publisher answers requests for one, and did not before.
        self.on_answer: Callable[[Track], None] = _ignore
        self._requests = KeyFrameRequests()
        #: Which source is followed, when there are several.
        self.selection = SourceSelection()
        self._ignores = False
        #: The publisher said that it is muted: sinks get nothing, whatever it sends.
        self.muted = False
        #: The last sender report of the source, in the track's timestamps, for those who must keep audio and video in step.
        self.last_report: SenderReport | None = None
        #: When it came, seconds.
        self.last_report_at = 0.0
        self._monotonic = monotonic
        self._frame_start = FRAME_START.get(codec)
        #: Whether it is not known yet if the newest frame is a key frame; and the timestamp of the last that was one.
        self._undecided = False
        self._key_timestamp = -1
        self._last_key_frame = self._last_pli = float("-inf")
        self._sinks: tuple[PacketSink, ...] = ()
        self._key_frame_sinks: tuple[PacketSink, ...] = ()
        #: What sinks know nothing of because it was muted: how many numbers, and which was the last.
        self._withheld = self._floor = 0
        self._unmuted = False

    def attach(self, sink: PacketSink) -> Callable[[], None]:
        """Let a sink have the packets from now on, beginning with a request for a key frame.

        Return what detaches it.
        """
        self._sinks = (*self._sinks, sink)
        self.want_key_frame()

        def detach() -> None:
            self._sinks = tuple(other for other in self._sinks if other is not sink)

        return detach

    def attach_key_frames(self, sink: PacketSink) -> Callable[[], None]:
        """Let a sink have the packets of key frames only, as far as they are known to be such.

        Return what detaches it.
        """
        self._key_frame_sinks = (*self._key_frame_sinks, sink)

        def detach() -> None:
            self._key_frame_sinks = tuple(other for other in self._key_frame_sinks if other is not sink)

        return detach

    @property
    def packets(self) -> int:
        """Packets so far."""
        return self.reception.packets

    @property
    def answers_requests(self) -> bool:
        """Whether the last request for a key frame was answered, as far as is known."""
        return self._requests.answered

    def want_key_frame(self) -> None:
        """Ask the publisher for a key frame, at once if the last request is long enough ago.

        Audio has none.
        """
        if self._frame_start is not None and not self.muted:
            self.wants_key_frame = True
            self.on_wanted(self)

    def packet(self, data: bytes) -> None:
        """Take one RTP packet of at least 12 bytes."""
        self.take(data, *HEADER.unpack_from(data))

    def take(self, data: bytes, first: int, second: int, sequence: int, timestamp: int, ssrc: int) -> None:
        """Take an RTP packet whose fixed header is read already."""
        line = self.unwrapper
        if sequence == line.expected and ssrc == line.ssrc:
            line.highest = number = line.highest + 1
            line.expected = (sequence + 1) & 0xFFFF
            self.bytes += len(data)
            if timestamp != line.timestamp:
                self._new_frame(timestamp)
            elif not (self._sinks or self._undecided or timestamp == self._key_timestamp):
                return  # nobody wants to know more
            late = restart = False
        elif ssrc != line.ssrc and line.ssrc >= 0 and not self._takes(data, ssrc):
            return
        else:
            self.bytes += len(data)
            number, late, restart = self._unexpected(ssrc, sequence, timestamp)
            if number < 0:
                return
        if not (self._sinks or self._undecided or late or timestamp == self._key_timestamp):
            return
        # Without extensions, sources and padding the payload begins after 12 bytes.
        payload = data[12:] if first == 0x80 else payload_of(data)
        start = self._look(payload, timestamp) if self._undecided or late else None
        if self.muted or number < self._floor:
            return
        if self._sinks or (timestamp == self._key_timestamp and self._key_frame_sinks):
            packet = RtpPacket(
                number - self._withheld,
                (timestamp + line.shift) & 0xFFFFFFFF,
                second & MARKER,
                payload,
                self._monotonic(),
                start,
                restart or self._unmuted,
            )
            self._unmuted = False
            for sink in self._sinks:
                sink(packet)
            if timestamp == self._key_timestamp:
                for sink in self._key_frame_sinks:
                    sink(packet)

    def _new_frame(self, timestamp: int) -> None:
        self.unwrapper.new_frame(timestamp, self._monotonic())
        if self._frame_start is not None:
            self.frames += 1
            self._undecided = True

    def _look(self, payload: bytes, timestamp: int) -> FrameStart | None:
        """See whether a frame begins in this packet.

        The first one that shows it decides what the newest frame is.
        """
        if self._frame_start is None:
            return None
        start = self._frame_start(payload)
        if start is None or not self._undecided or timestamp != self.unwrapper.timestamp:
            return start
        self._undecided = False
        if start.key:
            self.key_frames += 1
            self._last_key_frame = now = self._monotonic()
            self._key_timestamp = timestamp
            self.wants_key_frame = False
            if start.width:
                self.width, self.height = start.width, start.height
            before = self.answers_requests
            self._requests.key_frame(now, self.frames)
            if self.answers_requests and not before:
                self.on_answer(self)
        return start

    def _unexpected(self, ssrc: int, sequence: int, timestamp: int) -> tuple[int, bool, bool]:
        """Count a packet after a gap, a late packet, or the first one of a source.

        Return its number, whether it is late, and whether it is the first one of a source.
        """
        line = self.unwrapper
        before = line.highest
        number = self.reception.unexpected(ssrc, sequence, timestamp, self._monotonic())
        if number <= before:
            return number, True, False
        restart = number == line.first
        if restart:
            self.last_report = None
        if restart or timestamp != line.timestamp:
            self._new_frame(timestamp)
        if not restart and self._frame_start is not None:
            if self.can_repair:
                self.on_gap(self)
            else:
                self.want_key_frame()
        return number, False, restart

    def _takes(self, data: bytes, ssrc: int) -> bool:
        """Return whether to follow another source from this packet on."""
        line, now = self.unwrapper, self._monotonic()
        start = None if self._frame_start is None else self._frame_start(payload_of(data))
        silent = now - line.arrived > SILENT
        begins = self._frame_start is None or (start is not None and start.key)
        if self.selection.takes(ssrc, line.ssrc, silent=silent, begins=begins, now=now):
            return True
        if self.selection.asks(ssrc, line.ssrc, silent=silent, now=now):
            self.on_key_frame_of(ssrc)
        if not self._ignores:
            self._ignores = True
            _log.info(
                "track %s: the client sends several sources of it (simulcast): the best one is taken",
                self.name,
                extra=self.log_extra,
            )
        return False

    def mute(self, muted: bool) -> None:
        """Withhold the packets from the sinks, or go on with them.

        With another number, and video at a key frame.
        """
        if muted == self.muted:
            return
        self.muted = muted
        highest = self.unwrapper.highest
        if muted:
            self._withheld -= highest
        else:
            self._withheld += highest
            self._floor = highest + 1
            self._unmuted = True
            self.want_key_frame()

    def sender_report(self, report: SenderReport) -> None:
        """Take a sender report of the track's source."""
        timestamp = (report.timestamp + self.unwrapper.shift) & 0xFFFFFFFF
        self.last_report = report._replace(timestamp=timestamp)
        self.last_report_at = self._monotonic()
        self.reception.sender_report(report.ntp >> 16 & 0xFFFFFFFF, self.last_report_at)

    # feedback ---------------------------------------------------------------------------------------------------------

    def nacks(self) -> list[int]:
        """Return the sequence numbers of the packets to ask for now.

        Each is asked for a few times and then given up.
        """
        if self._frame_start is None or not self.reception.missing:
            return []
        if self.muted:
            self.reception.missing.clear()
            return []
        wanted: list[int] = []
        for number, times in list(self.reception.missing.items()):
            if times >= MAX_NACKS:
                del self.reception.missing[number]
                self.wants_key_frame = True
            else:
                self.reception.missing[number] = times + 1
                wanted.append(number - self.unwrapper.offset)
        return wanted

    def needs_pli(self, now: float, key_frame_interval: float) -> bool:
        """Return whether to ask for a key frame now.

        None came yet, one is due, or a gap could not be repaired. Seconds.
        """
        if self._frame_start is None or self.muted or not self.started or now - self._last_pli < PLI_SPACING:
            return False
        due = now - max(self._last_key_frame, self._last_pli) >= key_frame_interval
        if self.wants_key_frame or due or not self.key_frames:
            self._last_pli = now
            self._requests.sent(now, self.frames)
            return True
        return False

    def statistics(self, attempt: str, rtt_ms: float | None = None) -> TrackStatistics:
        """Return what came so far."""
        return TrackStatistics(
            attempt=attempt,
            track=self.name,
            codec=self.codec,
            packets=self.packets,
            bytes=self.bytes,
            lost=self.reception.lost,
            frames=self.frames,
            key_frames=self.key_frames,
            width=self.width,
            height=self.height,
            rtt_ms=rtt_ms,
        )


def _ignore(_: object) -> None:
    pass
