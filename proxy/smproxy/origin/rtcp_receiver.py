"""Receiver statistics and the RTCP that reports them (RFC 3550, RFC 4585, REMB draft)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from smproxy.origin.rtp_unwrap import RtpUnwrapper

_SR, _RR, _RTPFB, _PSFB = 200, 201, 205, 206

#: Missing packets that are asked for again; older ones are given up.
MAX_MISSING = 128

_REPORT_BLOCK = struct.Struct("!IB3sIIII")


class Reception:
    """Loss, jitter and missing packets of a track. ``clock_rate`` in Hz.

    All packet fields are as in the RTP header.
    """

    __slots__ = (
        "_absent",
        "_last_sr",
        "_last_sr_at",
        "_lost_before",
        "_prior_expected",
        "_prior_received",
        "_received_before",
        "clock_rate",
        "missing",
        "unwrapper",
    )

    def __init__(self, clock_rate: int) -> None:
        self.clock_rate = clock_rate
        self.unwrapper = RtpUnwrapper(clock_rate)
        #: Numbers of the packets not received yet, oldest first, with how often they were asked for.
        self.missing: dict[int, int] = {}
        self._lost_before = self._received_before = 0
        self._start()

    def _start(self) -> None:
        #: How many more packets of the source were expected than came: a packet that is simply the next changes nothing here.
        self._absent = 0
        self._prior_expected = self._prior_received = 0
        self._last_sr = 0
        self._last_sr_at = 0.0
        self.missing.clear()

    @property
    def ssrc(self) -> int:
        """The source that is followed."""
        return max(self.unwrapper.ssrc, 0)

    def unexpected(self, ssrc: int, sequence: int, timestamp: int, now: float) -> int:
        """Count a packet that is not simply the next one, and return its number.

        -1 when it is of no use any more.

        After a change of the source what was lost so far stays counted.
        """
        line = self.unwrapper
        before = line.highest
        lost, received = self._lost_since_start(), self._received()
        number = line.place(ssrc, sequence, timestamp, now)
        if number == line.first > before:
            self._lost_before += lost
            self._received_before += received
            self._start()
        elif number > before:
            self._absent += number - before - 1
            for skipped in range(max(before + 1, number - MAX_MISSING), number):
                self.missing[skipped] = 0
            while len(self.missing) > MAX_MISSING:
                del self.missing[next(iter(self.missing))]
        else:
            self._absent -= 1
            self.missing.pop(number, None)
        return number

    def sender_report(self, ntp_middle: int, now: float) -> None:
        """Remember the middle 32 bits of a sender report's NTP time and when it came."""
        self._last_sr = ntp_middle
        self._last_sr_at = now

    def _expected(self) -> int:
        return self.unwrapper.highest - self.unwrapper.first + 1

    def _received(self) -> int:
        return self._expected() - self._absent

    def _lost_since_start(self) -> int:
        return max(self._absent, 0)

    @property
    def packets(self) -> int:
        """Packets received since the start, those that came too late to be of use among them."""
        return self._received_before + self._received()

    @property
    def lost(self) -> int:
        """Packets lost since the start, never negative."""
        return self._lost_before + self._lost_since_start()

    def report_block(self, now: float) -> bytes:
        """Write one report block.

        The fraction lost counts from the block before (RFC 3550, 6.4.1 and A.3).
        """
        expected, received = self._expected(), self._received()
        due = expected - self._prior_expected
        lost = due - (received - self._prior_received)
        self._prior_expected, self._prior_received = expected, received
        fraction = min((lost << 8) // due, 255) if due > 0 and lost > 0 else 0
        since = int((now - self._last_sr_at) * 65536) & 0xFFFFFFFF if self._last_sr else 0
        return _REPORT_BLOCK.pack(
            self.ssrc,
            fraction,
            min(self._lost_since_start(), 0x7FFFFF).to_bytes(3, "big"),
            self.unwrapper.highest_sequence & 0xFFFFFFFF,
            min(int(self.unwrapper.jitter), 0xFFFFFFFF),
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
    """What ties a source's RTP timestamps to its wall clock (RFC 3550, 6.4.1).

    ``ntp`` in units of 2^-32 s since 1900.
    """

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
