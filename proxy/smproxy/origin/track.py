"""One media track of a publisher, fed with decrypted RTP packets. Sans-I/O, and the hot path of the origin.

Nothing is decoded: a packet costs a header read and a few additions, and only the packets that start a frame are looked into.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Protocol

from smproxy.origin import h264, vp8
from smproxy.origin.frame import FrameStart
from smproxy.origin.rtcp_receiver import Reception, SenderReport
from smproxy.signaling.node import TrackStatistics
from smproxy.signaling.payloads import Kind

_HEADER = struct.Struct("!HII")

#: Seconds between two requests for a key frame.
PLI_SPACING = 0.5
#: How often one packet is asked for, at the gap and then once a sweep, before a key frame is asked for instead.
MAX_NACKS = 2

#: What finds the first packet of a frame, by codec; only video has it.
FRAME_START: dict[str, Callable[[bytes], FrameStart | None]] = {"VP8": vp8.frame_start, "H264": h264.frame_start}


class PacketSink(Protocol):
    """Takes every decrypted RTP packet of a track, in the order of arrival. Must not block nor raise."""

    def __call__(self, packet: bytes, /) -> None: ...


class Track:
    """Counters, loss and key frame state of a track. ``bytes`` counts whole RTP packets."""

    def __init__(self, name: str, kind: Kind, codec: str, clock_rate: int, monotonic: Callable[[], float]) -> None:
        self.name = name
        self.kind = kind
        self.codec = codec
        self.reception = Reception(clock_rate)
        self.started = False
        self.ended = False
        self.packets = self.bytes = self.frames = self.key_frames = self.width = self.height = 0
        #: Asked for by a sink, or lost beyond repair: the next sweep sends a PLI.
        self.wants_key_frame = False
        #: Whether the client retransmits what a NACK names; ``on_gap`` is then called at each new gap.
        self.can_repair = False
        self.on_gap: Callable[[Track], None] = _ignore
        #: Called when a key frame is wanted, so that a PLI need not wait for the sweep; see :meth:`needs_pli`.
        self.on_wanted: Callable[[Track], None] = _ignore
        #: The last sender report, for those who must keep audio and video in step.
        self.last_report: SenderReport | None = None
        #: When it came, seconds.
        self.last_report_at = 0.0
        self._monotonic = monotonic
        self._frame_start = FRAME_START.get(codec)
        self._timestamp = -1
        self._undecided = False
        self._last_key_frame = self._last_pli = float("-inf")
        self._sinks: tuple[PacketSink, ...] = ()

    def attach(self, sink: PacketSink) -> Callable[[], None]:
        """Let a sink have the packets from now on, beginning with a request for a key frame; return what detaches it."""
        self._sinks = (*self._sinks, sink)
        self.want_key_frame()

        def detach() -> None:
            self._sinks = tuple(other for other in self._sinks if other is not sink)

        return detach

    def want_key_frame(self) -> None:
        """Ask the publisher for a key frame, at once if the last request is long enough ago. Audio has none."""
        if self._frame_start is not None:
            self.wants_key_frame = True
            self.on_wanted(self)

    def packet(self, data: bytes) -> None:
        """Take one RTP packet of at least 12 bytes."""
        sequence, timestamp, ssrc = _HEADER.unpack_from(data, 2)
        self.packets += 1
        self.bytes += len(data)
        reception = self.reception
        if sequence == (reception.highest + 1) & 0xFFFF and ssrc == reception.ssrc and reception.highest >= 0:
            reception.in_order()
            if timestamp != self._timestamp:
                self._new_frame(data, timestamp)
            elif self._undecided:
                self._look(data)
        else:
            self._unexpected(data, ssrc, sequence, timestamp)
        for sink in self._sinks:
            sink(data)

    def _new_frame(self, data: bytes, timestamp: int) -> None:
        self._timestamp = timestamp
        self.reception.new_timestamp(timestamp, self._monotonic())
        if self._frame_start is not None:
            self.frames += 1
            self._undecided = True
            self._look(data)

    def _look(self, data: bytes) -> None:
        assert self._frame_start is not None
        start = self._frame_start(payload_of(data))
        if start is None:
            return
        self._undecided = False
        if start.key:
            self.key_frames += 1
            self._last_key_frame = self._monotonic()
            self.wants_key_frame = False
            if start.width:
                self.width, self.height = start.width, start.height

    def _unexpected(self, data: bytes, ssrc: int, sequence: int, timestamp: int) -> None:
        """Count a packet after a gap, a late packet, or the first one of a source."""
        missing = self.reception.out_of_order(ssrc, sequence, timestamp, self._monotonic())
        if missing >= 0 and timestamp != self._timestamp:
            self._new_frame(data, timestamp)
        elif self._undecided and timestamp == self._timestamp:
            self._look(data)
        if missing > 0 and self._frame_start is not None:
            if self.can_repair:
                self.on_gap(self)
            else:
                self.want_key_frame()

    def sender_report(self, report: SenderReport) -> None:
        """Take a sender report of the track's source."""
        self.last_report = report
        self.last_report_at = self._monotonic()
        self.reception.sender_report(report.ntp >> 16 & 0xFFFFFFFF, self.last_report_at)

    # feedback ---------------------------------------------------------------------------------------------------------

    def nacks(self) -> list[int]:
        """Return the missing packets to ask for now; each is asked for a few times and then given up."""
        if self._frame_start is None or not self.reception.missing:
            return []
        wanted: list[int] = []
        for sequence, times in list(self.reception.missing.items()):
            if times >= MAX_NACKS:
                del self.reception.missing[sequence]
                self.wants_key_frame = True
            else:
                self.reception.missing[sequence] = times + 1
                wanted.append(sequence)
        return wanted

    def needs_pli(self, now: float, key_frame_interval: float) -> bool:
        """Say whether to ask for a key frame now: none came yet, one is due, or a gap could not be repaired. Seconds."""
        if self._frame_start is None or not self.started or now - self._last_pli < PLI_SPACING:
            return False
        due = now - max(self._last_key_frame, self._last_pli) >= key_frame_interval
        if self.wants_key_frame or due or not self.key_frames:
            self._last_pli = now
            return True
        return False

    def statistics(self, attempt: str) -> TrackStatistics:
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
        )


def _ignore(_track: Track) -> None:
    pass


def payload_of(packet: bytes) -> bytes:
    """Return the payload of an RTP packet, empty when its header claims more than there is (RFC 3550, 5.1)."""
    if len(packet) < 12:
        return b""
    first = packet[0]
    offset = 12 + 4 * (first & 0x0F)
    if first & 0x10:
        if len(packet) < offset + 4:
            return b""
        offset += 4 + 4 * int.from_bytes(packet[offset + 2 : offset + 4], "big")
    end = len(packet)
    if first & 0x20:
        end -= packet[-1]
    return packet[offset:end] if offset < end else b""
