"""Packets for the tests of recording: real frames, packetised as a publisher does it, and what PyAV says of a file."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from aiortc.codecs import h264, opus, vpx
from smproxy.origin.rtp_packet import RtpPacket
from smproxy.origin.track import Track
from smproxy.signaling.payloads import Kind
from smproxy.testing.media import pattern_loop, tone_loop, video_encoder


def rtp(sequence: int, timestamp: int, payload: bytes, *, marker: bool = False, ssrc: int = 1) -> bytes:
    """Write an RTP packet."""
    head = struct.pack("!BBHII", 0x80, 96 | 0x80 * marker, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
    return head + payload


class Parser:
    """Parses packets as a track does, each with its time of arrival."""

    def __init__(self, codec: str) -> None:
        self._packets: list[RtpPacket] = []
        self._now = 0.0
        kind, rate = (Kind.AUDIO, 48000) if codec == "opus" else (Kind.VIDEO, 90000)
        self._track = Track("t", kind, codec, rate, lambda: self._now)
        self._track.attach(self._packets.append)

    def __call__(self, packet: bytes, arrival: float = 0.0) -> list[RtpPacket]:
        """Return the packet, or nothing when it is of no use any more."""
        self._now = arrival
        self._packets.clear()
        self._track.packet(packet)
        return self._packets[:]


def video_packets(
    codec: str, seconds: float, *, first: int = 65530, start: int = 0xFFFFFF00
) -> list[tuple[float, bytes]]:
    """Return (seconds, packet) of a moving pattern with 15 frames a second and a key frame every 2 s."""
    encoder: Any = h264.H264Encoder() if codec == "H264" else vpx.Vp8Encoder()
    loop = pattern_loop(codec)  # type: ignore[arg-type]
    packets: list[tuple[float, bytes]] = []
    for number in range(round(seconds * 15)):
        packet = av.Packet(loop.frames[number % len(loop.frames)])
        packet.pts, packet.time_base = number * 6000, Fraction(1, 90000)
        payloads, _ = encoder.pack(packet)
        for index, payload in enumerate(payloads):
            last = index == len(payloads) - 1
            packets.append((number / 15, rtp(first + len(packets), start + number * 6000, payload, marker=last)))
    return packets


def resized_packets(codec: str, sizes: list[tuple[int, int]]) -> list[tuple[float, bytes]]:
    """Return (seconds, packet) of a second for each size of a picture that changes it, as when a phone is turned."""
    packer: Any = h264.H264Encoder() if codec == "H264" else vpx.Vp8Encoder()
    packets: list[tuple[float, bytes]] = []
    number = 0
    for width, height in sizes:
        encoder = video_encoder(codec, width, height, 150_000, Fraction(15))  # type: ignore[arg-type]
        encoded: list[Any] = []
        for index in range(15):
            frame = av.VideoFrame(width, height, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([100 + index]) * plane.buffer_size)
            frame.pts, frame.time_base = index * 6000, Fraction(1, 90000)
            encoded += encoder.encode(frame)
        for unit in encoded + encoder.encode(None):
            unit.pts, unit.time_base = number * 6000, Fraction(1, 90000)
            payloads, _ = packer.pack(unit)
            for index, payload in enumerate(payloads):
                last = index == len(payloads) - 1
                packets.append((number / 15, rtp(len(packets), number * 6000, payload, marker=last)))
            number += 1
    return packets


def audio_packets(seconds: float) -> list[tuple[float, bytes]]:
    """Return (seconds, packet) of a tone, 50 packets a second."""
    encoder: Any = opus.OpusEncoder()
    loop = tone_loop()
    packets: list[tuple[float, bytes]] = []
    for number in range(round(seconds * 50)):
        packet = av.Packet(loop.frames[number % len(loop.frames)])
        packet.pts, packet.time_base = number * 960, Fraction(1, 48000)
        payloads, _ = encoder.pack(packet)
        packets.append((number / 50, rtp(number, 1_000_000 + number * 960, payloads[0], ssrc=2)))
    return packets


@dataclass
class Watched:
    """What a player finds in a file. Times in seconds; ``errors`` of the decoders."""

    duration: float
    video: list[float]
    audio: list[float]
    sizes: list[tuple[int, int]]
    keys: int
    format: str

    @property
    def audio_end(self) -> float:
        return self.audio[-1] + 0.02


def watch(path: Path) -> Watched:
    """Decode a whole file; a decoder that finds anything wrong raises."""
    with av.open(str(path)) as container:
        for stream in container.streams:
            stream.codec_context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
            stream.codec_context.thread_count = 1
        found = Watched((container.duration or 0) / 1e6, [], [], [], 0, container.format.name)
        for packet in container.demux():
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame):
                    assert not frame.is_corrupt
                    found.video.append(float(frame.time))
                    found.keys += frame.key_frame
                    if not found.sizes or found.sizes[-1] != (frame.width, frame.height):
                        found.sizes.append((frame.width, frame.height))
                else:
                    found.audio.append(float(frame.time))
    return found


def seek(path: Path, to: float) -> float:
    """Jump in a file and return the time of the first picture that is shown there."""
    with av.open(str(path)) as container:
        container.seek(round(to * 1e6))
        return float(next(container.decode(video=0)).time)
