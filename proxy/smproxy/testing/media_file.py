"""A media file as a source: passed through when its codecs are right, else decoded and encoded anew, and looped."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from aiortc.mediastreams import MediaStreamError
from av.video.frame import PictureType

from smproxy.testing.errors import PublishError
from smproxy.testing.media import CLOCK_RATE, Codec, Kind, Unit, opus_encoder, video_encoder

#: Frames that are read ahead of the one that is due, and how many of a track may wait while the other is read.
_AHEAD = 15
_BOUND = 4096
#: Frames between key frames of what is encoded anew.
_KEY_FRAME_EVERY = 60


class MediaFile:
    """Reads one file for up to two tracks. Blocking work happens on one thread of its own, which ``close`` ends."""

    def __init__(self, path: str | Path, codec: Codec, kinds: set[Kind]) -> None:
        self._path = str(path)
        self._codec: Codec = codec
        self._wanted = kinds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="media-file")
        self._reading = asyncio.Lock()
        self._queues: dict[Kind, deque[Unit]] = {}
        self._converters: dict[Kind, _Converter] = {}
        self._container: Any = None
        self._packets: Any = None
        self._base = Fraction(0)
        self._end = Fraction(0)

    @property
    def kinds(self) -> set[Kind]:
        """The tracks that the file has, of those that were wanted."""
        return set(self._queues)

    async def open(self) -> None:
        """Open the file.

        Raises:
            PublishError: It cannot be read, or has nothing of what was wanted.
        """
        await self._run(self._open)
        if not self._queues:
            await self.close()
            raise PublishError(f"{self._path} has no {' or '.join(sorted(self._wanted))}")

    def source(self, kind: Kind) -> FileSource:
        """Return the source for one track."""
        return FileSource(self, kind)

    async def read(self, kind: Kind) -> Unit:
        """Return the next frame of a track."""
        queue = self._queues[kind]
        if not queue:
            async with self._reading:
                if not queue:
                    await self._run(lambda: self._fill(queue))
        return queue.popleft()

    def want_key_frame(self, kind: Kind) -> None:
        """Ask for a key frame; a track that is passed through has only those of the file."""
        self._converters[kind].key_frame_wanted = True

    async def close(self) -> None:
        """End the thread and close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    async def _run(self, work: Any) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (av.error.FFmpegError, OSError) as error:
            raise PublishError(f"{self._path}: {error.strerror or error}") from None

    def _open(self) -> None:
        self._container = av.open(self._path)
        streams = []
        for kind in ("video", "audio"):
            found = next((s for s in self._container.streams if s.type == kind), None)
            if found is None or kind not in self._wanted:
                continue
            streams.append(found)
            converter: _Converter
            if _passes(found, self._codec):
                converter = _PassThrough(found)
            else:
                converter = _Recode(found, kind, self._codec, self._converters.get(kind))
            self._converters[kind] = converter
            self._queues.setdefault(kind, deque(maxlen=_BOUND))
        start = min((Fraction(s.start_time or 0) * s.time_base for s in streams), default=Fraction(0))
        self._base = self._end - start
        self._packets = self._container.demux(streams) if streams else iter(())

    def _fill(self, queue: deque[Unit]) -> None:
        rewound = False
        while len(queue) < _AHEAD:
            packet = next(self._packets, None)
            if packet is None:
                if rewound and not queue:
                    raise PublishError(f"{self._path} has no frames that can be sent")
                rewound = True
                self._container.close()
                self._open()
                continue
            kind: Kind = packet.stream.type
            rate = CLOCK_RATE[kind]
            for data, at, length in self._converters[kind].convert(packet):
                position = max(self._base + at, Fraction(0))
                self._end = max(self._end, position + length)
                target = self._queues[kind]
                target.append(Unit(data, int(position * rate)))

    def _close(self) -> None:
        if self._container is not None:
            self._container.close()
        self._converters.clear()


class FileSource:
    """One track of a file."""

    def __init__(self, file: MediaFile, kind: Kind) -> None:
        self._file = file
        self._kind: Kind = kind

    async def read(self) -> Unit:
        try:
            return await self._file.read(self._kind)
        except (PublishError, RuntimeError) as error:  # RuntimeError: the thread was ended meanwhile
            raise MediaStreamError(str(error)) from error

    def want_key_frame(self) -> None:
        self._file.want_key_frame(self._kind)


