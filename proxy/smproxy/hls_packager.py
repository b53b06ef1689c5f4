"""Makes HLS of a live stream or a recording, in a process of its own.

Pictures become H.264 and sound AAC, whatever they were, since every HLS player takes those (RFC 8216, with MPEG-TS segments).

``python -m smproxy.hls_packager``: the job is one line of JSON on stdin; when stdin ends, so does this process, also after a
``kill -9`` of its parent. On stdout it says ``ready`` when the playlist is there, or in one line why it cannot be.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import av
from av.video.frame import PictureType

#: The playlist's name in the directory of a stream.
PLAYLIST = "index.m3u8"
#: Seconds of a segment, and how many a live playlist has.
SEGMENT_SECONDS = 1
_LISTED = 8
#: Seconds that are waited for the other kind of track after the first frame came.
_WAIT_FOR_BOTH = 1.0
_CLOCK = 90_000
_RATE = 48_000


class Packager:
    """Writes frames into segments and their playlist. Ended by :meth:`close`."""

    def __init__(self, directory: str, base: str, *, live: bool, video: tuple[int, int] | None, audio: bool) -> None:
        options = {
            "hls_time": str(SEGMENT_SECONDS),
            "hls_base_url": base,
            "hls_segment_filename": os.path.join(directory, "%05d.ts"),
            "hls_list_size": str(_LISTED) if live else "0",
            "hls_flags": "independent_segments+temp_file" + ("+delete_segments" if live else ""),
        }
        if not live:
            options["hls_playlist_type"] = "event"
        self._path = os.path.join(directory, PLAYLIST)
        self._container: Any = av.open(self._path, "w", format="hls", options=options)
        self._video: Any = None if video is None else self._add_video(*video)
        self._audio: Any = self._container.add_stream("aac", rate=_RATE, layout="stereo") if audio else None
        self._resampler = av.AudioResampler(format="fltp", layout="stereo", rate=_RATE, frame_size=1024)
        self._next_key = 0.0
        self._samples: int | None = None
        self._last_pts = -1
        self._last_dts: dict[int, int] = {}

    def _add_video(self, width: int, height: int) -> Any:
        options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
        stream: Any = self._container.add_stream("libx264", options=options)
        stream.width, stream.height = width // 2 * 2, height // 2 * 2
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, _CLOCK)
        stream.codec_context.framerate = Fraction(30)
        stream.codec_context.gop_size = 10_000  # key frames come by the clock, below
        return stream

    @property
    def ready(self) -> bool:
        """Whether the playlist is there."""
        return os.path.exists(self._path)

    def picture(self, frame: Any, seconds: float) -> None:
        """Take a decoded picture, by its time from the start."""
        if self._video is None:
            return
        if (frame.width, frame.height) != (self._video.width, self._video.height) or frame.format.name != "yuv420p":
            frame = frame.reformat(self._video.width, self._video.height, "yuv420p")
        key = seconds >= self._next_key
        if key:
            self._next_key = seconds + SEGMENT_SECONDS
        frame.pict_type = PictureType.I if key else PictureType.NONE
        frame.pts = self._last_pts = max(round(seconds * _CLOCK), self._last_pts + 1)
        frame.time_base = Fraction(1, _CLOCK)
        self._mux(self._video.encode(frame))

    def sound(self, frame: Any, seconds: float) -> None:
        """Take decoded sound, by its time from the start.

        Gaps are kept, small differences of clocks are not.
        """
        if self._audio is None:
            return
        due = round(seconds * _RATE)
        if self._samples is None or due - self._samples > _RATE // 5:
            self._samples = due
        elif self._samples - due > _RATE // 5:
            return  # what comes in one burst after a stall: time does not go back
        frame.pts, frame.time_base = self._samples, Fraction(1, frame.sample_rate)
        self._samples += frame.samples * _RATE // frame.sample_rate
        for each in self._resampler.resample(frame):
            self._mux(self._audio.encode(each))

    def close(self) -> None:
        """Write what is left, and the end of the playlist."""
        for stream in (self._video, self._audio):
            if stream is not None:
                self._mux(stream.encode(None))
        self._container.close()

    def _mux(self, packets: Iterable[Any]) -> None:
        for packet in packets:
            # What is not later than the packet before it would end the whole stream.
            if packet.dts is None or packet.dts > self._last_dts.get(packet.stream_index, packet.dts - 1):
                self._last_dts[packet.stream_index] = packet.dts or 0
                self._container.mux(packet)


def say(text: str) -> None:
    """Write one line to the parent."""
    print(" ".join(text.split()), flush=True)


async def package_live(job: dict[str, Any]) -> None:
    """Watch a stream over WHEP and package it until it ends.

    Raises:
        ValueError: the stream cannot be watched; the text says why.
    """
    from smproxy.testing import StreamError, Subscriber

    began = time.monotonic()
    waiting: list[tuple[str, Any, float]] = []
    packager: Packager | None = None
    announced = False

    def take(kind: str, frame: Any) -> None:
        nonlocal packager, announced
        seconds = time.monotonic() - began
        if packager is None:
            waiting.append((kind, frame, seconds))
            kinds = {each for each, _, _ in waiting}
            if len(kinds) < 2 and seconds - waiting[0][2] < _WAIT_FOR_BOTH:
                return
            size = next(((each.width, each.height) for of, each, _ in waiting if of == "video"), None)
            packager = Packager(job["directory"], job["base"], live=True, video=size, audio="audio" in kinds)
            for of, each, at in waiting:
                _put(packager, of, each, at)
            waiting.clear()
        else:
            _put(packager, kind, frame, seconds)
        if not announced and packager.ready:
            announced = True
            say("ready")

    subscriber = Subscriber(
        job["url"],
        stream=job["stream"],
        transport="whep",
        data_channel=False,
        on_picture=lambda frame: take("video", frame),
        on_sound=lambda frame: take("audio", frame),
    )
    over = asyncio.Event()
    _end_with_parent(asyncio.get_running_loop(), over)
    try:
        async with subscriber:
            ways = [asyncio.ensure_future(each.wait()) for each in (subscriber.closed, over)]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for each in ways:
                each.cancel()
    except StreamError as error:
        raise ValueError(str(error)) from None
    finally:
        if packager is not None:
            packager.close()


def package_file(job: dict[str, Any]) -> None:
    """Package a recording.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        with av.open(job["file"]) as source:
            videos, audios = source.streams.video, source.streams.audio
            size = (videos[0].width, videos[0].height) if videos else None
            packager = Packager(job["directory"], job["base"], live=False, video=size, audio=bool(audios))
            announced = False
            for frame in source.decode(*videos[:1], *audios[:1]):
                kind = "video" if isinstance(frame, av.VideoFrame) else "audio"
                _put(packager, kind, frame, float(frame.time or 0.0))
                if not announced and packager.ready:
                    announced = True
                    say("ready")
            packager.close()
            if not announced:
                say("ready")
    except (av.FFmpegError, OSError) as error:
        raise ValueError(f"the recording cannot be read: {error}") from None


def _put(packager: Packager, kind: str, frame: Any, seconds: float) -> None:
    if kind == "video":
        packager.picture(frame, seconds)
    else:
        packager.sound(frame, seconds)


def _end_with_parent(loop: asyncio.AbstractEventLoop | None = None, over: asyncio.Event | None = None) -> None:
    """End this process when stdin ends; set ``over`` when something comes on it."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                if loop is not None and over is not None:
                    loop.call_soon_threadsafe(over.set)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def main() -> int:
    """Do the job that is on stdin."""
    line = b""
    while not line.endswith(b"\n"):
        if not (more := os.read(0, 1)):
            return 0
        line += more
    job = json.loads(line)
    try:
        if "file" in job:
            _end_with_parent()
            package_file(job)
        else:
            asyncio.run(package_live(job))
    except ValueError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
