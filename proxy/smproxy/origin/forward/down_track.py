"""One slot of a subscriber."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Collection, Sequence

from smproxy.origin.forward.feedback import ReportBlock
from smproxy.origin.forward.nack_limiter import NackLimiter
from smproxy.origin.forward.report import write_cname, write_sender_report
from smproxy.origin.forward.track_forwarder import TrackForwarder
from smproxy.origin.rtp_packet import RtpPacket
from smproxy.signaling.node_channel import TrackStatistics
from smproxy.signaling.payloads import Kind

_HEADER = struct.Struct("!BBHII")

_NEVER = 1 << 62


class DownTrack:
    """Sends one track to one subscriber, with SSRC, numbers and timestamps of its own.

    What it shows may change: another track (the stream was published again), or none. ``write`` seals and sends packets, all
    or none, and returns False when the client does not keep up; it is then offered them again, or video goes on at a key frame.
    ``packets`` and ``bytes`` (headers included) count what was sent, ``dropped`` the frames (of audio: packets) that a slow
    client missed.
    """

    __slots__ = (
        "_base",
        "_begun",
        "_cname",
        "_left_at",
        "_left_timestamp",
        "_monotonic",
        "_nacks",
        "_next",
        "_rebase",
        "_sent",
        "_sent_timestamp",
        "_shift",
        "_timestamp_shift",
        "_write",
        "attached",
        "bytes",
        "clock_rate",
        "codec",
        "dropped",
        "fraction_lost",
        "frames",
        "key_frames",
        "kind",
        "lost",
        "packets",
        "paused",
        "payload_type",
        "resent",
        "ssrc",
    )

    def __init__(
        self,
        *,
        kind: Kind,
        codec: str,
        clock_rate: int,
        ssrc: int,
        payload_type: int,
        write: Callable[[Sequence[bytes]], bool],
        monotonic: Callable[[], float],
        rng: random.Random,
        cname: str = "",
    ) -> None:
        self.kind = kind
        self.codec = codec
        self.clock_rate = clock_rate
        self.ssrc = ssrc
        self.payload_type = payload_type
        self.attached: TrackForwarder | None = None
        self.paused = False
        self.packets = self.bytes = self.frames = self.key_frames = self.dropped = self.resent = 0
        #: What the client reported last.
        self.lost = 0
        self.fraction_lost = 0.0
        self._write = write
        self._monotonic = monotonic
        self._cname = write_cname(ssrc, cname) if cname else b""
        # Out of habit sequences start in the lower half: SRTP cannot tell a loss at the first wrap (RFC 3711, 3.3.1).
        self._next = rng.randrange(1 << 15)
        self._shift = 0
        self._timestamp_shift = rng.getrandbits(32)
        self._base = _NEVER
        self._sent = -1
        self._sent_timestamp = 0
        self._begun = self._rebase = False
        self._left_at = 0.0
        self._left_timestamp = 0
        self._nacks = NackLimiter()

    # what it shows ----------------------------------------------------------------------------------------------------

    def attach(self, forwarder: TrackForwarder) -> None:
        """Show this track from now on.

        Video begins with a key frame, at once when the forwarder has one.

        Raises:
            ValueError: the track's codec or clock is not what was negotiated with the client.
        """
        track = forwarder.track
        if (track.codec.lower(), forwarder.clock_rate) != (self.codec.lower(), self.clock_rate):
            raise ValueError(
                f"track {track.name} is {track.codec}/{forwarder.clock_rate}, the subscriber takes {self.codec}/"
                f"{self.clock_rate}: publish with {self.codec}"
            )
        self.detach()
        self.attached = forwarder
        self._rebase = True
        self._sent = -1  # which a detach in the middle of sending did not leave so
        forwarder.add(self, self._left)

    def detach(self) -> None:
        """Show nothing. Without a track nothing happens."""
        forwarder = self.attached
        if forwarder is not None:
            forwarder.remove(self)
            self._left()

    def _left(self) -> None:
        """Note where it stopped: the next track has other numbers and timestamps."""
        forwarder, self.attached = self.attached, None
        if forwarder is None or self._base == _NEVER:
            return
        age = _passed(self._sent_timestamp, forwarder.timeline.newest)
        self._left_at = forwarder.timeline.arrived - age / self.clock_rate
        self._left_timestamp = (self._sent_timestamp + self._timestamp_shift) & 0xFFFFFFFF
        self._next = (self._sent + 1 + self._shift) & 0xFFFF
        self._base, self._sent = _NEVER, -1
        self._nacks.clear()

    def pause(self) -> None:
        """Send nothing, for a client that has muted the track."""
        if not self.paused:
            self.paused = True
            if self.attached is not None:
                self.attached.hold(self)

    def resume(self) -> None:
        """Go on with what was missed, if its key frame is still there, else at the next one."""
        if self.paused:
            self.paused = False
            if self.attached is not None:
                self.attached.play(self)

    def tick(self) -> None:
        """Go on catching up when the publisher sends nothing; for a sweep."""
        if self.attached is not None:
            self.attached.advance(self)

    # what the forwarder calls ----------------------------------------------------------------------------------------------

    @property
    def resume_at(self) -> int:
        """Number of the packet after the last one that was sent; -1 before a track's first one."""
        return self._sent + 1 if self._sent >= 0 else -1

    def begin(self, base: int, timestamp: int) -> None:
        """Let the sequence go on with the track's packet ``base``.

        The next packet has this timestamp.
        """
        if self._sent >= 0:
            self._next = (self._sent + 1 + self._shift) & 0xFFFF
        self._shift = self._next - base
        self._base = base
        self._sent = base - 1
        self.key_frames += self.kind is Kind.VIDEO
        if self._rebase and self.attached is not None:
            self._rebase = False
            if self._begun:
                self._join_timestamps(self.attached, timestamp)
            self._begun = True
            self._sent_timestamp = timestamp

    def _join_timestamps(self, forwarder: TrackForwarder, timestamp: int) -> None:
        """Let the timestamps go on by the time that passed since the track before."""
        passed = int((forwarder.timeline.arrived - self._left_at) * self.clock_rate)
        passed -= _passed(timestamp, forwarder.timeline.newest)
        # What comes from the cache may be older than what was shown last; time must not go back.
        step = max(passed, self.clock_rate // 50)
        self._timestamp_shift = (self._left_timestamp + step - timestamp) & 0xFFFFFFFF

    def forward(self, packets: Sequence[RtpPacket]) -> bool:
        """Send the packets of a turn: the hot path, once for each turn and subscriber."""
        last = packets[-1]
        # Before it is written: no number is used twice, even if writing finds out that the client is gone.
        self._sent = last.number
        self._sent_timestamp = last.timestamp
        if not self._send(packets):
            if self.kind is Kind.VIDEO:
                self._sent = packets[0].number - 1
                return False
            self.dropped += len(packets)  # late audio is worth nothing: the client hears a loss
            return True
        for packet in packets:
            if packet.marker:
                self.frames += 1
        return True

    def _send(self, packets: Sequence[RtpPacket]) -> bool:
        """Write packets with the headers that they have for this subscriber."""
        shift, timestamp_shift, payload_type, ssrc = self._shift, self._timestamp_shift, self.payload_type, self.ssrc
        written: list[bytes] = []
        size = 0
        for packet in packets:
            header = _HEADER.pack(
                0x80,
                packet.marker | payload_type,
                (packet.number + shift) & 0xFFFF,
                (packet.timestamp + timestamp_shift) & 0xFFFFFFFF,
                ssrc,
            )
            data = header + packet.payload
            written.append(data)
            size += len(data)
        if not self._write(written):
            return False
        self.packets += len(written)
        self.bytes += size
        return True

    def late(self, packet: RtpPacket) -> None:
        """Send a packet that was overtaken, unless its number was given away already."""
        if packet.number >= self._base:
            self._send((packet,))

    # what the client says ---------------------------------------------------------------------------------------------

    def nack(self, sequences: Collection[int]) -> int:
        """Send again what is still there of these packets, named as they were sent; return how many."""
        forwarder = self.attached
        if forwarder is None or self.paused or self._base == _NEVER:
            return 0
        now = self._monotonic()
        if not self._nacks.accepts(len(sequences), now):
            return 0
        newest = self._sent + self._shift
        count = 0
        for sequence in sequences:
            number = self._sent - ((newest - sequence) & 0xFFFF)
            if number < self._base or not self._nacks.allows(number, now):
                continue
            packet = forwarder.recall(number)
            if packet is None:
                continue
            if not self._send((packet,)):
                break
            self._nacks.count(number, now)
            count += 1
        self.resent += count
        return count

    def pli(self) -> None:
        """Ask the publisher for a key frame, unless one is being sent from the cache."""
        if self.kind is Kind.VIDEO and self.attached is not None and not self.attached.catches_up(self):
            self.attached.track.want_key_frame()

    def reported(self, block: ReportBlock) -> None:
        """Take a receiver report on this slot."""
        self.lost = max(block.lost, 0)
        self.fraction_lost = block.fraction_lost

    # what the client is told ------------------------------------------------------------------------------------------

    def sender_report(self, now: float) -> bytes | None:
        """Write a sender report.

        ``None`` while there is nothing to say, which is until the publisher has sent its first.

        The relation of NTP time to timestamps is the publisher's, extrapolated to ``now``, so that audio and video of one
        publisher stay in step whatever either of them waited for.
        """
        if self.attached is None or self._base == _NEVER or not self.packets:
            return None
        known = self.attached.report()
        if known is None:
            return None
        report, came = known
        since = max(now - came, 0.0)
        return (
            write_sender_report(
                self.ssrc,
                report.ntp + int(since * 0x100000000),
                report.timestamp + self._timestamp_shift + int(since * self.clock_rate),
                self.packets,
                self.bytes - 12 * self.packets,
            )
            + self._cname
        )

    def statistics(self, attempt: str, track: str, rtt_ms: float | None = None) -> TrackStatistics:
        """Return what was sent so far; ``lost`` is what the client reported."""
        source = self.attached.track if self.attached is not None else None
        video = self.kind is Kind.VIDEO
        return TrackStatistics(
            attempt=attempt,
            track=track,
            codec=self.codec,
            packets=self.packets,
            bytes=self.bytes,
            lost=self.lost,
            frames=self.frames if video else 0,
            key_frames=self.key_frames,
            width=source.width if source is not None else 0,
            height=source.height if source is not None else 0,
            rtt_ms=rtt_ms,
        )


def _passed(earlier: int, later: int) -> int:
    """Return the ticks from one timestamp to another, 0 when it is the other way round."""
    ticks = (later - earlier) & 0xFFFFFFFF
    return ticks if ticks < 1 << 31 else 0
