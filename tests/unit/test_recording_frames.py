"""From packets to frames: reordering and depacketizing, with loss."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smproxy.origin.codecs import DEPACKETIZERS, FRAME_START
from smproxy.origin.codecs.frame import MAX_PARTS, Depacketizer, MediaFrame
from smproxy.origin.recording.jitter_buffer import JitterBuffer
from smproxy.origin.rtp_packet import MARKER, RtpPacket
from smproxy.testing.media import pattern_loop

from tests.unit.recording_media import Parser, audio_packets, rtp, video_packets


class H264Packets:
    """Makes packets that follow each other."""

    def __init__(self) -> None:
        self._number = 0

    def __call__(self, timestamp: int, marker: bool, payload: bytes, *, gap: bool = False) -> RtpPacket:
        self._number += 1 + gap
        return RtpPacket(self._number, timestamp, MARKER * marker, payload, 0.0)


def assemble(
    codec: str, packets: list[tuple[float, bytes]], patience: float = 0.4
) -> tuple[list[MediaFrame], Depacketizer]:
    """Run packets through both stages."""
    parser, buffer, depacketizer = Parser(codec), JitterBuffer(patience), DEPACKETIZERS[codec]()
    ready = [each for at, data in packets for packet in parser(data, at) for each in buffer.push(packet)]
    ready += buffer.flush()
    return [frame for packet in ready for frame in depacketizer.push(packet)], depacketizer


def test_vp8_frames_come_out_as_they_were_sent() -> None:
    """Frames are the encoder's, byte for byte; key frames are known and have their size."""
    loop = pattern_loop("VP8")
    frames, depacketizer = assemble("VP8", video_packets("VP8", 2.0))
    assert [frame.data for frame in frames] == list(loop.frames)
    assert (frames[0].key, frames[0].width, frames[0].height) == (True, 320, 240)
    assert not depacketizer.needs_key_frame


def test_h264_frames_have_parameters_before_each_key_frame() -> None:
    """Frames are the encoder's NAL units with lengths; a key frame has its parameter sets and tells them beforehand."""
    frames, _ = assemble("H264", video_packets("H264", 2.0))
    assert len(frames) == 30
    first = frames[0]
    assert (first.key, first.width, first.height) == (True, 320, 240)
    assert first.data[4] & 0x1F == 7
    assert first.config[:1] == b"\x01"
    assert first.config[1:4] == first.data[5:8]
    for frame in frames:
        position = 0
        while position < len(frame.data):
            position += 4 + int.from_bytes(frame.data[position : position + 4], "big")
        assert position == len(frame.data)


def test_opus_frames_know_their_length() -> None:
    """A packet is a frame of 20 ms."""
    frames, _ = assemble("opus", audio_packets(0.5))
    assert len(frames) == 25
    assert {frame.duration for frame in frames} == {0.02}


@pytest.mark.parametrize("codec", ["VP8", "H264"])
@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_nothing_undecodable_survives_loss(codec: str, seed: int) -> None:
    """Of a lossy, reordered stream each frame is one that was sent, and between key frames none is missing."""
    rng = random.Random(seed)
    whole, _ = assemble(codec, video_packets(codec, 4.0))
    index = {frame.timestamp: number for number, frame in enumerate(whole)}
    packets = [each for each in video_packets(codec, 4.0) if rng.random() > 0.05]
    for _ in range(20):
        at = rng.randrange(len(packets) - 1)
        packets[at], packets[at + 1] = packets[at + 1], packets[at]
    frames, _ = assemble(codec, packets)
    previous = None
    for frame in frames:
        number = index[frame.timestamp]
        assert frame.data == whole[number].data
        assert frame.key or previous == number - 1
        previous = number


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_a_lost_packet_asks_for_a_key_frame(codec: str) -> None:
    """After a loss nothing is kept up to the next key frame, and the need of one is told."""
    packets = video_packets(codec, 1.9)
    whole, _ = assemble(codec, packets)
    frames, depacketizer = assemble(codec, packets[:-3] + packets[-2:])
    assert len(frames) < len(whole)
    assert depacketizer.needs_key_frame


@pytest.mark.parametrize("codec", ["VP8", "H264", "opus"])
@given(
    payloads=st.lists(st.tuples(st.binary(max_size=40), st.booleans(), st.booleans(), st.integers(0, 3)), max_size=30)
)
def test_any_payload_is_taken(codec: str, payloads: list[tuple[bytes, bool, bool, int]]) -> None:
    """Rubbish raises nothing, and no frame is empty."""
    depacketizer = DEPACKETIZERS[codec]()
    for number, (payload, marker, gap, timestamp) in enumerate(payloads):
        start = FRAME_START[codec](payload) if codec in FRAME_START else None
        packet = RtpPacket(2 * number if gap else number, timestamp, MARKER * marker, payload, 0.0, start)
        for frame in depacketizer.push(packet):
            assert frame.data


def test_a_picture_without_its_first_slice_is_left_out() -> None:
    """An H.264 key frame whose first slice was lost is not one, though each packet of it that came is whole."""
    parameters = [bytes.fromhex("6742c01fda0141fb"), bytes.fromhex("68ce3c80")]
    second_slice = bytes([0x65, 0x20]) + bytes(20)
    depacketizer, packet = DEPACKETIZERS["H264"](), H264Packets()
    for unit in parameters:
        assert not depacketizer.push(packet(1, unit is parameters[1], unit))
    assert not depacketizer.push(packet(2, True, second_slice, gap=True))
    assert depacketizer.needs_key_frame
    assert depacketizer.push(packet(3, True, bytes([0x65, 0x88]) + bytes(20)))


