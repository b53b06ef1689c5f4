"""Ends, errors, times and recordings of all sessions since the start, for metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from smproxy.hooks.event import Context, HookEvent
from smproxy.manager.histogram import Histogram
from smproxy.signaling.payloads import ConnectError, Reason, RecordingPayload, SessionPayload, Transport

#: Upper bounds of the times from a client's request to its media connection, in seconds.
CONNECT_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class SessionTotals:
    """Counts what hooks tell."""

    def __init__(self) -> None:
        #: Sessions that ended, by the reason; attempts that failed, by the error.
        self.ended: Counter[str] = Counter({reason.name.lower(): 0 for reason in Reason})
        self.failed: Counter[str] = Counter({error.name.lower(): 0 for error in ConnectError})
        #: Seconds until a client was connected.
        self.connect: Mapping[Transport, Histogram] = {
            "websocket": Histogram(CONNECT_BOUNDS),
            "whip": Histogram(CONNECT_BOUNDS),
            "whep": Histogram(CONNECT_BOUNDS),
        }
        #: Recordings that ended, by ``saved`` and ``failed``, and what was saved: bytes and milliseconds.
        self.recordings: Counter[str] = Counter(saved=0, failed=0)
        self.recorded_bytes = self.recorded_ms = 0
        #: Files that are being written.
        self.recording = 0

    def hook_published(self, event: HookEvent, context: Context) -> None:
        """Count an event, unless a person asked for it."""
        if context.synthetic:
            return
        match event.payload:
            case SessionPayload(state="connected", after_ms=int(after_ms)):
                self.connect[event.connection.transport].add(after_ms / 1000)
            case SessionPayload(state="disconnected", reason=Reason() as reason):
                self.ended[reason.name.lower()] += 1
            case SessionPayload(state="connect_error", error=ConnectError() as error):
                self.failed[error.name.lower()] += 1
            case RecordingPayload() as recording:
                self._count_recording(recording)
            case _:
                pass

    def _count_recording(self, recording: RecordingPayload) -> None:
        if recording.event == "recording_started":
            self.recording += 1
            return
        self.recording = max(0, self.recording - 1)
        self.recordings["saved" if recording.event == "recording_saved" else "failed"] += 1
        self.recorded_bytes += recording.size or 0
        self.recorded_ms += recording.duration or 0
