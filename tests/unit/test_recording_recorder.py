"""Recordings as a session sees them: what is listened to, reported, bounded and closed."""

from __future__ import annotations

import gc
import heapq
import logging
import weakref
from collections import deque
from pathlib import Path

import pytest
from smproxy.origin.recording import recorder as module
from smproxy.origin.recording.disk_space import RecordingStore
from smproxy.origin.recording.recorder import Recorder, RecordingRequest
from smproxy.origin.recording.recording import QueuedPacket, Recording
from smproxy.origin.rtcp_receiver import SenderReport
from smproxy.origin.track import Track
from smproxy.signaling.node_channel import RecordingEnded, RecordingStarted, Report
from smproxy.signaling.payloads import Kind

from tests.fake_clock import FakeTime
from tests.helpers import eventually
from tests.unit.recording_media import Parser, audio_packets, video_packets, watch


class Stream:
    """A publisher's tracks and its recording, without a network."""

    def __init__(self, recorder: Recorder, *, wanted: bool = True) -> None:
        self.video = Track("video", Kind.VIDEO, "VP8", 90000, recorder._monotonic)
        self.audio = Track("audio", Kind.AUDIO, "opus", 48000, recorder._monotonic)
        self.request: RecordingRequest = recorder.request("a1", "live", [self.audio, self.video], wanted=wanted)

    def send(self, seconds: float, after: float = 0.0) -> None:
        """Let packets arrive, all at once."""
        video = ((at, self.video, packet) for at, packet in video_packets("VP8", seconds) if at >= after)
        audio = ((at, self.audio, packet) for at, packet in audio_packets(seconds) if at >= after)
        for _, track, packet in heapq.merge(video, audio, key=lambda each: each[0]):
            track.packet(packet)


def make(root: Path | None) -> tuple[Recorder, list[Report]]:
    """Make a recorder whose clock stands still: how long a test takes is not a delay of what it sends."""
    reports: list[Report] = []
    return Recorder(root, 10**9, reports.append, FakeTime()), reports


async def test_what_came_before_the_publish_message_is_recorded(tmp_path: Path) -> None:
    """The first key frame may precede the client's word that it publishes; it is the recording's first frame all the same."""
    recorder, reports = make(tmp_path)
    stream = Stream(recorder)
    stream.send(0.5)
    stream.request.started("s", "live")
    assert reports == [RecordingStarted("a1", "live/s.webm")]
    stream.send(1.0, after=0.5)
    stream.request.ended()
    await eventually(lambda: len(reports) == 2)
    await recorder.stop()
    found = watch(tmp_path / "live/s.webm")
    assert (len(found.video), len(found.audio)) == (15, 50)
    assert reports[1] == RecordingEnded("a1", "live/s.webm", 1000, (tmp_path / "live/s.webm").stat().st_size)


async def test_a_stream_that_is_not_recorded_is_not_listened_to(tmp_path: Path) -> None:
    """Once it is known that there is to be no recording, nothing is kept of a stream."""
    recorder, reports = make(tmp_path)
    stream = Stream(recorder, wanted=False)
    stream.send(0.5)
    stream.request.started("s", "live")
    stream.send(1.0, after=0.5)
    assert not stream.request._queue
    assert not stream.video._sinks
    stream.request.ended()
    await recorder.stop()
    assert reports == []


async def test_a_take_that_never_starts_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends media and never says that it publishes fills no memory; if it does after all, a key frame is asked for."""
    monkeypatch.setattr(module, "PREROLL", 20)
    recorder, _ = make(tmp_path)
    stream = Stream(recorder)
    stream.send(2)
    assert len(stream.request._queue) == 20
    stream.request.started("s", "live")
    assert not stream.request._queue
    assert stream.video.wants_key_frame
    stream.request.ended()
    await recorder.stop()


async def test_a_slow_disk_costs_frames_of_the_recording_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While the writer is behind the queue is bounded, what does not fit is left out with one warning, and the file plays."""
    monkeypatch.setattr(module, "QUEUE", 200)
    recorder, reports = make(tmp_path)
    monkeypatch.setattr(recorder._writer, "_tick", 1000)
    stream = Stream(recorder)
    stream.request.started("s", "live")
    with caplog.at_level(logging.WARNING):
        stream.send(10)
    assert len(stream.request._queue) == 200
    assert sum("too slow" in record.message for record in caplog.records) in {1, 2}  # of each track
    stream.request.ended()
    await eventually(lambda: len(reports) == 2)
    await recorder.stop()
    assert 1 < watch(tmp_path / "live/s.webm").duration < 10


