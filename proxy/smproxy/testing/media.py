"""Encoded media that costs next to nothing to send.

A test pattern and a tone, encoded once and looped for ever.

aiortc packetises an ``av.Packet`` without encoding it, so any number of publishers share one encoding.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import av
import av.filter
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.video.frame import PictureType

from smproxy.testing.pace import Pace

Kind: TypeAlias = Literal["audio", "video"]
Codec: TypeAlias = Literal["VP8", "H264"]

#: RTP clock rates (RFC 7741, RFC 6184, RFC 7587).
CLOCK_RATE: dict[Kind, int] = {"audio": 48000, "video": 90000}

WIDTH, HEIGHT, FRAME_RATE, LOOP_SECONDS = 320, 240, 15, 2

_ENCODERS: dict[Codec, tuple[str, dict[str, str]]] = {
    "VP8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "H264": ("libx264", {"preset": "veryfast", "tune": "zerolatency", "profile": "baseline", "level": "3.1"}),
}


class Unit(NamedTuple):
    """One encoded frame.

    ``pts`` counts ticks of the kind's RTP clock from 0 and never goes back.
    """

    data: bytes
    pts: int


class FrameSource(Protocol):
    """Where a track gets its encoded frames."""

    async def read(self) -> Unit:
        """Return the next frame; raise ``MediaStreamError`` when there will be none."""

    def want_key_frame(self) -> None:
        """Bring a key frame as soon as possible."""


@dataclass(frozen=True, slots=True)
class Loop:
    """Frames of equal length that repeat; the first is a key frame."""

    frames: tuple[bytes, ...]
    ticks: int


class LoopSource:
    """Plays a loop for ever with continuous timestamps.

    A wanted key frame is had by jumping to the loop's start.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._index = 0
        self._pts = 0

    async def read(self) -> Unit:
        unit = Unit(self._loop.frames[self._index], self._pts)
        self._index = (self._index + 1) % len(self._loop.frames)
        self._pts += self._loop.ticks
        return unit

    def want_key_frame(self) -> None:
        self._index = 0


class PacedTrack(MediaStreamTrack):
    """Hands a source's frames to aiortc when they are due; without a source, never any."""

    def __init__(self, kind: Kind, source: FrameSource | None) -> None:
        super().__init__()
        self.kind = kind
        self._source = source
        self._rate = CLOCK_RATE[kind]
        self._pace = Pace()

    def want_key_frame(self) -> None:
        """Pass a picture loss indication on to the source."""
        if self._source is not None:
            self._source.want_key_frame()

    async def recv(self) -> Any:
        """Wait for the next frame and return it as an ``av.Packet``."""
        if self.readyState != "live":
            raise MediaStreamError
        if self._source is None:
            await asyncio.Event().wait()  # until the sender is stopped, which cancels this
            raise MediaStreamError
        unit = await self._source.read()
        await self._pace.until(unit.pts / self._rate)
        packet = av.Packet(unit.data)
        packet.pts = unit.pts
        packet.time_base = Fraction(1, self._rate)
        return packet


def video_encoder(codec: Codec, width: int, height: int, bit_rate: int, frame_rate: Fraction) -> Any:
    """Open an encoder for browsers.

    No frames that refer to later ones, parameters in the stream, key frames on demand.
    """
    name, options = _ENCODERS[codec]
    encoder: Any = av.CodecContext.create(name, "w")
    encoder.width, encoder.height = width, height
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, CLOCK_RATE["video"])
    encoder.framerate = frame_rate
    encoder.bit_rate = bit_rate
    encoder.gop_size = 1000
    encoder.max_b_frames = 0
    encoder.thread_count = 1
    encoder.options = options
    return encoder


def opus_encoder() -> Any:
    """Open an Opus encoder for frames of 960 samples, 20 ms."""
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.format = "s16"
    encoder.layout = "stereo"
    encoder.sample_rate = CLOCK_RATE["audio"]
    encoder.bit_rate = 24_000
    encoder.open()
    return encoder


@cache
def pattern_loop(codec: Codec) -> Loop:
    """Encode the moving test pattern (about 50 ms of work, once per process and codec)."""
    graph = av.filter.Graph()
    source = graph.add("testsrc2", f"size={WIDTH}x{HEIGHT}:rate={FRAME_RATE}:duration={LOOP_SECONDS}")
    sink = graph.add("buffersink")
    source.link_to(form := graph.add("format", "yuv420p"))
    form.link_to(sink)
    graph.configure()
    encoder = video_encoder(codec, WIDTH, HEIGHT, 150_000, Fraction(FRAME_RATE))
    ticks = CLOCK_RATE["video"] // FRAME_RATE
    packets: list[Any] = []
    for number in range(FRAME_RATE * LOOP_SECONDS):
        frame: Any = sink.pull()
        frame.pts, frame.time_base = number * ticks, encoder.time_base
        frame.pict_type = PictureType.NONE  # the source marks every picture as a key frame
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return Loop(tuple(bytes(packet) for packet in packets), ticks)


@cache
def tone_loop() -> Loop:
    """Encode a 440 Hz tone; a whole number of periods, so that the loop has no seam."""
    rate = CLOCK_RATE["audio"]
    graph = av.filter.Graph()
    source = graph.add("sine", f"frequency=440:sample_rate={rate}:duration={LOOP_SECONDS}:samples_per_frame=960")
    sink = graph.add("abuffersink")
    source.link_to(form := graph.add("aformat", "sample_fmts=s16:channel_layouts=stereo"))
    form.link_to(sink)
    graph.configure()
    encoder = opus_encoder()
    packets: list[Any] = []
    for _ in range(rate * LOOP_SECONDS // 960):
        packets += encoder.encode(sink.pull())
    return Loop(tuple(bytes(packet) for packet in packets), 960)
