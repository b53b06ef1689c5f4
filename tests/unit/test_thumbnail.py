"""Thumbnails: the last complete key frame, decoded once and only when asked for."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import av
import pytest
from smproxy.origin import thumbnail as module
from smproxy.origin.thumbnail import MAX_PACKETS, MAX_SIDE, LastKeyFrame, ThumbnailError, Thumbnails, decode
from smproxy.origin.track import Track
from smproxy.signaling.payloads import Kind
from smproxy.testing.media import pattern_loop

from tests.unit.recording_media import resized_packets, rtp, video_packets


def last_key_frame(packets: list[bytes], codec: str = "VP8") -> LastKeyFrame:
    """Let packets pass a track whose key frames are kept."""
    track = Track("video", Kind.VIDEO, codec, 90000, lambda: 0.0)
    last = LastKeyFrame(codec)
    track.attach_key_frames(last)
    for packet in packets:
        track.packet(packet)
    return last


def size_of(png: bytes) -> tuple[int, int]:
    with av.open(io.BytesIO(png), format="png_pipe") as container:
        picture = next(container.decode(video=0))
        return picture.width, picture.height


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_the_last_key_frame(codec: str) -> None:
    """What is shown is the last key frame, also while the frames after it flow."""
    packets = [packet for _, packet in resized_packets(codec, [(320, 240), (160, 120)])]
    thumbnails = Thumbnails()
    thumbnails.show("live", "s", last_key_frame(packets, codec))
    png = await thumbnails.png("live", "s")
    assert png is not None
    assert size_of(png) == (160, 120)


async def test_an_incomplete_key_frame_is_not_shown() -> None:
    """While a key frame lacks a packet the one before is shown; the late packet completes it."""
    packets = [packet for _, packet in video_packets("VP8", 2.05)]
    complete = len(packets) - sum(packet[4:8] == packets[-1][4:8] for packet in packets)
    track, last = Track("video", Kind.VIDEO, "VP8", 90000, lambda: 0.0), LastKeyFrame("VP8")
    track.attach_key_frames(last)
    for packet in packets[:-1]:
        track.packet(packet)
    frame = last.frame()
    assert frame is not None
    assert frame.timestamp == int.from_bytes(packets[0][4:8], "big")
    track.packet(packets[-1])
    frame = last.frame()
    assert frame is not None
    assert frame.timestamp == int.from_bytes(packets[complete][4:8], "big")


async def test_a_picture_is_made_once() -> None:
    """Any number of viewers of one key frame cost one decoding; the next key frame is decoded anew."""
    packets = [packet for _, packet in video_packets("VP8", 4.1)]
    last = last_key_frame(packets[: len(packets) // 2])
    thumbnails = Thumbnails()
    thumbnails.show("live", "s", last)
    first = await asyncio.gather(*(thumbnails.png("live", "s") for _ in range(10)))
    assert len({id(each) for each in first}) == 1


async def test_no_stream_no_picture() -> None:
    """A stream that is not live, that is over, or that has sent no key frame has no thumbnail."""
    thumbnails = Thumbnails()
    assert await thumbnails.png("live", "s") is None
    last = last_key_frame([])
    thumbnails.show("live", "s", last)
    assert await thumbnails.png("live", "s") is None
    last = last_key_frame([packet for _, packet in video_packets("VP8", 0.5)])
    thumbnails.show("live", "s", last)
    assert await thumbnails.png("live", "s") is not None
    thumbnails.hide(last)
    assert await thumbnails.png("live", "s") is None


def test_what_is_kept_is_bounded() -> None:
    """A key frame without an end does not fill the memory."""
    start = b"\x10" + video_packets("VP8", 0.1)[0][1][12:][1:]
    packets = [rtp(0, 1, start)] + [rtp(number, 1, b"\x00x") for number in range(1, MAX_PACKETS + 100)]
    assert len(last_key_frame(packets)._collecting) <= MAX_PACKETS


def test_a_large_picture_is_made_smaller() -> None:
    """A thumbnail is a thumbnail, and keeps the picture's shape."""
    encoder: Any = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 1920, 1080, "yuv420p"
    encoder.time_base = encoder.framerate = 1
    frame = av.VideoFrame(1920, 1080, "yuv420p")
    for plane in frame.planes:
        plane.update(bytes([90]) * plane.buffer_size)
    frame.pts = 0
    data = bytes((encoder.encode(frame) + encoder.encode(None))[0])
    assert size_of(decode(data, b"", "VP8")) == (MAX_SIDE, 360)


def test_a_picture_of_absurd_size_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key frame that claims more pixels than any camera has is refused before memory is taken for them."""
    frame = pattern_loop("VP8").frames[0]
    assert decode(frame, b"", "VP8")
    monkeypatch.setattr(module, "MAX_PIXELS", 100)
    with pytest.raises(ThumbnailError, match="cannot be decoded"):
        decode(frame, b"", "VP8")


def test_asking_again_does_not_put_the_frame_together_again() -> None:
    """The same frame is found at once, until there is another; one that is not complete is looked for only when more came."""
    packets = [packet for _, packet in video_packets("VP8", 3)]
    last = last_key_frame(packets)
    first = last.frame()
    assert first is not None
    assert last.frame() is first
    track, later = Track("video", Kind.VIDEO, "VP8", 90000, lambda: 0.0), LastKeyFrame("VP8")
    track.attach_key_frames(later)
    for packet in packets[:2]:
        track.packet(packet)
    before = later.frame()
    for packet in packets[2:]:
        track.packet(packet)
    assert later.frame() != before
    assert later.frame() == first


@pytest.mark.parametrize("codec", ["VP8", "H264"])
@pytest.mark.parametrize("data", [b"", b"rubbish", bytes(2000), b"\x10\x02\x00\x9d\x01\x2a\x10\x00\x10\x00"])
def test_what_cannot_be_decoded_is_told(codec: str, data: bytes) -> None:
    """A damaged key frame is an error of one sentence, and nothing else."""
    with pytest.raises(ThumbnailError, match="the last key frame"):
        decode(data, b"", codec)
