"""Recordings as the event loop sees them: begun, reported, ended.

Writing happens on the writer's thread.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from smproxy.log_fields import About
from smproxy.origin.recording.disk_space import RecordingStore
from smproxy.origin.recording.names import MATROSKA, WEBM, relative_path
from smproxy.origin.recording.recording import QueuedPacket, Recording, RecordingOutcome
from smproxy.origin.recording.writer import RecordingWriter
from smproxy.origin.rtp_packet import RtpPacket
from smproxy.origin.track import Track
from smproxy.signaling.node_channel import RecordingEnded, RecordingStarted, ReportTo
from smproxy.signaling.payloads import Kind

_log = logging.getLogger(__name__)

#: Packets that may wait for the writer, about 20 s of 720p; when the disk is slower the recording loses what comes then.
QUEUE = 8192
#: Packets of a stream that are kept before it is known whether it is to be recorded.
PREROLL = 512
_NO_DIRECTORY = "recordings have no directory: start with --recordings DIR, or with a --data-dir other than :memory:"


class _QueueSink:
    """The sink of one track."""

    __slots__ = ("_kind", "_track", "limit", "lost", "on_loss", "queue")

    def __init__(self, track: Track, queue: deque[QueuedPacket]) -> None:
        self.queue = queue
        self.limit = PREROLL
        self.lost = 0
        self.on_loss: Callable[[], None] | None = None
        self._track = track
        self._kind = track.kind

    def __call__(self, packet: RtpPacket) -> None:
        if len(self.queue) < self.limit:
            self.queue.append(QueuedPacket(self._kind, packet, self._track.last_report))
        else:
            self.lost += 1
            if self.lost == 1 and self.on_loss is not None:
                self.on_loss()


class RecordingRequest:
    """The recording of one publisher, if there is to be one.

    Made with its tracks, then ``started``, then ``ended``.

    It takes the packets from the beginning, because the first key frame may come before the client says what it publishes.
    """

    def __init__(self, recorder: Recorder, attempt: str, scope: str, tracks: Sequence[Track], *, wanted: bool) -> None:
        self._recorder = recorder
        self._attempt = attempt
        self._scope = scope
        self._tracks = tracks
        self._wanted = wanted
        self._queue: deque[QueuedPacket] = deque()
        self._sinks = [_QueueSink(track, self._queue) for track in tracks]
        self._detach = [track.attach(sink) for track, sink in zip(tracks, self._sinks, strict=True)]
        self._recording: Recording | None = None

    def started(self, stream: str, mode: str) -> None:
        """Record, if the client wants that.

        By the parameter, or by a mode of ``record`` or ``append``.
        """
        if not (self._wanted or mode in {"record", "append"}):
            self._let_go()
            return
        missed = any(sink.lost for sink in self._sinks)
        if missed:
            self._queue.clear()
        for sink, track in zip(self._sinks, self._tracks, strict=True):
            sink.limit, sink.lost, sink.on_loss = QUEUE, 0, self._too_slow
            if missed:
                track.want_key_frame()
        h264 = any(track.codec == "H264" for track in self._tracks)
        file = relative_path(self._scope, stream, MATROSKA if h264 else WEBM)
        self._recording = self._recorder.begin(
            self._attempt, file, self._tracks, self._queue, append=mode == "append", over=self._let_go
        )

    def ended(self) -> None:
        """Take nothing more; the file is closed and reported soon after."""
        self._let_go()
        if self._recording is not None:
            self._recorder.close(self._recording)
            self._recording = None

    def _let_go(self) -> None:
        for detach in self._detach:
            detach()
        self._detach = []
        if self._recording is None:
            self._queue.clear()

    def _too_slow(self) -> None:
        if self._recording is not None:
            _log.warning(
                "%s: the disk is too slow, frames are left out of the recording",
                self._recording.path,
                extra=_log_extra(self._tracks),
            )


class Recorder:
    """All recordings of an origin. ``stop`` closes them.

    ``root`` is their directory, ``None`` where nothing is kept on disk; ``limit`` its size in bytes.
    """

    def __init__(
        self,
        root: Path | None,
        limit: int,
        report: ReportTo,
        monotonic: Callable[[], float],
    ) -> None:
        self._report = report
        self._monotonic = monotonic
        self._store = None if root is None else RecordingStore(root, limit)
        self._writer = RecordingWriter(monotonic)
        self._open: set[Recording] = set()
        self._all_closed = asyncio.Event()
        self._all_closed.set()

    def request(self, attempt: str, scope: str, tracks: Sequence[Track], *, wanted: bool) -> RecordingRequest:
        """Make the request of a publisher; ``wanted`` when its parameters ask for a recording."""
        return RecordingRequest(self, attempt, scope, tracks, wanted=wanted)

    def begin(
        self,
        attempt: str,
        file: str,
        tracks: Sequence[Track],
        queue: deque[QueuedPacket],
        *,
        append: bool,
        over: Callable[[], None],
    ) -> Recording | None:
        """Begin a recording and report it; ``over`` is called when it ends by itself.

        Each is also reported as ended, once.
        """
        self._report(RecordingStarted(attempt, file))
        if self._store is None:
            _log.warning("%s is not recorded: %s", file, _NO_DIRECTORY, extra=_log_extra(tracks))
            self._report(RecordingEnded(attempt, file, 0, 0, _NO_DIRECTORY))
            over()
            return None
        loop = asyncio.get_running_loop()
        video = [track for track in tracks if track.kind is Kind.VIDEO]

        def ask() -> None:
            for track in video:
                track.want_key_frame()

        def ended(outcome: RecordingOutcome) -> None:
            self._open.discard(recording)
            if not self._open:
                self._all_closed.set()
            if outcome.error is not None:
                _log.warning("recording %s: %s", file, outcome.error, extra=_log_extra(tracks))
            self._report(RecordingEnded(attempt, file, outcome.duration, outcome.size, outcome.error))
            over()

        recording = Recording(
            self._store,
            file,
            {track.kind: (track.codec, track.reception.clock_rate) for track in tracks},
            queue,
            append=append,
            ask=functools.partial(call_on_loop, loop, ask),
        )
        self._open.add(recording)
        self._all_closed.clear()
        self._writer.add(recording, functools.partial(call_on_loop, loop, ended))
        return recording

    def close(self, recording: Recording) -> None:
        """Have a recording written to its end, now."""
        recording.closed_at = self._monotonic()
        self._writer.hurry()

    async def stop(self, timeout: float = 5.0) -> None:
        """Close all recordings, and wait until they are reported, at most ``timeout`` seconds."""
        for recording in tuple(self._open):
            self.close(recording)
        try:
            await asyncio.wait_for(self._all_closed.wait(), timeout)
        except TimeoutError:
            names = ", ".join(str(recording.path) for recording in self._open)
            _log.error("the disk did not take the last of %s within %g s", names, timeout)
        self._writer.stop(0.1)  # without open recordings it has nothing to do, so that this takes no time


def call_on_loop(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: object) -> None:
    """Call something on the loop, from the writer's thread.

    A loop that is closed has nobody left to tell.
    """
    try:
        loop.call_soon_threadsafe(call, *arguments)
    except RuntimeError:
        return


def _log_extra(tracks: Sequence[Track]) -> About | None:
    """Return the session of a recording, for the log."""
    return tracks[0].log_extra if tracks else None
