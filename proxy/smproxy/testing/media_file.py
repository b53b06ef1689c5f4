"""A media file to publish.

What of it can be sent, and its tracks as sources that loop together.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import av
import av.error
from aiortc.mediastreams import MediaStreamError
from av.stream import Disposition

from smproxy.testing.errors import PublishError
from smproxy.testing.file_track import FileTrack, LoopTimes
from smproxy.testing.media import Codec, Kind, Unit

_T = TypeVar("_T")

#: Seconds by which tracks may differ in length without a word about it.
_MUCH_SHORTER = 0.5
#: What PyAV and its converters raise on a file that is damaged or strange.
_UNUSABLE = (av.error.FFmpegError, OSError, ValueError, ArithmeticError, MemoryError)


class MediaFile:
    """One file for up to two tracks.

    Blocking work happens on one thread of its own, which ``close`` ends.
    """

    def __init__(self, path: str | Path, codec: Codec, kinds: set[Kind]) -> None:
        self._path = str(path)
        self._codec: Codec = codec
        self._wanted = kinds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="media-file")
        self._tracks: dict[Kind, FileTrack] = {}
        #: What of the file is not sent as it is, each a sentence for who publishes it.
        self.notes: list[str] = []

    @property
    def kinds(self) -> set[Kind]:
        """The tracks that the file has, of those that were wanted."""
        return set(self._tracks)

    async def open(self) -> None:
        """Open the file.

        Raises:
            PublishError: It cannot be read, or has nothing of what was wanted.
        """
        try:
            await self.run(self._open)
            if not self._tracks:
                raise PublishError(f"{self._path} has no {' or '.join(sorted(self._wanted))}")
        except PublishError:
            await self.close()
            raise

    def source(self, kind: Kind) -> FileSource:
        """Return the source for one track."""
        return FileSource(self, self._tracks[kind])

    async def close(self) -> None:
        """End the thread and close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    async def run(self, work: Callable[[], _T]) -> _T:
        """Do blocking work on the file's thread.

        Raises:
            PublishError: The file cannot be used.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except _UNUSABLE as error:
            raise PublishError(f"{self._path}: {getattr(error, 'strerror', None) or error}") from None

    def _open(self) -> None:
        with av.open(self._path) as container:
            chosen: dict[Kind, Any] = {}
            left_out: Counter[str] = Counter()
            for stream in container.streams:
                kind: Kind | None = "video" if stream.type == "video" else "audio" if stream.type == "audio" else None
                if _is_picture(stream):
                    left_out["cover picture"] += 1
                elif kind is None or (kind in self._wanted and kind in chosen):
                    left_out[f"{stream.type} track"] += 1
                elif kind in self._wanted:
                    chosen[kind] = stream
            start = min((_seconds(each, each.start_time or 0) for each in chosen.values()), default=Fraction(0))
            times = LoopTimes(start)
            lengths = {kind: _length(each) for kind, each in chosen.items()}
            places = {kind: each.index for kind, each in chosen.items()}
        for kind, index in places.items():
            self._tracks[kind] = FileTrack(self._path, index, kind, self._codec, times)
        self.notes += [f"{_count(number, name)} left out" for name, number in left_out.items()]
        self._note_lengths(lengths)

    def _note_lengths(self, lengths: dict[Kind, float]) -> None:
        if len(lengths) < 2 or not all(lengths.values()):
            return
        shorter, longer = sorted(lengths, key=lambda kind: lengths[kind])
        if lengths[shorter] < lengths[longer] - _MUCH_SHORTER:
            filled = "the last picture stays" if shorter == "video" else "there is silence"
            lasts = f"{shorter} lasts {lengths[shorter]:.1f} s and {longer} {lengths[longer]:.1f} s"
            self.notes.append(f"{lasts}: {filled} until both begin again")

    def _close(self) -> None:
        for track in self._tracks.values():
            track.close()


def _is_picture(stream: Any) -> bool:
    """Return whether a stream is a picture beside the media, as the cover of a song."""
    return stream.type == "video" and bool(
        stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)
    )


def _seconds(stream: Any, ticks: int) -> Fraction:
    return Fraction(ticks) * Fraction(stream.time_base or 0)


def _length(stream: Any) -> float:
    """Return how long a stream plays, 0 when the file does not say.

    Matroska has it as a tag, ``00:00:06.000000000``.
    """
    if stream.duration:
        return float(_seconds(stream, stream.duration))
    hours, _, rest = stream.metadata.get("DURATION", "").partition(":")
    minutes, _, seconds = rest.partition(":")
    try:
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return 0.0


def _count(number: int, name: str) -> str:
    return f"{name} is" if number == 1 else f"{number} {name}s are"


class FileSource:
    """One track of a file."""

    def __init__(self, file: MediaFile, track: FileTrack) -> None:
        self._file = file
        self._track = track
        self._ready: deque[Unit] = deque()

    async def read(self) -> Unit:
        """Return the next frame.

        Raises:
            MediaStreamError: There is none any more.
        """
        while not self._ready:
            try:
                self._ready.extend(await self._file.run(self._track.read))
            except (PublishError, RuntimeError) as error:  # RuntimeError: the thread was ended meanwhile
                raise MediaStreamError(str(error)) from error
        return self._ready.popleft()

    def want_key_frame(self) -> None:
        """Let the next picture be a key frame."""
        self._track.key_frame_wanted = True
