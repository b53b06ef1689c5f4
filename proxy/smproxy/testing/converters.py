"""From packets of a file to frames that can be sent.

Passed through where they fit, else encoded anew. Blocking.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any, NamedTuple

import av
import av.filter
from av.video.frame import PictureType

from smproxy.testing.media import CLOCK_RATE, Codec, Kind, opus_encoder, video_encoder

#: Frames between key frames of what is encoded anew.
_KEY_FRAME_EVERY = 60
#: Packets since a key frame that are kept so that another key frame can be made in between.
_MAX_KEPT = 600
#: Seconds between two pictures while the last one stays.
_STILL = Fraction(1, 5)
#: An Opus packet of 20 ms of silence.
_SILENCE = b"\xf8\xff\xfe"

#: What turns a picture upright, by the rotation that a file asks for, in degrees against the clock.
_TURNS = {90: ("transpose=cclock",), 180: ("hflip", "vflip"), -90: ("transpose=clock",)}


class Converted(NamedTuple):
    """A frame to send; ``at`` and ``length`` in seconds of the file."""

    data: bytes
    at: Fraction
    length: Fraction


class Converter(ABC):
    """Turns the packets of one track into frames, over all rounds of the file."""

    @abstractmethod
    def begin(self, stream: Any) -> None:
        """Begin with a round."""

    @abstractmethod
    def convert(self, packet: Any, *, key: bool) -> list[Converted]:
        """Return the frames of a packet; ``key`` when the next picture is to be a key frame."""

    def flush(self) -> list[Converted]:
        """Return what is left at the end of a round."""
        return []

    @abstractmethod
    def fill(self, *, key: bool) -> Converted:
        """Return what stands for the track after its end."""


def converter_for(path: str, index: int, kind: Kind, codec: Codec) -> Converter:
    """Choose how a track is sent."""
    with av.open(path) as container:
        stream: Any = container.streams[index]
        name = stream.codec_context.name
        if kind == "audio":
            return PassedSound() if name in ("opus", "libopus") else EncodedSound()
        # A frame that refers to a later one cannot be sent in the order of presentation.
        fits = name in {"VP8": ("vp8", "libvpx"), "H264": ("h264",)}[codec] and not stream.codec_context.has_b_frames
        if fits and not next((frame.rotation for frame in container.decode(stream)), 0):
            return PassedPictures(codec)
        return EncodedPictures(codec)


class PassedSound(Converter):
    """Opus as it is."""

    def begin(self, stream: Any) -> None:
        """Begin with a round."""

    def convert(self, packet: Any, *, key: bool) -> list[Converted]:
        """Return the frame of a packet."""
        if packet.size == 0 or packet.pts is None or packet.time_base is None:
            return []
        tick = Fraction(packet.time_base)
        return [Converted(bytes(packet), packet.pts * tick, (packet.duration or 0) * tick)]

    def fill(self, *, key: bool) -> Converted:
        """Return silence."""
        return Converted(_SILENCE, Fraction(0), Fraction(1, 50))


class EncodedSound(Converter):
    """Sound that is decoded and encoded as Opus."""

    def __init__(self) -> None:
        self._encoder = opus_encoder()
        self._samples = 0

    def begin(self, stream: Any) -> None:
        """Begin with a round; the encoder goes on, so that listeners hear one stream."""
        self._resampler = av.AudioResampler(format="s16", layout="stereo", rate=CLOCK_RATE["audio"], frame_size=960)

    def convert(self, packet: Any, *, key: bool) -> list[Converted]:
        """Return the frames of a packet."""
        return [each for frame in packet.decode() for each in self._encode(frame)]

    def flush(self) -> list[Converted]:
        """Return the rest, which fills no whole frame."""
        return self._encode(None)

    def _encode(self, frame: Any) -> list[Converted]:
        converted: list[Converted] = []
        for chunk in self._resampler.resample(frame):
            at = (chunk.pts or 0) * Fraction(chunk.time_base or 0)
            if chunk.samples < 960:
                continue
            chunk.pts, self._samples = self._samples, self._samples + 960
            converted += [Converted(bytes(p), at, Fraction(1, 50)) for p in self._encoder.encode(chunk)]
        return converted

    def fill(self, *, key: bool) -> Converted:
        """Return silence."""
        return Converted(_SILENCE, Fraction(0), Fraction(1, 50))


class PictureEncoder:
    """Encodes pictures of any size; one of another size begins with a key frame."""

    def __init__(self, codec: Codec, frame_rate: Fraction) -> None:
        self._codec: Codec = codec
        self._frame_rate = frame_rate
        self._encoder: Any = None
        self._since_key = 0
        self._encoded = 0

    def encode(self, frame: Any, *, key: bool) -> bytes:
        """Return the encoded picture, empty when the encoder brings none."""
        width, height = frame.width & ~1, frame.height & ~1
        if self._encoder is None or (self._encoder.width, self._encoder.height) != (width, height):
            rate = max(300_000, width * height * 2)
            self._encoder = video_encoder(self._codec, width, height, rate, self._frame_rate)
            key = True
        frame = frame.reformat(width, height, format="yuv420p")
        self._since_key = 0 if key else self._since_key + 1
        forced = key or self._since_key >= _KEY_FRAME_EVERY
        self._since_key = 0 if forced else self._since_key
        frame.pict_type = PictureType.I if forced else PictureType.NONE
        # A time line of its own: it must rise, whatever the file's does where it begins again.
        frame.pts, frame.time_base = self._encoded * 3000, Fraction(1, CLOCK_RATE["video"])
        self._encoded += 1
        return b"".join(bytes(packet) for packet in self._encoder.encode(frame))


class EncodedPictures(Converter):
    """Pictures that are decoded, turned upright and encoded."""

    def __init__(self, codec: Codec) -> None:
        self._codec: Codec = codec
        self._encoder: PictureEncoder | None = None
        self._last: Any = None
        self._next = Fraction(0)

    def begin(self, stream: Any) -> None:
        """Begin with a round; the encoder goes on, so that browsers see one stream."""
        self._frame_time = 1 / Fraction(stream.average_rate or 30)
        if self._encoder is None:
            self._encoder = PictureEncoder(self._codec, 1 / self._frame_time)

    def convert(self, packet: Any, *, key: bool) -> list[Converted]:
        """Return the frames of a packet."""
        converted: list[Converted] = []
        for frame in packet.decode():
            at = self._next if frame.pts is None else frame.pts * Fraction(frame.time_base)
            self._next = at + self._frame_time
            self._last = _upright(frame)
            converted += self._encode(at, self._frame_time, key=key and not converted)
        return converted

    def _encode(self, at: Fraction, length: Fraction, *, key: bool) -> list[Converted]:
        assert self._encoder is not None
        data = self._encoder.encode(self._last, key=key)
        return [Converted(data, at, length)] if data else []

    def fill(self, *, key: bool) -> Converted:
        """Return the last picture once more."""
        return (self._encode(Fraction(0), _STILL, key=key) or self._encode(Fraction(0), _STILL, key=True))[0]


class PassedPictures(Converter):
    """Pictures as they are.

    Where a key frame is wanted that the file has not, those up to its next one are encoded anew.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec: Codec = codec
        self._since_key: list[Any] = []
        self._decoder: Any = None
        self._encoder: PictureEncoder | None = None
        self._last: Any = None

    def begin(self, stream: Any) -> None:
        """Begin with a round, which is with a key frame."""
        self._stream = stream
        self._frame_time = 1 / Fraction(stream.average_rate or 30)
        self._filter: Any = None
        if stream.codec_context.name == "h264" and (stream.codec_context.extradata or b"").startswith(b"\x01"):
            self._filter = av.BitStreamFilterContext("h264_mp4toannexb", stream)
        self._leave()

    def _leave(self) -> None:
        """Encode no more: a key frame of the file comes."""
        self._since_key = []
        self._decoder = self._last = None

    def convert(self, packet: Any, *, key: bool) -> list[Converted]:
        """Return the frame of a packet."""
        if packet.size == 0 or packet.pts is None or packet.time_base is None:
            return []
        tick = Fraction(packet.time_base)
        at, length = packet.pts * tick, (packet.duration or 0) * tick or self._frame_time
        packets: list[Any] = self._filter.filter(packet) if self._filter is not None else [packet]
        if packet.is_keyframe:
            self._leave()
        if self._decoder is None and (key or len(self._since_key) >= _MAX_KEPT) and not packet.is_keyframe:
            self._decode_on(self._since_key)
            key = True
        if self._decoder is None:
            self._since_key += packets
        else:
            self._decode_on(packets)
            if self._last is not None:
                return self._encode(at, length, key=key)
        return [Converted(bytes(each), at, length) for each in packets]

    def _decode_on(self, packets: list[Any]) -> None:
        if self._decoder is None:
            self._decoder = av.CodecContext.create({"VP8": "vp8", "H264": "h264"}[self._codec], "r")
            self._decoder.thread_count = 1
            self._encoder = PictureEncoder(self._codec, 1 / self._frame_time)
        for packet in packets:
            for frame in self._decoder.decode(av.Packet(bytes(packet))):
                self._last = frame

    def _encode(self, at: Fraction, length: Fraction, *, key: bool) -> list[Converted]:
        assert self._encoder is not None
        data = self._encoder.encode(self._last, key=key)
        return [Converted(data, at, length)] if data else []

    def fill(self, *, key: bool) -> Converted:
        """Return the last picture once more."""
        if self._last is None:
            self._decode_on(self._since_key)
            key = True
        if self._last is None:
            raise ValueError("the last picture cannot be decoded")
        return (self._encode(Fraction(0), _STILL, key=key) or self._encode(Fraction(0), _STILL, key=True))[0]


def _upright(frame: Any) -> Any:
    """Return the picture as its file wants it shown."""
    turns = _TURNS.get(round(frame.rotation / 90) * 90 if frame.rotation != -180 else 180)
    if turns is None:
        return frame
    graph = av.filter.Graph()
    last: Any = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(frame.time_base)
    )
    first = last
    for turn in turns:
        name, _, argument = turn.partition("=")
        following = graph.add(name, argument)
        last.link_to(following)
        last = following
    sink = graph.add("buffersink")
    last.link_to(sink)
    graph.configure()
    first.push(frame)
    return sink.pull()