async def test_takes_of_one_name_follow_each_other(tmp_path: Path) -> None:
    """A name that is published again at once gets its file after the one before was closed; none disturbs the other."""
    recorder, reports = make(tmp_path)
    for mode in ("record", "record", "append"):
        stream = Stream(recorder)
        stream.request.started("s", mode)
        stream.send(1)
        stream.request.ended()
    await recorder.stop()
    ends = [each for each in reports if isinstance(each, RecordingEnded)]
    assert [(each.duration, each.error) for each in ends] == [(1000, None), (1000, None), (2000, None)]
    assert watch(tmp_path / "live/s~1.webm").duration == 1
    assert len(watch(tmp_path / "live/s.webm").video) == 30


async def test_what_has_ended_is_let_go(tmp_path: Path) -> None:
    """A publisher whose recording was reported is held by nothing, although the writer's thread lives on."""
    recorder, reports = make(tmp_path)
    stream = Stream(recorder)
    stream.request.started("s", "record")
    stream.send(0.5)
    stream.request.ended()
    await eventually(lambda: len(reports) == 2)
    track = weakref.ref(stream.video)
    del stream

    def gone() -> bool:
        gc.collect()
        return track() is None

    await eventually(gone, 5)
    await recorder.stop()


async def test_stop_closes_and_reports(tmp_path: Path) -> None:
    """Stopping writes what was queued, reports each recording's end, and leaves no thread."""
    recorder, reports = make(tmp_path)
    stream = Stream(recorder)
    stream.request.started("s", "live")
    stream.send(1)
    await recorder.stop()
    assert [type(each) for each in reports] == [RecordingStarted, RecordingEnded]
    assert watch(tmp_path / "live/s.webm").duration == 1
    assert recorder._writer._thread is not None
    assert not recorder._writer._thread.is_alive()
    stream.request.ended()
    assert len(reports) == 2


async def test_what_cannot_be_recorded_is_told() -> None:
    """Without a directory the recording has an end with its reason, and the stream goes on."""
    recorder, reports = make(None)
    stream = Stream(recorder)
    stream.request.started("s", "record")
    (_, end) = reports
    assert isinstance(end, RecordingEnded)
    assert "--recordings" in str(end.error)
    stream.request.ended()
    await recorder.stop()
    assert len(reports) == 2


def test_reports_put_pictures_beside_their_sounds(tmp_path: Path) -> None:
    """Video that arrives 200 ms late is put in step by the sender reports, and no frame goes back in time."""
    queue: deque[QueuedPacket] = deque()
    codecs = {Kind.VIDEO: ("VP8", 90000), Kind.AUDIO: ("opus", 48000)}
    recording = Recording(RecordingStore(tmp_path, 10**9, 0), "s.webm", codecs, queue, append=False, ask=lambda: None)
    audio_report = SenderReport(2, 4_000_000_000 << 32, 1_000_000)
    video_report = SenderReport(1, 4_000_000_000 << 32, 0xFFFFFF00)
    video = [(at + 0.2, Kind.VIDEO, packet, video_report if at > 1 else None) for at, packet in video_packets("VP8", 4)]
    audio = [(at, Kind.AUDIO, packet, audio_report if at > 1 else None) for at, packet in audio_packets(4)]
    parsers = {Kind.VIDEO: Parser("VP8"), Kind.AUDIO: Parser("opus")}
    for at, kind, data, report in heapq.merge(video, audio, key=lambda each: each[0]):
        queue.extend(QueuedPacket(kind, packet, report) for packet in parsers[kind](data, at))
    recording.closed_at = 4.0
    recording.step(5)
    found = watch(tmp_path / "s.webm")
    assert (len(found.video), len(found.audio)) == (60, 200)
    assert found.video == sorted(found.video)
    assert found.video[0] == pytest.approx(0.2, abs=0.002)
    assert found.video[-1] == pytest.approx(4 - 1 / 15, abs=0.002)
    assert found.audio_end == pytest.approx(4, abs=0.002)
