"""Reading RTP payloads: VP8, H.264, and what rubbish does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.origin.codecs import h264, vp8
from smproxy.origin.codecs.h264_sps import sps_size
from smproxy.origin.rtp_packet import FrameStart, payload_of

KEY_VP8 = bytes.fromhex("1050b4019d012a8002e0010047")  # 640 x 480
SPS_BASELINE_640_360 = bytes.fromhex("6742c01fd900a02ff9610000030001000003003c8f162e48")
SPS_CROPPED_638_358 = bytes.fromhex("6764001eacd940a02fea6840000003004000000f03c58b6580")
SPS_HIGH_1920_1080 = bytes.fromhex("67640028acd940780227e5c044000003000400000300f03c60c658")


@pytest.mark.parametrize("head", ["10", "9000", "908001", "9080ff01", "90c0ff0107", "90f0ff01070a", "9030aa", "9020aa"])
def test_vp8_key_frame_has_its_size_behind_any_descriptor(head: str) -> None:
    """Every form of the payload descriptor is skipped to find the key frame's size."""
    assert vp8.frame_start(bytes.fromhex(head) + KEY_VP8[1:]) == FrameStart(key=True, width=640, height=480)


def test_vp8_inter_frame_is_no_key_frame() -> None:
    """The P bit tells an inter frame."""
    assert vp8.frame_start(bytes.fromhex("10b1b401")) == FrameStart(key=False)


@pytest.mark.parametrize("payload", ["", "00aabb", "11aabb", "90", "9080", "908080", "90f0ff01"])
def test_vp8_continuations_and_stubs_start_no_frame(payload: str) -> None:
    """A packet in the middle of a frame, another partition, or a cut descriptor starts nothing."""
    assert vp8.frame_start(bytes.fromhex(payload)) is None


def test_h264_sps_gives_the_size() -> None:
    """Baseline and high profile parameter sets give width and height after cropping."""
    assert sps_size(SPS_BASELINE_640_360) == (640, 360)
    assert sps_size(SPS_HIGH_1920_1080) == (1920, 1080)
    assert sps_size(SPS_CROPPED_638_358) == (638, 358)


def stap(*units: bytes) -> bytes:
    return b"\x78" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


def test_h264_forms_of_a_key_frame() -> None:
    """An IDR slice alone, fragmented, or aggregated with parameter sets is a key frame; a plain slice is none."""
    idr = bytes.fromhex("65888400")
    assert h264.frame_start(idr) == FrameStart(key=True)
    assert h264.frame_start(bytes.fromhex("7c858884")) == FrameStart(key=True)
    assert h264.frame_start(bytes.fromhex("7c058884")) is None
    assert h264.frame_start(stap(SPS_HIGH_1920_1080, b"\x68\xce", idr)) == FrameStart(True, 1920, 1080)
    assert h264.frame_start(stap(b"\x06\x05", b"\x41\x9a")) == FrameStart(key=False)
    assert h264.frame_start(b"\x41\x9a") == FrameStart(key=False)
    assert h264.frame_start(b"\x06\x05") is None
    assert h264.frame_start(b"\x68\xce") is None


@given(st.binary(max_size=200))
def test_payload_parsers_never_raise(payload: bytes) -> None:
    """Whatever bytes come, the parsers answer."""
    vp8.frame_start(payload)
    h264.frame_start(payload)
    sps_size(payload)
    payload_of(payload)


@given(st.binary(max_size=60), st.integers(0, 200))
def test_cut_parameter_sets_never_raise(noise: bytes, cut: int) -> None:
    """A parameter set that is cut or has noise behind it is read or not, without an exception."""
    for whole in (SPS_BASELINE_640_360, SPS_HIGH_1920_1080):
        sps_size(whole[:cut] + noise)
        h264.frame_start(stap(whole[:cut], noise))


def test_payload_skips_csrc_extension_and_padding() -> None:
    """The payload begins after contributing sources and the extension and ends before the padding."""
    header = bytes.fromhex("b260000100000001000000020000000a0000000bbede000110aa0000")
    assert payload_of(header + b"media" + b"\x00\x00\x03") == b"media"
    assert payload_of(header[:22]) == b""
    assert payload_of(bytes.fromhex("a06000010000000100000002") + b"\xff") == b""


def test_a_packet_full_of_tiny_units_is_not_read_to_its_end() -> None:
    """Parameter sets come first; what stands behind many other units is not looked for."""
    enhancement, slice_of_a_key_frame = b"\x00\x01\x06", b"\x00\x02\x65\x88"
    near = h264.frame_start(b"\x78" + enhancement * 3 + slice_of_a_key_frame)
    assert near is not None
    assert near.key
    assert h264.frame_start(b"\x78" + enhancement * 400 + slice_of_a_key_frame) is None