@pytest.mark.parametrize("count", [1, 40])
def test_parameters_that_no_file_has_room_for_are_left_out(count: int) -> None:
    """A key frame with parameter sets of absurd size is not kept; the next sensible one is."""
    depacketizer, packet = DEPACKETIZERS["H264"](), H264Packets()

    def push(*units: bytes) -> list[MediaFrame]:
        frames: list[MediaFrame] = []
        for unit in units:
            frames += depacketizer.push(packet(len(sent), unit is units[-1], unit))
        sent.append(units)
        return frames

    sent: list[tuple[bytes, ...]] = []
    sps, picture = bytes.fromhex("6742c01fda0141fb"), bytes([0x65, 0x88]) + bytes(20)
    huge = [bytes([0x68, number]) + bytes(100_000 // count) for number in range(count)]
    assert not push(sps, *huge, picture)
    assert depacketizer.needs_key_frame
    [frame] = push(sps, bytes.fromhex("68ce3c80"), picture)
    assert len(frame.config) < 100


def test_a_frame_of_countless_units_is_left_out() -> None:
    """A sender that makes one frame of thousands of tiny units does not fill the memory; the next key frame counts."""
    depacketizer, packet = DEPACKETIZERS["H264"](), H264Packets()
    aggregate = bytes([0x78]) + bytes([0, 1, 0x65]) * 400
    for _ in range(100):
        assert not depacketizer.push(packet(1, False, aggregate))
        assert len(depacketizer._parts) <= MAX_PARTS + 400  # type: ignore[attr-defined]
    units = bytes.fromhex("6742c01fda0141fb"), bytes.fromhex("68ce3c80"), bytes([0x65, 0x88]) + bytes(20)
    frames = [frame for unit in units for frame in depacketizer.push(packet(2, unit is units[2], unit))]
    assert [frame.key for frame in frames] == [True]


@given(st.permutations(range(12)), st.integers(0, 0xFFFF))
def test_packets_are_put_in_order(order: list[int], first: int) -> None:
    """What came in any order within the window goes out in order, also across the wrap of the numbers."""
    parser, buffer = Parser("opus"), JitterBuffer()
    out = [each for packet in parser(rtp(first - 1, 0, b"x")) for each in buffer.push(packet)]
    for number in order:
        for packet in parser(rtp(first + number, number + 1, b"x"), 0.1):
            out += buffer.push(packet)
    assert [packet.timestamp for packet in out] == list(range(13))
    assert [packet.number - out[0].number for packet in out] == list(range(13))


def numbered(number: int, arrival: float = 0.0, *, restart: bool = False) -> RtpPacket:
    return RtpPacket(number, number, 0, b"x", arrival, restart=restart)


def test_a_missing_packet_is_waited_for_so_long() -> None:
    """After the patience the packets behind a gap are given; the late one is passed over."""
    buffer = JitterBuffer(patience=0.4)
    assert len(buffer.push(numbered(1, 0.0))) == 1
    assert buffer.push(numbered(3, 0.1)) == []
    assert buffer.push(numbered(4, 0.4)) == []
    assert [packet.number for packet in buffer.expire(0.6)] == [3, 4]
    assert buffer.push(numbered(2, 0.7)) == []


def test_the_window_is_bounded() -> None:
    """So many packets wait for a missing one, and not one more."""
    buffer = JitterBuffer(patience=1000, depth=8)
    buffer.push(numbered(1))
    out = [packet for number in range(3, 20) for packet in buffer.push(numbered(number))]
    assert [packet.number for packet in out] == list(range(3, 20))


@pytest.mark.parametrize(("sequence", "ssrc"), [(20_000, 1), (40_000, 1), (11, 2)])
def test_a_restarted_sender_is_followed(sequence: int, ssrc: int) -> None:
    """After a jump of the numbers, or with another source, the packets go on; the first one is marked."""
    parser, buffer = Parser("opus"), JitterBuffer()
    out = []
    for data in (rtp(10, 1, b"x"), rtp(12, 2, b"x"), rtp(sequence, 3, b"x", ssrc=ssrc)):
        for packet in parser(data):
            out += buffer.push(packet)
    assert [packet.restart for packet in out] == [True, False, True]
    (last,) = parser(rtp(sequence + 1, 4, b"x", ssrc=ssrc))
    assert [packet.restart for packet in buffer.push(last)] == [False]


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(1, 2), st.floats(0, 3)), max_size=200))
def test_any_packets_are_taken(packets: list[tuple[int, int, float]]) -> None:
    """Whatever the numbers, nothing raises, nothing comes out twice or out of order, and no more waits than may."""
    parser, buffer = Parser("opus"), JitterBuffer(depth=8)
    out: list[RtpPacket] = []
    for identity, (sequence, ssrc, at) in enumerate(packets):
        for packet in parser(rtp(sequence, identity, b"x", ssrc=ssrc), at):
            out += buffer.push(packet)
        assert len(buffer._waiting) <= 8
    numbers = [packet.number for packet in out + buffer.flush()]
    assert numbers == sorted(set(numbers))
