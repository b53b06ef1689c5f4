"""The last key frame of a live stream as a picture. Kept as packets.

Decoded only when somebody asks, on another thread.
"""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import av.error

from smproxy.origin.codecs import DEPACKETIZERS
from smproxy.origin.codecs.frame import MediaFrame
from smproxy.origin.rtp_packet import RtpPacket

#: Pixels on the longer side; larger pictures are made smaller.
MAX_SIDE = 640
#: Pixels of a key frame that is decoded: 8K. A few bytes can claim a picture that fills the memory.
MAX_PIXELS = 7680 * 4320
#: Packets of one key frame; a larger one has no thumbnail.
MAX_PACKETS = 2048
#: Pictures that are decoded at the same time, for all streams of an origin.
_AT_ONCE = 2
_DECODERS = {"VP8": "vp8", "H264": "h264"}


class ThumbnailError(ValueError):
    """A key frame that cannot be made into a picture."""


class LastKeyFrame:
    """A sink for key frames.

    The packets of the last one, and of the one before while the last may be incomplete.
    """

    __slots__ = ("_collecting", "_found", "_found_in", "_previous", "_timestamp", "cached", "codec", "lock")

    def __init__(self, codec: str) -> None:
        self.codec = codec
        self._timestamp = -1
        self._collecting: list[RtpPacket] = []
        self._previous: list[RtpPacket] = []
        #: The frame that was looked for last, and in what.
        self._found: MediaFrame | None = None
        self._found_in = (-1, 0)
        self.lock = asyncio.Lock()
        #: The picture that was made last, and of which key frame.
        self.cached: tuple[bytes, bytes] | None = None

    def __call__(self, packet: RtpPacket) -> None:
        """Take a packet of a key frame."""
        if packet.timestamp != self._timestamp:
            if self._collecting:
                self._previous = self._collecting
            self._collecting = []
            self._timestamp = packet.timestamp
        if len(self._collecting) < MAX_PACKETS:
            self._collecting.append(packet)

    def frame(self) -> MediaFrame | None:
        """Return the last key frame that is complete."""
        there = self._timestamp, len(self._collecting)
        if there != self._found_in:  # whoever asks again and again is not to cost the media its time
            self._found_in = there
            found = (_assemble(packets, self.codec) for packets in (self._collecting, self._previous) if packets)
            self._found = next((frame for frame in found if frame is not None), None)
        return self._found


def _assemble(packets: list[RtpPacket], codec: str) -> MediaFrame | None:
    depacketizer = DEPACKETIZERS[codec]()
    frames = (frame for packet in sorted(packets, key=_number) for frame in depacketizer.push(packet))
    return next((frame for frame in frames if frame.key), None)


def _number(packet: RtpPacket) -> int:
    return packet.number


@dataclass(frozen=True, slots=True)
class StreamKey:
    scope: str
    stream: str


class Thumbnails:
    """The key frames of an origin's live streams. Keys are (scope, stream)."""

    def __init__(self) -> None:
        self._shown: dict[StreamKey, LastKeyFrame] = {}
        self._decoding = asyncio.Semaphore(_AT_ONCE)

    def show(self, scope: str, stream: str, last: LastKeyFrame) -> None:
        """Let a stream's pictures be had."""
        self._shown[StreamKey(scope, stream)] = last

    def hide(self, last: LastKeyFrame) -> None:
        """Undo :meth:`show`."""
        for key in [key for key, each in self._shown.items() if each is last]:
            del self._shown[key]

    async def png(self, scope: str, stream: str) -> bytes | None:
        """Return the last key frame of a live stream as PNG.

        ``None`` when there is no such stream or no picture yet.

        Raises:
            ThumbnailError: it cannot be decoded.
        """
        last = self._shown.get(StreamKey(scope, stream))
        if last is None:
            return None
        async with last.lock:  # whoever waited finds the picture made
            frame = last.frame()
            if frame is None:
                return None
            if last.cached is not None and last.cached[0] == frame.data:
                return last.cached[1]
            async with self._decoding:
                png = await asyncio.to_thread(decode, frame.data, frame.config, last.codec)
            last.cached = frame.data, png
            return png


def decode(data: bytes, config: bytes, codec: str) -> bytes:
    """Decode one key frame and encode it as PNG. Blocking.

    Raises:
        ThumbnailError: it cannot be decoded.
    """
    try:
        decoder: Any = av.CodecContext.create(_DECODERS[codec], "r")
        decoder.thread_count = 1
        decoder.options = {"max_pixels": str(MAX_PIXELS)}
        if config:
            decoder.extradata = config
        pictures = decoder.decode(av.Packet(data)) + decoder.decode(None)
        if not pictures:
            raise ThumbnailError("the last key frame holds no picture")
        picture = pictures[0]
        scale = min(MAX_SIDE / max(picture.width, picture.height), 1)
        width, height = max(round(picture.width * scale), 1), max(round(picture.height * scale), 1)
        output = io.BytesIO()
        encoder: Any = av.CodecContext.create("png", "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "rgb24"
        encoder.time_base = Fraction(1, 25)
        for packet in encoder.encode(picture.reformat(width=width, height=height, format="rgb24")) + encoder.encode(
            None
        ):
            output.write(bytes(packet))
    except (av.error.FFmpegError, OSError, MemoryError) as error:
        raise ThumbnailError(f"the last key frame cannot be decoded: {error}") from None
    return output.getvalue()
