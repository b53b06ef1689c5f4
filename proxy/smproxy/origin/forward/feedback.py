"""Feedback of subscribers in RTCP.

NACK, PLI, FIR, REMB and report blocks (RFC 3550, 4585, 5104; REMB draft). Sans-I/O.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, TypeAlias

_SR, _RR, _BYE, _RTPFB, _PSFB = 200, 201, 203, 205, 206

#: Packets that the NACKs of one compound packet may name; more than that are not kept to be sent again.
MAX_NAMED = 1024

_REPORT_BLOCK = struct.Struct("!IB3sIIII")


class Nack(NamedTuple):
    """These packets did not come (RFC 4585, 6.2.1).

    The sequence numbers are as sent, 16 bits wide.
    """

    media_ssrc: int
    sequences: tuple[int, ...]


class KeyFrameRequest(NamedTuple):
    """A picture loss indication (RFC 4585, 6.3.1) or a full intra request (RFC 5104, 4.3.1)."""

    media_ssrc: int


class Remb(NamedTuple):
    """The most that these sources may send together, bit/s (draft-alvestrand-rmcat-remb-03)."""

    bitrate: int
    media_ssrcs: tuple[int, ...]


class ReportBlock(NamedTuple):
    """How a source arrives (RFC 3550, 6.4.1).

    ``fraction_lost`` 0 to 1 since the report before; ``lost`` since the start, negative with duplicates; ``highest`` sequence
    number extended by wraps; ``jitter`` in timestamp units; ``last_report`` the middle 32 bits of the NTP time of the last
    sender report, and ``delay`` since it came, in units of 2^-16 s.
    """

    media_ssrc: int
    fraction_lost: float
    lost: int
    highest: int
    jitter: int
    last_report: int
    delay: int


class Goodbye(NamedTuple):
    """A source leaves (RFC 3550, 6.6)."""

    ssrc: int


Feedback: TypeAlias = Nack | KeyFrameRequest | Remb | ReportBlock | Goodbye


def read_feedback(compound: bytes) -> list[Feedback]:
    """Return what a decrypted compound packet says, in its order. What is not known is skipped.

    Rubbish ends the list.
    """
    found: list[Feedback] = []
    position = 0
    while position + 4 <= len(compound) and compound[position] >> 6 == 2:
        length = (int.from_bytes(compound[position + 2 : position + 4], "big") + 1) * 4
        end = position + length
        if end > len(compound):
            break
        packet = compound[position:end]
        if packet[0] & 0x20:
            padding = packet[-1]
            if not 4 <= padding <= length - 4 or padding % 4:
                break
            packet = packet[:-padding]
        _read(packet, packet[0] & 0x1F, packet[1], found)
        position = end
    return found


def _read(packet: bytes, count: int, packet_type: int, found: list[Feedback]) -> None:
    if packet_type in (_SR, _RR):
        _reports(packet, 28 if packet_type == _SR else 8, count, found)
    elif packet_type == _RTPFB and count == 1 and len(packet) >= 12:
        left = MAX_NAMED - sum(len(each.sequences) for each in found if isinstance(each, Nack))
        found.append(Nack(int.from_bytes(packet[8:12], "big"), _sequences(packet, left)))
    elif packet_type == _PSFB and len(packet) >= 12:
        media_ssrc = int.from_bytes(packet[8:12], "big")
        if count == 1:
            found.append(KeyFrameRequest(media_ssrc))
        elif count == 4:
            # The request names its sources in the entries; the field before them is 0 (RFC 5104, 4.3.1.2).
            for at in range(12, len(packet) - 7, 8):
                found.append(KeyFrameRequest(int.from_bytes(packet[at : at + 4], "big")))
        elif count == 15 and packet[12:16] == b"REMB" and len(packet) >= 20:
            _remb(packet, found)
    elif packet_type == _BYE:
        for at in range(4, min(4 + 4 * count, len(packet) - 3), 4):
            found.append(Goodbye(int.from_bytes(packet[at : at + 4], "big")))


def _reports(packet: bytes, at: int, count: int, found: list[Feedback]) -> None:
    for _ in range(count):
        if at + 24 > len(packet):
            return
        ssrc, fraction, lost, highest, jitter, last_report, delay = _REPORT_BLOCK.unpack_from(packet, at)
        total = int.from_bytes(lost, "big", signed=True)
        found.append(ReportBlock(ssrc, fraction / 256, total, highest, jitter, last_report, delay))
        at += 24


def _sequences(packet: bytes, most: int) -> tuple[int, ...]:
    sequences: list[int] = []
    for at in range(12, len(packet) - 3, 4):
        if len(sequences) >= most:
            break
        first, mask = struct.unpack_from("!HH", packet, at)
        sequences.append(first)
        if mask:
            sequences.extend((first + 1 + bit) & 0xFFFF for bit in range(16) if mask >> bit & 1)
    return tuple(sequences[:most])


def _remb(packet: bytes, found: list[Feedback]) -> None:
    exponent = packet[17] >> 2
    mantissa = (packet[17] & 0x03) << 16 | packet[18] << 8 | packet[19]
    named = range(20, min(20 + 4 * packet[16], len(packet) - 3), 4)
    found.append(Remb(mantissa << exponent, tuple(int.from_bytes(packet[at : at + 4], "big") for at in named)))
