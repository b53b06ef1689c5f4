"""Real VP8, H264 and Opus through the forwarding core: what a subscriber is sent decodes to the publisher's very pictures."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import pytest
from aiortc import RTCRtpCodecParameters
from aiortc.codecs import depayload, get_encoder
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket
from smproxy.origin.forward import DownTrack, TrackForwarder
from smproxy.origin.track import Track
from smproxy.signaling.payloads import Kind
from smproxy.testing.media import Codec, Loop, pattern_loop, tone_loop

from tests.fake_clock import FakeTime

CODECS: list[Codec] = ["VP8", "H264"]


class Camera:
    """Plays the test pattern into a track, packetised as aiortc does."""

    def __init__(self, codec: Codec) -> None:
        self.clock = FakeTime()
        self.codec = codec
        self.loop = pattern_loop(codec)
        self.track = Track("video_main", Kind.VIDEO, codec, 90000, self.clock)
        self.track.started = True
        self.forwarder = TrackForwarder(self.track)
        self._encoder = get_encoder(RTCRtpCodecParameters(mimeType=f"video/{codec}", clockRate=90000))
        self._sequence = 65000
        self._timestamp = 0xFFFFF000
        self.index = 0

    def packets(self) -> list[bytes]:
        """Return the next frame's packets."""
        packet = av.Packet(self.loop.frames[self.index])
        packet.pts, packet.time_base = 0, Fraction(1, 90000)
        payloads, _ = self._encoder.pack(packet)
        made: list[bytes] = []
        for payload in payloads:
            rtp = RtpPacket(payload_type=97, sequence_number=self._sequence & 0xFFFF)
            rtp.timestamp, rtp.ssrc, rtp.payload = self._timestamp & 0xFFFFFFFF, 7, payload
            rtp.marker = int(payload is payloads[-1])
            made.append(rtp.serialize())
            self._sequence += 1
        self.index = (self.index + 1) % len(self.loop.frames)
        self._timestamp += self.loop.ticks
        self.clock.now += self.loop.ticks / 90000
        return made

    def play(self, frames: int) -> None:
        for _ in range(frames):
            for data in self.packets():
                self.track.packet(data)


class Screen:
    """Assembles and decodes what a sender sends."""

    def __init__(self, camera: Camera) -> None:
        self.full = False
        self.pictures: list[str] = []
        self._codec = RTCRtpCodecParameters(mimeType=f"video/{camera.codec}", clockRate=90000, payloadType=96)
        self._jitter = JitterBuffer(capacity=1024, is_video=True)
        self._decoder: Any = av.CodecContext.create(camera.codec.lower(), "r")
        self.sender = DownTrack(
            kind=Kind.VIDEO,
            codec=camera.codec,
            clock_rate=90000,
            ssrc=4242,
            payload_type=96,
            write=self._write,
            monotonic=camera.clock,
            rng=random.Random(1),
        )

    def _write(self, packets: Sequence[bytes]) -> bool:
        if self.full:
            return False
        for data in packets:
            packet: Any = RtpPacket.parse(data)
            packet._data = depayload(self._codec, packet.payload)
            _, frame = self._jitter.add(packet)
            while frame is not None:
                self.pictures += [digest(each) for each in self._decoder.decode(av.Packet(frame.data))]
                _, frame = self._jitter.add(packet)
        return True


def digest(frame: Any) -> str:
    hashed = hashlib.sha256()
    for plane in frame.planes:
        data = memoryview(plane)
        for row in range(plane.height):  # a line is padded with whatever was there
            hashed.update(data[row * plane.line_size : row * plane.line_size + plane.width])
    return hashed.hexdigest()


def originals(loop: Loop, codec: Codec) -> list[str]:
    """What the pattern's frames decode to when they are not sent anywhere."""
    decoder: Any = av.CodecContext.create(codec.lower(), "r")
    return [digest(each) for data in loop.frames for each in decoder.decode(av.Packet(data))]


