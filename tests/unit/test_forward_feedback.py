"""What subscribers say in RTCP is understood, and rubbish is harmless."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st
from smproxy.origin.forward.feedback import (
    MAX_NAMED,
    Goodbye,
    KeyFrameRequest,
    Nack,
    Remb,
    ReportBlock,
    read_feedback,
)
from smproxy.origin.forward.report import write_cname, write_sender_report
from smproxy.origin.rtcp_receiver import (
    Reception,
    SenderReport,
    read_sender_reports,
    write_nack,
    write_pli,
    write_receiver_report,
    write_remb,
)


@given(st.sets(st.integers(0, 0xFFFF), min_size=1, max_size=60))
def test_a_nack_names_the_same_packets_as_were_written(missing: set[int]) -> None:
    """Every combination of packets comes through generic NACK."""
    (read,) = read_feedback(write_nack(1, 2, sorted(missing)))
    assert isinstance(read, Nack)
    assert read.media_ssrc == 2
    assert sorted(read.sequences) == sorted(missing)


def test_what_one_datagram_may_name_is_bounded() -> None:
    """A datagram full of bit masks names no more packets than are kept, in one NACK or in several."""
    masks = struct.pack("!HH", 0, 0xFFFF)
    one = struct.pack("!BBHII", 0x81, 205, 2 + 340, 1, 2) + masks * 340
    several = (struct.pack("!BBHII", 0x81, 205, 2 + 30, 1, 2) + masks * 30) * 10
    for compound in (one, several):
        found = [each for each in read_feedback(compound) if isinstance(each, Nack)]
        assert sum(len(each.sequences) for each in found) == MAX_NAMED


def test_a_nack_wraps() -> None:
    """A bit mask that runs over the end of the numbers goes on at 0."""
    packet = struct.pack("!BBHIIHH", 0x81, 205, 3, 1, 2, 0xFFFE, 0b101)
    assert read_feedback(packet) == [Nack(2, (0xFFFE, 0xFFFF, 1))]


def test_a_compound_is_read_in_order() -> None:
    """Receiver report, REMB, picture loss, full intra request and goodbye, with unknown packets between them."""
    reception = Reception(90000)
    reception.unexpected(9, 100, 0, 0.0)
    reception.unexpected(9, 103, 0, 0.0)
    reception.sender_report(0x12345678, 1.0)
    unknown = struct.pack("!BBHI", 0x80, 204, 1, 1)
    intra = struct.pack("!BBHIIIIII", 0x84, 206, 6, 1, 0, 7, 1 << 24, 8, 2 << 24)
    compound = (
        write_receiver_report(1, [reception.report_block(1.5)])
        + write_cname(1, "client")
        + write_remb(1, 2_500_000, [7, 8])
        + unknown
        + write_pli(1, 7)
        + intra
        + struct.pack("!BBHI", 0x81, 203, 1, 1)
    )
    report, remb, *others = read_feedback(compound)
    assert report == ReportBlock(9, 0.5, 2, 103, 0, 0x12345678, 0x8000)
    assert isinstance(remb, Remb)
    assert 2_490_000 < remb.bitrate <= 2_500_000
    assert remb.media_ssrcs == (7, 8)
    assert others == [KeyFrameRequest(7), KeyFrameRequest(7), KeyFrameRequest(8), Goodbye(1)]


def test_report_blocks_of_a_sender_report_are_read() -> None:
    """A client that also sends puts its blocks behind its own figures; more lost than expected may be negative."""
    block = struct.pack("!IB3sIIII", 9, 64, b"\xff\xff\xfe", 1, 2, 3, 4)
    packet = bytearray(write_sender_report(1, 2, 3, 4, 5) + block)
    packet[0] |= 1
    packet[3] += 6
    assert read_feedback(bytes(packet)) == [ReportBlock(9, 0.25, -2, 1, 2, 3, 4)]


def test_padding_of_the_last_packet_is_not_read() -> None:
    """Padding is no entry of a NACK."""
    packet = struct.pack("!BBHIIHHI", 0xA1, 205, 4, 1, 2, 5, 0, 4)
    assert read_feedback(packet) == [Nack(2, (5,))]
    assert read_feedback(packet[:-1] + b"\xff") == []


def test_what_is_written_is_well_formed() -> None:
    """A sender report is read back, and a source description fills whole words for every length of its name."""
    report = write_sender_report(1, (1 << 64) + 5, 1 << 33, 1 << 32, 7)
    assert read_sender_reports(report) == [SenderReport(1, 5, 0)]
    for length in range(256):
        packet = write_cname(1, "n" * length)
        assert len(packet) == (int.from_bytes(packet[2:4], "big") + 1) * 4
        assert packet[10 + length] == 0
        assert read_feedback(packet + write_pli(1, 2)) == [KeyFrameRequest(2)]


@given(st.binary(max_size=200))
def test_rubbish_is_harmless(data: bytes) -> None:
    """Any bytes give a list and no exception."""
    read_feedback(data)


@given(
    st.lists(
        st.tuples(st.sampled_from([200, 201, 202, 203, 205, 206]), st.integers(0, 31), st.binary(max_size=64)),
        max_size=5,
    )
)
def test_well_framed_rubbish_is_harmless(packets: list[tuple[int, int, bytes]]) -> None:
    """Packets with the right lengths and any content give no exception, and no more than their size allows."""
    compound = b""
    for packet_type, count, body in packets:
        body = body[: len(body) // 4 * 4]
        compound += struct.pack("!BBH", 0x80 | count, packet_type, len(body) // 4) + body
    found = read_feedback(compound)
    assert len(found) <= len(compound) // 4
    assert sum(len(each.sequences) for each in found if isinstance(each, Nack)) <= 17 * len(compound) // 4
