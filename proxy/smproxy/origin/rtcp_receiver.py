"""Receiver statistics of one RTP source and the RTCP that reports them (RFC 3550, RFC 4585, REMB draft). Sans-I/O."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

_SR, _RR, _RTPFB, _PSFB = 200, 201, 205, 206

#: A jump of more than this many packets is a restarted sender, not loss (RFC 3550, A.1).
MAX_DROPOUT = 3000
#: A packet that is later than this is a restarted sender, not a reordered packet.
MAX_LATE = 1000
#: Missing packets that are asked for again; older ones are given up.
MAX_MISSING = 128

_REPORT_BLOCK = struct.Struct("!IB3sIIII")


class Reception:
    """Loss, jitter and missing packets of one source. ``clock_rate`` in Hz. All packet fields are as in the RTP header."""

    __slots__ = (
        "_base",
        "_last_arrival",
        "_last_sr",
        "_last_sr_at",
        "_last_timestamp",
        "_lost_before",
        "_prior_expected",
        "_prior_received",
        "_received",
        "clock_rate",
        "highest",
        "jitter",
        "missing",
        "ssrc",
    )

    def __init__(self, clock_rate: int) -> None:
        self.clock_rate = clock_rate
        self.ssrc = 0
        #: Highest sequence number, extended by the count of its wraps.
        self.highest = -1
        #: Interarrival jitter in timestamp units (RFC 3550, A.8), sampled once a frame.
        self.jitter = 0.0
        #: Sequence numbers not received yet, oldest first, with how often they were asked for.
        self.missing: dict[int, int] = {}
        self._lost_before = 0
        self._start(0, 0, 0.0)
        self.highest = -1

    def _start(self, sequence: int, timestamp: int, now: float) -> None:
        self._base = self.highest = sequence
        self._received = 0
        self._prior_expected = self._prior_received = 0
        self._last_timestamp = timestamp
        self._last_arrival = now
        self._last_sr = 0
        self._last_sr_at = 0.0
        self.missing.clear()

    def restart(self, ssrc: int, sequence: int, timestamp: int, now: float) -> None:
        """Follow a new source, or the same one after a jump. What was lost so far stays counted."""
        self._lost_before += self._lost_since_start()
        self.ssrc = ssrc
        self._start(sequence, timestamp, now)
        self._received = 1

    def in_order(self) -> None:
        """Count the packet that follows the highest one; the caller has compared the numbers already."""
        self.highest += 1
        self._received += 1

    def out_of_order(self, ssrc: int, sequence: int, timestamp: int, now: float) -> int:
        """Count any other packet and return how many packets before it are newly missing, -1 when it is a late one."""
        ahead = (sequence - self.highest) & 0xFFFF
        if self.highest < 0 or ssrc != self.ssrc:
            self.restart(ssrc, sequence, timestamp, now)
            return 0
        if ahead < 0x8000:
            if ahead > MAX_DROPOUT:
                self.restart(ssrc, sequence, timestamp, now)
                return 0
            for skipped in range(max(self.highest + 1, self.highest + ahead - MAX_MISSING), self.highest + ahead):
                self.missing[skipped] = 0
            while len(self.missing) > MAX_MISSING:
                del self.missing[next(iter(self.missing))]
            self.highest += ahead
            self._received += 1
            return max(ahead - 1, 0)
        behind = 0x10000 - ahead
        if behind > MAX_LATE:
            self.restart(ssrc, sequence, timestamp, now)
            return 0
        self._received += 1
        self.missing.pop(self.highest - behind, None)
        return -1

    def new_timestamp(self, timestamp: int, now: float) -> None:
        """Update the jitter with the first packet of a frame; ``now`` in seconds, monotonic."""
        moved = (timestamp - self._last_timestamp) & 0xFFFFFFFF
        if moved < 0x80000000:  # not of a frame that was overtaken
            transit = abs((now - self._last_arrival) * self.clock_rate - moved)
            self.jitter += (transit - self.jitter) / 16
            self._last_timestamp = timestamp
            self._last_arrival = now

    def sender_report(self, ntp_middle: int, now: float) -> None:
        """Remember the middle 32 bits of a sender report's NTP time and when it came."""
        self._last_sr = ntp_middle
        self._last_sr_at = now

    def _expected(self) -> int:
        return self.highest - self._base + 1 if self._received else 0

    def _lost_since_start(self) -> int:
        return max(self._expected() - self._received, 0)

    @property
    def lost(self) -> int:
        """Packets lost since the start, never negative."""
        return self._lost_before + self._lost_since_start()

    def report_block(self, now: float) -> bytes:
        """Write one report block; the fraction lost counts from the block before (RFC 3550, 6.4.1 and A.3)."""
        expected = self._expected()
        due = expected - self._prior_expected
        lost = due - (self._received - self._prior_received)
        self._prior_expected, self._prior_received = expected, self._received
        fraction = min((lost << 8) // due, 255) if due > 0 and lost > 0 else 0
        since = int((now - self._last_sr_at) * 65536) & 0xFFFFFFFF if self._last_sr else 0
        return _REPORT_BLOCK.pack(
            self.ssrc,
            fraction,
            min(self._lost_since_start(), 0x7FFFFF).to_bytes(3, "big"),
            self.highest & 0xFFFFFFFF,
            min(int(self.jitter), 0xFFFFFFFF),
            self._last_sr,
            since,
        )


def write_receiver_report(ssrc: int, blocks: Sequence[bytes]) -> bytes:
    """Write an RTCP RR with up to 31 report blocks."""
    return _header(_RR, len(blocks), 4 + 24 * len(blocks)) + struct.pack("!I", ssrc) + b"".join(blocks)


def write_pli(ssrc: int, media_ssrc: int) -> bytes:
    """Write a picture loss indication, the request for a key frame (RFC 4585, 6.3.1)."""
    return _header(_PSFB, 1, 8) + struct.pack("!II", ssrc, media_ssrc)


def write_nack(ssrc: int, media_ssrc: int, missing: Sequence[int]) -> bytes:
    """Write a generic NACK; ``missing`` in ascending order (RFC 4585, 6.2.1)."""
    entries: list[tuple[int, int]] = []
    for sequence in missing:
        if entries and 0 < (ahead := sequence - entries[-1][0]) <= 16:
            entries[-1] = (entries[-1][0], entries[-1][1] | 1 << (ahead - 1))
        else:
            entries.append((sequence, 0))
    body = b"".join(struct.pack("!HH", first & 0xFFFF, mask) for first, mask in entries)
    return _header(_RTPFB, 1, 8 + len(body)) + struct.pack("!II", ssrc, media_ssrc) + body


def write_remb(ssrc: int, bitrate: int, media_ssrcs: Sequence[int]) -> bytes:
    """Write a receiver estimated maximum bitrate in bit/s (draft-alvestrand-rmcat-remb-03)."""
    exponent = max(bitrate.bit_length() - 18, 0)
    mantissa = bitrate >> exponent
    body = struct.pack(
        "!II4sBBH", ssrc, 0, b"REMB", len(media_ssrcs), exponent << 2 | mantissa >> 16, mantissa & 0xFFFF
    ) + b"".join(struct.pack("!I", media) for media in media_ssrcs)
    return _header(_PSFB, 15, len(body)) + body


class SenderReport(NamedTuple):
    """What ties a source's RTP timestamps to its wall clock (RFC 3550, 6.4.1). ``ntp`` in units of 2^-32 s since 1900."""

    ssrc: int
    ntp: int
    timestamp: int


def read_sender_reports(compound: bytes) -> list[SenderReport]:
    """Return the sender reports of a compound packet; rubbish ends the list."""
    found: list[SenderReport] = []
    position = 0
    while position + 8 <= len(compound) and compound[position] >> 6 == 2:
        length = (int.from_bytes(compound[position + 2 : position + 4], "big") + 1) * 4
        if position + length > len(compound):
            break
        if compound[position + 1] == _SR and length >= 28:
            found.append(SenderReport(*struct.unpack_from("!IQI", compound, position + 4)))
        position += length
    return found


def _header(packet_type: int, count: int, length: int) -> bytes:
    return struct.pack("!BBH", 0x80 | count, packet_type, length // 4)