@pytest.mark.parametrize("codec", CODECS)
def test_a_newcomer_sees_the_publishers_pictures_from_the_key_frame_on(codec: Codec) -> None:
    """Whoever comes in the middle decodes every picture since the key frame, bit for bit, without a request."""
    camera = Camera(codec)
    camera.play(11)
    screen = Screen(camera)
    screen.sender.attach(camera.forwarder)
    camera.play(40)
    expected = originals(camera.loop, codec)
    # The last frame is still in the jitter buffer: nothing came after it.
    assert screen.pictures == (expected + expected)[:50]
    assert screen.sender.frames == 51
    assert screen.sender.key_frames == 2


@pytest.mark.parametrize("codec", CODECS)
def test_lost_packets_that_were_asked_for_complete_the_picture(codec: Codec) -> None:
    """A packet lost on the publisher's leg and sent again, or lost on the way to the subscriber, costs no picture."""
    camera = Camera(codec)
    screen = Screen(camera)
    screen.sender.attach(camera.forwarder)
    camera.play(5)
    frame = camera.packets()
    lost, *others = frame + camera.packets()
    for data in [*others, lost]:
        camera.track.packet(data)
    written, forget = screen.sender._write, False
    missed: list[bytes] = []

    def lossy(packets: Sequence[bytes]) -> bool:
        if forget:
            missed.extend(packets)
            return True
        return written(packets)

    screen.sender._write = lossy
    forget = True
    camera.play(1)
    forget = False
    camera.play(2)
    camera.clock.now += 1
    assert screen.sender.nack([int.from_bytes(data[2:4], "big") for data in missed]) == len(missed) > 0
    camera.play(2)
    assert screen.pictures == originals(camera.loop, codec)[:11]


@pytest.mark.parametrize("codec", CODECS)
def test_a_stalled_subscriber_sees_no_broken_picture(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a stall beyond the patience with a full socket the next picture is a key frame's, and all after it are right."""
    monkeypatch.setattr("smproxy.origin.forward.track_forwarder.MAX_LAG", 5)
    camera = Camera(codec)
    screen = Screen(camera)
    screen.sender.attach(camera.forwarder)
    camera.play(3)
    screen.full = True
    camera.play(20)
    screen.full = False
    camera.play(17)
    expected = originals(camera.loop, codec)
    assert screen.pictures == expected[:3] + expected[:9]
    assert screen.sender.dropped == 27


def test_opus_arrives_as_it_was_sent() -> None:
    """Sound is passed on byte by byte with its timestamps."""
    clock = FakeTime()
    track = Track("audio_main", Kind.AUDIO, "opus", 48000, clock)
    forwarder = TrackForwarder(track)
    sent: list[RtpPacket] = []

    def write(packets: Sequence[bytes]) -> bool:
        sent.extend(map(RtpPacket.parse, packets))
        return True

    sender = DownTrack(
        kind=Kind.AUDIO,
        codec="opus",
        clock_rate=48000,
        ssrc=1,
        payload_type=111,
        write=write,
        monotonic=clock,
        rng=random.Random(1),
    )
    sender.attach(forwarder)
    loop = tone_loop()
    for number, payload in enumerate(loop.frames):
        rtp = RtpPacket(payload_type=96, sequence_number=number, timestamp=number * loop.ticks, ssrc=7, payload=payload)
        track.packet(rtp.serialize())
    decoder: Any = av.CodecContext.create("opus", "r")
    decoder.sample_rate = 48000
    samples = sum(frame.samples for each in sent for frame in decoder.decode(av.Packet(each.payload)))
    assert [each.payload for each in sent] == list(loop.frames)
    assert {(after.timestamp - before.timestamp) & 0xFFFFFFFF for before, after in pairwise(sent)} == {960}
    assert samples == pytest.approx(len(loop.frames) * 960, abs=960)