class _Converter:
    """Turns the packets of a stream into frames to send, as ``(data, position, length)`` in seconds of the file."""

    key_frame_wanted = False

    def convert(self, packet: Any) -> list[tuple[bytes, Fraction, Fraction]]:
        raise NotImplementedError


def _passes(stream: Any, codec: Codec) -> bool:
    context = stream.codec_context
    if stream.type == "audio":
        return bool(context.name in ("opus", "libopus"))
    # A frame that refers to a later one cannot be sent in the order of presentation.
    return bool(context.name in {"VP8": ("vp8", "libvpx"), "H264": ("h264",)}[codec] and not context.has_b_frames)


class _PassThrough(_Converter):
    def __init__(self, stream: Any) -> None:
        self._filter: Any = None
        if stream.codec_context.name == "h264" and (stream.codec_context.extradata or b"").startswith(b"\x01"):
            self._filter = av.BitStreamFilterContext("h264_mp4toannexb", stream)

    def convert(self, packet: Any) -> list[tuple[bytes, Fraction, Fraction]]:
        if packet.size == 0 or packet.time_base is None:
            return []
        tick = Fraction(packet.time_base)
        packets: list[Any] = self._filter.filter(packet) if self._filter is not None else [packet]
        return [(bytes(p), p.pts * tick, (p.duration or 0) * tick) for p in packets if p.pts is not None]


class _Recode(_Converter):
    def __init__(self, stream: Any, kind: Kind, codec: Codec, before: _Converter | None) -> None:
        self._kind: Kind = kind
        self._codec: Codec = codec
        self._rate = CLOCK_RATE[kind]
        # The encoder outlives the loop: browsers see one stream.
        self._encoder: Any = before._encoder if isinstance(before, _Recode) else None
        self._frame_rate = Fraction((stream.average_rate if kind == "video" else None) or 30)
        if kind == "audio":
            self._resampler = av.AudioResampler(format="s16", layout="stereo", rate=self._rate, frame_size=960)
            self._encoder = self._encoder or opus_encoder()
        self._since_key = _KEY_FRAME_EVERY
        self._encoded: int = before._encoded if isinstance(before, _Recode) else -1

    def convert(self, packet: Any) -> list[tuple[bytes, Fraction, Fraction]]:
        units: list[tuple[bytes, Fraction, Fraction]] = []
        for frame in packet.decode():
            units += self._video(frame) if self._kind == "video" else self._audio(frame)
        return units

    def _video(self, frame: Any) -> list[tuple[bytes, Fraction, Fraction]]:
        width, height = frame.width & ~1, frame.height & ~1
        if self._encoder is None or (self._encoder.width, self._encoder.height) != (width, height):
            self._encoder = video_encoder(
                self._codec, width, height, max(300_000, width * height * 2), self._frame_rate
            )
            self._since_key = _KEY_FRAME_EVERY
        position = (frame.pts or 0) * Fraction(frame.time_base)
        frame = frame.reformat(width, height, format="yuv420p")
        forced = self.key_frame_wanted or self._since_key >= _KEY_FRAME_EVERY
        frame.pict_type = PictureType.I if forced else PictureType.NONE
        self._since_key = 0 if forced else self._since_key + 1
        self.key_frame_wanted = False
        frame.pts, frame.time_base = self._next_pts(), Fraction(1, self._rate)
        return [(bytes(p), position, 1 / self._frame_rate) for p in self._encoder.encode(frame)]

    def _audio(self, frame: Any) -> list[tuple[bytes, Fraction, Fraction]]:
        units = []
        for chunk in self._resampler.resample(frame):
            position = (chunk.pts or 0) * Fraction(chunk.time_base or 0)
            chunk.pts = self._next_pts()
            units += [(bytes(p), position, Fraction(960, self._rate)) for p in self._encoder.encode(chunk)]
        return units

    def _next_pts(self) -> int:
        """The encoder's own time line: it must rise, whatever the file's does at its seam."""
        self._encoded += 1
        return self._encoded * (960 if self._kind == "audio" else 3000)
