"""Receiver statistics and RTCP, with aiortc's RTCP parser as the other side."""

from __future__ import annotations

import random

import pytest
from aiortc.rtp import (
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    unpack_remb_fci,
)
from hypothesis import given
from hypothesis import strategies as st
from smproxy.origin.rtcp_receiver import (
    MAX_MISSING,
    Reception,
    read_sender_reports,
    write_nack,
    write_pli,
    write_receiver_report,
    write_remb,
)


def feed(reception: Reception, sequences: list[int], ssrc: int = 7) -> None:
    """Take packets as a track does."""
    line = reception.unwrapper
    for sequence in sequences:
        if sequence == line.expected and ssrc == line.ssrc:
            line.highest += 1
            line.expected = (sequence + 1) & 0xFFFF
        else:
            reception.unexpected(ssrc, sequence, 0, 0.0)


def test_nothing_is_lost_over_the_wrap() -> None:
    """Sequence numbers that wrap are counted on, and the extended highest number says how often they did."""
    reception = Reception(90000)
    feed(reception, [number & 0xFFFF for number in range(65530, 65530 + 70000)])
    assert reception.lost == 0
    assert reception.unwrapper.highest_sequence == 65530 + 70000 - 1


def test_gaps_are_lost_until_they_are_filled() -> None:
    """A missing packet is lost and listed; one that comes late is not lost any more."""
    reception = Reception(90000)
    feed(reception, [65534, 65535, 2, 3])
    assert reception.lost == 2
    assert [(number - reception.unwrapper.offset) & 0xFFFF for number in reception.missing] == [0, 1]
    feed(reception, [1, 0, 4])
    assert reception.lost == 0
    assert not reception.missing
    assert reception.unwrapper.highest_sequence & 0xFFFF == 4


@given(st.lists(st.integers(0, 65535), max_size=300))
def test_any_numbers_are_bounded(sequences: list[int]) -> None:
    """Whatever numbers come, nothing raises, loss is never negative and the list of missing packets stays short."""
    reception = Reception(48000)
    feed(reception, sequences)
    assert reception.lost >= 0
    assert len(reception.missing) <= MAX_MISSING
    reception.report_block(1.0)


@given(st.integers(0, 65535), st.integers(0, 2**32 - 1))
def test_reordering_alone_is_no_loss(first: int, seed: int) -> None:
    """Packets that are swapped within a few places are all counted and none is lost."""
    sequences = list(range(first, first + 200))
    rng = random.Random(seed)
    shuffled = sequences[:1] + [number for _, number in sorted((n + rng.random() * 5, n) for n in sequences[1:])]
    reception = Reception(90000)
    feed(reception, [number & 0xFFFF for number in shuffled])
    assert reception.lost == 0
    assert not reception.missing


def test_a_new_source_keeps_the_loss_so_far() -> None:
    """A changed SSRC or a jump starts over without counting the jump, and keeps what was lost before."""
    reception = Reception(90000)
    feed(reception, [1, 2, 4])
    feed(reception, [30000, 30001], ssrc=8)
    assert reception.lost == 1
    feed(reception, [50000, 50001], ssrc=8)
    assert reception.lost == 1


def test_report_blocks_say_what_was_lost_since_the_last_one() -> None:
    """Fraction, total, highest number and the sender report's echo are as RFC 3550 defines them."""
    reception = Reception(90000)
    feed(reception, [10, 11, 14])
    reception.sender_report(0x12345678, 5.0)
    packet = RtcpPacket.parse(write_receiver_report(99, [reception.report_block(5.5)]))[0]
    assert isinstance(packet, RtcpRrPacket)
    block = packet.reports[0]
    assert (packet.ssrc, block.ssrc) == (99, 7)
    assert (block.fraction_lost, block.packets_lost, block.highest_sequence) == (2 * 256 // 5, 2, 14)
    assert (block.lsr, block.dlsr) == (0x12345678, 32768)
    feed(reception, [15, 16])
    second = RtcpPacket.parse(write_receiver_report(99, [reception.report_block(6.0)]))[0].reports[0]
    assert (second.fraction_lost, second.packets_lost) == (0, 2)


def test_jitter_follows_the_arrival() -> None:
    """A regular stream has no jitter and an irregular one has."""
    regular, irregular = Reception(90000), Reception(90000)
    for reception, wobble in ((regular, 0.0), (irregular, 0.01)):
        reception.unexpected(7, 1, 0, 0.0)
        for frame in range(1, 100):
            reception.unwrapper.new_frame(frame * 3000, frame / 30 + wobble * (frame % 2))
    assert regular.unwrapper.jitter == pytest.approx(0, abs=1)
    assert irregular.unwrapper.jitter == pytest.approx(900, rel=0.1)


def test_pli_and_nack_are_read_by_aiortc() -> None:
    """Feedback messages name their media source, and a NACK names just the missing packets, over the wrap too."""
    pli = RtcpPacket.parse(write_pli(1, 2))[0]
    assert isinstance(pli, RtcpPsfbPacket)
    assert (pli.fmt, pli.ssrc, pli.media_ssrc) == (1, 1, 2)
    missing = [65530, 65531, 65546, 65547, 65600]
    nack = RtcpPacket.parse(write_nack(1, 2, missing))[0]
    assert isinstance(nack, RtcpRtpfbPacket)
    assert [number & 0xFFFF for number in nack.lost] == [number & 0xFFFF for number in missing]


@pytest.mark.parametrize("bitrate", [1, 30_000, 262_143, 262_144, 2_500_000, 50_000_000])
def test_remb_is_read_by_aiortc(bitrate: int) -> None:
    """The bitrate survives within the 18 bits of its mantissa."""
    packet = RtcpPacket.parse(write_remb(1, bitrate, [5, 6]))[0]
    assert isinstance(packet, RtcpPsfbPacket)
    read, ssrcs = unpack_remb_fci(packet.fci)
    assert read == pytest.approx(bitrate, rel=1e-5)
    assert ssrcs == [5, 6]


def test_sender_reports_are_found_in_a_compound() -> None:
    """The source, the NTP time and the RTP timestamp of each sender report are read, with and behind other packets."""
    report = RtcpSrPacket(7, RtcpSenderInfo(0x0102030405060708, 1, 2, 3))
    compound = bytes(RtcpRrPacket(ssrc=9)) + bytes(report)
    assert read_sender_reports(compound) == [(7, 0x0102030405060708, 1)]


@given(st.binary(max_size=120))
def test_rubbish_in_rtcp_never_raises(compound: bytes) -> None:
    """Any bytes give a list."""
    read_sender_reports(compound)
    read_sender_reports(b"\x80\xc8" + compound)
