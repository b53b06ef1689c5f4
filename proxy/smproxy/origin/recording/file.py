"""One recording on disk. Blocking: for the writer's thread.

What was written is on its way to the disk when ``write`` returns, and the file is complete as it then is: nothing is lost when
the process is killed but what was not written yet.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import NamedTuple

from smproxy.origin.recording.matroska import CLUSTER, HEADER_SIZE, Header, TrackEntry, cluster, read_header
from smproxy.origin.recording.names import WEBM, kept_path
from smproxy.signaling.payloads import Kind

_log = logging.getLogger(__name__)

#: Milliseconds that a cluster may span; a block's time counts from it in 16 bits.
_MAX_CLUSTER = 5000


class Placed(NamedTuple):
    """A frame and its time from the start of this take; ``at`` and ``length`` in ms."""

    kind: Kind
    at: int
    data: bytes
    key: bool
    length: int


class Removed(OSError):
    """The file was deleted while it was written."""


class RecordingFile:
    """A file that is open for writing. Made by :meth:`open`, ended by :meth:`close`."""

    def __init__(self, descriptor: int, header: Header) -> None:
        self._descriptor = descriptor
        self._header = header
        self._start = header.duration  # where this take begins, in ms
        self._last: dict[Kind, int] = {}

    @classmethod
    def open(cls, path: Path, *, append: bool, codecs: dict[Kind, str]) -> RecordingFile:
        """Open a file to write: one of that name is continued, or kept under another name.

        Raises:
            OSError: the file cannot be made.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        if append and (found := cls._continue(path, codecs)) is not None:
            return found
        if os.path.lexists(path):
            kept = kept_path(path)
            path.rename(kept)
            _log.info("the earlier recording %s is now %s", path, kept.name)
        header = Header(webm=path.suffix == WEBM)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        file = cls(descriptor, header)
        try:
            file._pwrite(header.write(), 0)
        except OSError:
            file.close()
            path.unlink()
            raise
        return file

    @classmethod
    def _continue(cls, path: Path, codecs: dict[Kind, str]) -> RecordingFile | None:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        except OSError as error:  # a link, a directory, or not ours to write to
            _log.warning("%s cannot be continued (%s): it is kept, and a new recording is begun", path, error.strerror)
            return None
        try:
            header = read_header(os.pread(descriptor, HEADER_SIZE, 0))
        except OSError:  # what has the name is no file
            header = None
        size = os.fstat(descriptor).st_size
        known = {} if header is None else header.tracks
        differ = any(codecs.get(kind, entry.codec) != entry.codec for kind, entry in known.items())
        if header is None or header.end > size or differ or not _has_clusters(descriptor, header):
            os.close(descriptor)
            _log.warning("%s cannot be continued: it is kept, and a new recording is begun", path)
            return None
        # Cut off what was written when a process was killed, but is not part of the file yet.
        os.ftruncate(descriptor, header.end)
        return cls(descriptor, header)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._header.end

    @property
    def duration(self) -> int:
        """How long the file plays, in ms."""
        return self._header.duration

    @property
    def has_sound(self) -> bool:
        """Whether there is a track of sound, as in a file that is continued."""
        return Kind.AUDIO in self._header.tracks

    def extend(self, until: int) -> None:
        """Let the file play for so many ms of this take at least: the last picture stays.

        Raises:
            OSError: the header cannot be written.
        """
        if self._start + until > self._header.duration:
            self._header.duration = self._start + until
            self._pwrite(self._header.write(), 0)

    def describe(self, kind: Kind, codec: str, *, private: bytes = b"", width: int = 0, height: int = 0) -> None:
        """Add a track, unless there is one of the kind.

        Parameters that change later are in the frames themselves.
        """
        self._header.tracks.setdefault(kind, TrackEntry(kind, codec, private, width, height))

    def write(self, frames: list[Placed]) -> int:
        """Append frames of described tracks, and bring the header up to date.

        Return the bytes that were added.

        A frame that is placed before one of its track is moved behind it.

        Raises:
            OSError: the disk is full or gone, or the file was removed.
        """
        header = self._header
        if not os.fstat(self._descriptor).st_nlink:
            raise Removed("the file was deleted while it was written")
        before = header.end, header.duration
        try:
            self._write(frames)
            self._pwrite(header.write(), 0)
        except OSError:
            self._cut_back(*before)
            raise
        return header.end - before[0]

    def _write(self, frames: list[Placed]) -> None:
        header = self._header
        blocks: list[tuple[Kind, int, bool, bytes]] = []
        for frame in frames:
            at = max(self._start + frame.at, self._last.get(frame.kind, -1) + 1)
            self._last[frame.kind] = at
            starts = frame.key and frame.kind is Kind.VIDEO
            if blocks and (starts or abs(at - blocks[0][1]) > _MAX_CLUSTER):
                self._append(blocks)
                blocks = []
            blocks.append((frame.kind, at, frame.key, frame.data))
            header.duration = max(header.duration, at + frame.length)
        if blocks:
            self._append(blocks)

    def _cut_back(self, end: int, duration: int) -> None:
        """Go back to what the header on the disk says, after a write that failed."""
        self._header.end, self._header.duration = end, duration
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, end)

    def _append(self, blocks: list[tuple[Kind, int, bool, bytes]]) -> None:
        header = self._header
        kind, time, key, _ = blocks[0]
        if key and (kind is Kind.VIDEO or Kind.VIDEO not in header.tracks):
            header.add_to_index(time, header.end)
        data = cluster(time, blocks)
        self._pwrite(data, header.end)
        header.end += len(data)

    def _pwrite(self, data: bytes, position: int) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, position)
            view, position = view[written:], position + written

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _has_clusters(descriptor: int, header: Header) -> bool:
    """Return whether the first and the last cluster of the index begin as clusters do.

    What a crash lost reads as zeros.
    """
    places = [HEADER_SIZE, *(position for _, position in header.index[-1:])]
    return header.end == HEADER_SIZE or all(os.pread(descriptor, 4, place) == CLUSTER for place in places)
