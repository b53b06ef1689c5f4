"""From packets to frames: reordering and depacketizing, with loss."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smproxy.origin.recording.depacketizers import DEPACKETIZERS, MAX_PARTS, Depacketizer, Frame
from smproxy.origin.recording.jitter_buffer import Reorder, Rtp
from smproxy.testing.media import pattern_loop

from tests.unit.recording_media import audio_packets, rtp, video_packets


def assemble(codec: str, packets: list[tuple[float, bytes]], patience: float = 0.4) -> tuple[list[Frame], Depacketizer]:
    """Run packets through both stages."""
    reorder, depacketizer = Reorder(patience), DEPACKETIZERS[codec]()
    ready = [rtp for at, packet in packets for rtp in reorder.push(packet, at)] + reorder.flush()
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
    for payload, marker, gap, timestamp in payloads:
        for frame in depacketizer.push(Rtp(timestamp, marker, payload, 0.0, gap)):
            assert frame.data


def test_a_picture_without_its_first_slice_is_left_out() -> None:
    """An H.264 key frame whose first slice was lost is not one, though each packet of it that came is whole."""
    parameters = [bytes.fromhex("6742c01fda0141fb"), bytes.fromhex("68ce3c80")]
    second_slice = bytes([0x65, 0x20]) + bytes(20)
    depacketizer = DEPACKETIZERS["H264"]()
    for unit in parameters:
        assert not depacketizer.push(Rtp(1, unit is parameters[1], unit, 0.0, False))
    assert not depacketizer.push(Rtp(2, True, second_slice, 0.0, True))
    assert depacketizer.needs_key_frame
    assert depacketizer.push(Rtp(3, True, bytes([0x65, 0x88]) + bytes(20), 0.0, False))


@pytest.mark.parametrize("count", [1, 40])
def test_parameters_that_no_file_has_room_for_are_left_out(count: int) -> None:
    """A key frame with parameter sets of absurd size is not kept; the next sensible one is."""
    depacketizer = DEPACKETIZERS["H264"]()

    def push(*units: bytes) -> list[Frame]:
        frames: list[Frame] = []
        for unit in units:
            frames += depacketizer.push(Rtp(len(sent), unit is units[-1], unit, 0.0, False))
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
    depacketizer = DEPACKETIZERS["H264"]()
    aggregate = bytes([0x78]) + bytes([0, 1, 0x65]) * 400
    for _ in range(100):
        assert not depacketizer.push(Rtp(1, False, aggregate, 0.0, False))
        assert len(depacketizer._parts) <= MAX_PARTS + 400  # type: ignore[attr-defined]
    units = bytes.fromhex("6742c01fda0141fb"), bytes.fromhex("68ce3c80"), bytes([0x65, 0x88]) + bytes(20)
    frames = [frame for unit in units for frame in depacketizer.push(Rtp(2, unit is units[2], unit, 0.0, False))]
    assert [frame.key for frame in frames] == [True]


@given(st.permutations(range(12)), st.integers(0, 0xFFFF))
def test_packets_are_put_in_order(order: list[int], first: int) -> None:
    """What came in any order within the window goes out in order, also across the wrap of the numbers."""
    reorder = Reorder()
    out = reorder.push(rtp(first - 1, 0, b"x"), 0.0)
    for number in order:
        out += reorder.push(rtp(first + number, number + 1, b"x"), 0.1)
    assert [packet.timestamp for packet in out] == list(range(13))
    assert not any(packet.gap for packet in out)


def test_a_missing_packet_is_waited_for_so_long() -> None:
    """After the patience the packets behind a gap are given, the first of them marked; the late one is passed over."""
    reorder = Reorder(patience=0.4)
    assert len(reorder.push(rtp(1, 1, b"x"), 0.0)) == 1
    assert reorder.push(rtp(3, 3, b"x"), 0.1) == []
    assert reorder.push(rtp(4, 4, b"x"), 0.4) == []
    out = reorder.expire(0.6)
    assert [(packet.timestamp, packet.gap) for packet in out] == [(3, True), (4, False)]
    assert reorder.push(rtp(2, 2, b"x"), 0.7) == []


def test_the_window_is_bounded() -> None:
    """So many packets wait for a missing one, and not one more."""
    reorder = Reorder(patience=1000, depth=8)
    reorder.push(rtp(1, 1, b"x"), 0.0)
    out = [packet for number in range(3, 20) for packet in reorder.push(rtp(number, number, b"x"), 0.0)]
    assert [packet.timestamp for packet in out] == list(range(3, 20))


@pytest.mark.parametrize(("sequence", "ssrc"), [(20_000, 1), (40_000, 1), (11, 2)])
def test_a_restarted_sender_is_followed(sequence: int, ssrc: int) -> None:
    """After a jump of the numbers, or with another source, the packets go on, with a gap."""
    reorder = Reorder()
    reorder.push(rtp(10, 1, b"x"), 0.0)
    reorder.push(rtp(12, 2, b"x"), 0.0)
    out = reorder.push(rtp(sequence, 3, b"x", ssrc=ssrc), 0.0)
    assert [(packet.timestamp, packet.gap) for packet in out] == [(2, True), (3, True)]
    assert [packet.gap for packet in reorder.push(rtp(sequence + 1, 4, b"x", ssrc=ssrc), 0.0)] == [False]


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(1, 2), st.floats(0, 3)), max_size=200))
def test_any_packets_are_taken(packets: list[tuple[int, int, float]]) -> None:
    """Whatever the numbers, nothing raises, nothing comes out twice, and no more waits than may."""
    reorder = Reorder(depth=8)
    out: list[Rtp] = []
    for identity, (sequence, ssrc, at) in enumerate(packets):
        out += reorder.push(rtp(sequence, identity, b"x", ssrc=ssrc), at)
        assert len(reorder._waiting) <= 8
    out += reorder.flush()
    assert len({packet.timestamp for packet in out}) == len(out)
