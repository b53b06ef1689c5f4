"""What is kept of streams: recordings on disk, and the last key frame for thumbnails."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from smproxy.origin.recording.recorder import Recorder
from smproxy.origin.thumbnail import LastKeyFrame, Thumbnails
from smproxy.origin.track import Track
from smproxy.signaling.payloads import Kind


class PublisherOutputs:
    """The outputs of one publisher.

    Made with its tracks, before media flows; then ``started``; ended by ``ended``.
    """

    def __init__(self, outputs: Outputs, attempt: str, scope: str, tracks: Sequence[Track], *, recording: bool) -> None:
        self._scope = scope
        self._thumbnails = outputs.thumbnails
        self._recording = outputs.recorder.request(attempt, scope, tracks, wanted=recording)
        video = next((track for track in tracks if track.kind is Kind.VIDEO), None)
        self._key_frames = None if video is None else LastKeyFrame(video.codec)
        self._detach: Callable[[], None] | None = None
        if video is not None and self._key_frames is not None:
            self._detach = video.attach_key_frames(self._key_frames)

    def started(self, stream: str, mode: str) -> None:
        """Begin the outputs under the stream's name; called after ``StreamStarted`` was reported."""
        self._recording.started(stream, mode)
        if self._key_frames is not None:
            self._thumbnails.show(self._scope, stream, self._key_frames)

    def ended(self) -> None:
        """End the outputs; a recording is closed and reported soon after. May be called twice."""
        self._recording.ended()
        if self._detach is not None and self._key_frames is not None:
            self._detach()
            self._detach = None
            self._thumbnails.hide(self._key_frames)


class Outputs:
    """The outputs of all publishers of an origin."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.thumbnails = Thumbnails()

    def of(self, attempt: str, scope: str, tracks: Sequence[Track], *, recording: bool) -> PublisherOutputs:
        """Begin with the outputs of a publisher; ``recording`` when its parameters ask for that."""
        return PublisherOutputs(self, attempt, scope, tracks, recording=recording)

    async def stop(self) -> None:
        """Close all recordings and report them."""
        await self.recorder.stop()
