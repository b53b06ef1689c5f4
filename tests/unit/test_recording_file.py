"""The file: a header that is right at every moment, clusters, continuing, and what a killed process leaves."""

from __future__ import annotations

import errno
import functools
import heapq
import logging
import os
import resource
from collections import deque
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smproxy.origin.recording.disk_space import NoRoom, RecordingStore
from smproxy.origin.recording.file import Placed, RecordingFile
from smproxy.origin.recording.matroska import HEADER_SIZE, Header, TrackEntry, read_header
from smproxy.origin.recording.recording import QueuedPacket, Recording, RecordingOutcome
from smproxy.signaling.payloads import Kind

from tests.unit.recording_media import Parser, audio_packets, resized_packets, seek, video_packets, watch

_NO_LIMIT = 10**12


def feed(
    path: Path,
    seconds: float,
    *,
    codec: str = "VP8",
    audio: bool = True,
    video: bool = True,
    append: bool = False,
    limit: int = _NO_LIMIT,
    lost: frozenset[int] = frozenset(),
    close: bool = True,
) -> Recording:
    """Record packets as they would come, with a turn of the writer every 0.4 s."""
    codecs: dict[Kind, tuple[str, int]] = {}
    streams: list[list[tuple[float, Kind, bytes]]] = []
    if video:
        codecs[Kind.VIDEO] = codec, 90000
        packets = enumerate(video_packets(codec, seconds))
        streams.append([(at, Kind.VIDEO, packet) for number, (at, packet) in packets if number not in lost])
    if audio:
        codecs[Kind.AUDIO] = "opus", 48000
        streams.append([(at, Kind.AUDIO, packet) for at, packet in audio_packets(seconds)])
    queue: deque[QueuedPacket] = deque()
    store = RecordingStore(path.parent, limit, keep_free=0)
    recording = Recording(store, path.name, codecs, queue, append=append, ask=lambda: None)
    turn = 0.4
    parsers = {Kind.VIDEO: Parser(codec), Kind.AUDIO: Parser("opus")}
    for at, kind, data in heapq.merge(*streams, key=lambda each: each[0]):
        if at > turn:
            recording.step(at)
            turn += 0.4
            if recording.outcome is not None:
                return recording
        queue.extend(QueuedPacket(kind, packet, None) for packet in parsers[kind](data, at))
    recording.closed_at = seconds if close else None
    recording.step(seconds)
    return recording


@pytest.mark.parametrize(("codec", "name"), [("VP8", "s.webm"), ("H264", "s.mkv")])
def test_a_recording_plays(tmp_path: Path, codec: str, name: str) -> None:
    """Every frame is there and decodes, audio and video end together, the duration is right, and a player can jump."""
    path = tmp_path / name
    recording = feed(path, 6, codec=codec)
    assert recording.outcome == RecordingOutcome(6000, path.stat().st_size, None)
    found = watch(path)
    assert (len(found.video), len(found.audio), found.keys) == (90, 300, 3)
    assert found.duration == 6
    assert found.video[-1] == pytest.approx(6 - 1 / 15, abs=0.002)
    assert found.audio_end == pytest.approx(6, abs=0.002)
    assert seek(path, 4.5) == 4


@pytest.mark.parametrize(("codec", "name"), [("VP8", "s.webm"), ("H264", "s.mkv")])
def test_a_turned_phone(tmp_path: Path, codec: str, name: str) -> None:
    """Pictures that change their size decode, each in its own, also after a jump to the other size."""
    sizes = [(320, 240), (240, 320), (160, 120)]
    parser = Parser(codec)
    packets = (packet for at, data in resized_packets(codec, sizes) for packet in parser(data, at))
    queue = deque(QueuedPacket(Kind.VIDEO, packet, None) for packet in packets)
    recording = Recording(
        RecordingStore(tmp_path, _NO_LIMIT, 0),
        name,
        {Kind.VIDEO: (codec, 90000)},
        queue,
        append=False,
        ask=lambda: None,
    )
    recording.closed_at = 3.0
    recording.step(3)
    found = watch(tmp_path / name)
    assert (found.sizes, len(found.video), found.keys) == (sizes, 45, 3)
    assert seek(tmp_path / name, 2.5) == 2


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_one_track_alone(tmp_path: Path, kind: str) -> None:
    """A stream of sound alone, or of pictures alone, is recorded as that."""
    path = tmp_path / "s.webm"
    feed(path, 2, audio=kind == "audio", video=kind == "video")
    found = watch(path)
    assert (len(found.video), len(found.audio)) == ((0, 100) if kind == "audio" else (30, 0))
    assert found.duration == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize(("codec", "name"), [("VP8", "s.webm"), ("H264", "s.mkv")])
def test_append_continues_the_file(tmp_path: Path, codec: str, name: str) -> None:
    """A second take follows the first in the same file, which plays and can be searched as a whole."""
    path = tmp_path / name
    feed(path, 2, codec=codec)
    recording = feed(path, 2, codec=codec, append=True)
    assert recording.outcome == RecordingOutcome(4000, path.stat().st_size, None)
    found = watch(path)
    assert (len(found.video), len(found.audio), found.duration) == (60, 200, 4)
    assert found.video == sorted(found.video)
    assert seek(path, 2.9) == 2


def test_append_adds_a_track(tmp_path: Path) -> None:
    """Pictures may join what began as sound alone."""
    path = tmp_path / "s.webm"
    feed(path, 2, video=False)
    feed(path, 2, append=True)
    found = watch(path)
    assert (len(found.video), len(found.audio)) == (30, 200)
    assert found.video[0] == pytest.approx(2, abs=0.002)


def test_record_keeps_the_earlier_file(tmp_path: Path) -> None:
    """A new recording takes the name, and the earlier ones stay under numbered names, in the order of their making."""
    path = tmp_path / "s.webm"
    for seconds in (1, 2, 3):
        feed(path, seconds, video=False)
    assert [watch(tmp_path / name).duration for name in ("s~1.webm", "s~2.webm", "s.webm")] == [1, 2, 3]


@pytest.mark.parametrize("other", ["rubbish", "another codec"])
def test_append_to_what_cannot_be_continued(tmp_path: Path, other: str, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is not a recording of ours, or of another codec, is kept and not written to."""
    path = tmp_path / "s.mkv"
    if other == "rubbish":
        path.write_bytes(b"my holiday" * 5000)
    else:
        feed(path, 1, codec="VP8")
    before = path.read_bytes()
    with caplog.at_level(logging.WARNING):
        feed(path, 1, codec="H264", append=True)
    assert (tmp_path / "s~1.mkv").read_bytes() == before
    assert watch(path).duration == 1
    assert "cannot be continued" in caplog.text


def test_every_turn_leaves_a_whole_file(tmp_path: Path) -> None:
    """A process that is killed leaves a file that plays up to its last turn, with duration and index; it can be continued."""
    path = tmp_path / "s.webm"
    recording = feed(path, 5, close=False)
    assert recording.outcome is None
    found = watch(path)
    assert found.duration == pytest.approx(5, abs=0.001)
    assert seek(path, 4.5) == 4
    feed(path, 1, append=True)
    assert watch(path).duration == pytest.approx(6, abs=0.001)


def test_killed_between_a_cluster_and_its_header(tmp_path: Path) -> None:
    """Bytes that the header does not know yet do no harm, and are gone when the file is continued."""
    path = tmp_path / "s.webm"
    feed(path, 2)
    whole = path.read_bytes()
    head = read_header(whole)
    assert head is not None
    last = whole.rindex(b"\x1f\x43\xb6\x75")
    for end in (last + 200, len(whole)):
        path.write_bytes(whole[:last])
        header = Header(head.webm, head.tracks, 1600, last, head.index)
        path.write_bytes(header.write() + whole[HEADER_SIZE:end])
        assert watch(path).duration == 1.6
        feed(path, 1, append=True)
        assert watch(path).duration == pytest.approx(2.6, abs=0.01)


def test_loss_leaves_no_broken_picture(tmp_path: Path) -> None:
    """Of a stream that lost packets every picture in the file decodes, and the sound is whole."""
    path = tmp_path / "s.webm"
    feed(path, 6, lost=frozenset({20, 75, 76}))
    found = watch(path)
    assert len(found.audio) == 300
    assert 30 < len(found.video) < 90
    assert found.duration == 6


def test_the_limit_ends_a_recording(tmp_path: Path) -> None:
    """At the limit the recording ends and says why; what was written plays, and room that is made can be used."""
    (tmp_path / "old.webm").write_bytes(bytes(100_000))
    path = tmp_path / "s.webm"
    recording = feed(path, 6, limit=260_000)
    assert recording.outcome is not None
    assert "the limit is 0.26 MB" in str(recording.outcome.error)
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) <= 260_000
    assert watch(path).duration == pytest.approx(recording.outcome.duration / 1000)
    assert recording.outcome.duration > 1000
    before = path.read_bytes()
    refused = feed(path, 1, limit=150_000).outcome
    assert refused is not None
    assert (refused.size, [each.name for each in tmp_path.iterdir() if "~" in each.name]) == (0, [])
    assert path.read_bytes() == before
    (tmp_path / "old.webm").unlink()
    assert feed(path, 2, limit=260_000, append=True).outcome == RecordingOutcome(
        recording.outcome.duration + 2000, path.stat().st_size, None
    )


def test_free_space_is_left(tmp_path: Path) -> None:
    """Recordings do not fill the disk."""
    with pytest.raises(NoRoom, match="are left on the disk"):
        RecordingStore(tmp_path, _NO_LIMIT, keep_free=2**62).check(1)


def test_nothing_came(tmp_path: Path) -> None:
    """A stream without media leaves no file, and does not disturb an earlier one."""
    path = tmp_path / "s.webm"
    feed(path, 1)
    recording = feed(path, 0)
    assert recording.outcome == RecordingOutcome(0, 0, "no media came that could be recorded")
    assert [each.name for each in tmp_path.iterdir()] == ["s.webm"]


def test_a_deleted_file_ends_its_recording(tmp_path: Path) -> None:
    """Who deletes a file that is being written ends the recording; it does not go on unseen."""
    path = tmp_path / "s.webm"
    feed(path, 1)
    file = RecordingFile.open(path, append=True, codecs={Kind.AUDIO: "opus"})
    path.unlink()
    with pytest.raises(OSError, match="deleted"):
        file.write([Placed(Kind.AUDIO, 0, b"\xfc", True, 20)])
    file.close()


def test_a_full_disk_leaves_a_whole_file_and_true_numbers(tmp_path: Path) -> None:
    """A write that fails half-way ends the recording; what is told of the file is what is there, and it plays."""
    path = tmp_path / "s.webm"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
    try:
        recording = feed(path, 5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert recording.outcome is not None
    assert recording.outcome.error == "File too large"
    assert recording.outcome.size == path.stat().st_size
    found = watch(path)
    assert 0 < round(found.duration * 1000) == recording.outcome.duration < 5000


def test_append_to_a_pipe_keeps_it(tmp_path: Path) -> None:
    """What cannot be read because it is no file makes room like any other, and nothing hangs or stays open."""
    path = tmp_path / "s.webm"
    os.mkfifo(path)
    recording = feed(path, 1, append=True)
    assert recording.outcome is not None
    assert recording.outcome.error is None
    assert watch(path).duration == 1
    assert (tmp_path / "s~1.webm").is_fifo()


def test_append_to_a_link_leaves_its_target_alone(tmp_path: Path) -> None:
    """A link in the place of a recording makes room, like any file that cannot be continued; what it names is not written."""
    target = tmp_path / "elsewhere.webm"
    feed(target, 1)
    before = target.read_bytes()
    (tmp_path / "s.webm").symlink_to(target)
    recording = feed(tmp_path / "s.webm", 1, append=True)
    assert recording.outcome is not None
    assert recording.outcome.error is None
    assert (tmp_path / "s~1.webm").is_symlink()
    assert target.read_bytes() == before


DURATION = b"\x44\x89\x88"


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.replace(
            data[(at := data.index(DURATION)) : at + 11], DURATION + b"\x7f\xf0" + bytes(6)
        ),  # inf
        lambda data: data.replace(
            data[(at := data.index(DURATION)) : at + 11], DURATION + b"\x7f\xe0" + bytes(6)
        ),  # 1e308
        lambda data: data.replace(
            data[(at := data.index(DURATION)) : at + 11], DURATION + b"\x7f\xf8" + bytes(6)
        ),  # nan
        lambda data: data.replace(data[(at := data.index(DURATION)) : at + 11], DURATION + b"\xc0" + bytes(7)),  # -2
        lambda data: b"",
        lambda data: data[:4],
        lambda data: bytes(len(data)),
        lambda data: data[:1000] + bytes(HEADER_SIZE - 1000),
        lambda data: data[: HEADER_SIZE + 100],
        lambda data: data[:HEADER_SIZE] + bytes(len(data) - HEADER_SIZE),
        lambda data: b"\xec\x7f\xff" + bytes(HEADER_SIZE),
    ],
    ids=[
        "inf",
        "1e308",
        "nan",
        "negative",
        "empty",
        "cut",
        "zeros",
        "half a header",
        "cut clusters",
        "zeros for clusters",
        "nothing in it",
    ],
)
def test_append_to_a_damaged_recording(
    tmp_path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a crash or a user has made of a file, it is kept as it is, and a new recording is begun (A12)."""
    path = tmp_path / "s.webm"
    feed(path, 1)
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        recording = feed(path, 1, append=True)
    assert recording.outcome == RecordingOutcome(1000, path.stat().st_size, None)
    assert (tmp_path / "s~1.webm").read_bytes() == damaged
    assert watch(path).duration == 1
    assert [record.message for record in caplog.records] == [
        f"{path} cannot be continued: it is kept, and a new recording is begun"
    ]


@given(st.lists(st.tuples(st.integers(0, 700), st.binary(min_size=1, max_size=9)), min_size=1, max_size=3))
@settings(deadline=None)
def test_append_after_any_damage(damages: list[tuple[int, bytes]]) -> None:
    """However a header is damaged, the file is continued or kept, never half of both, and its recording does not fail."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "s.webm"
        path.write_bytes(_whole())
        with path.open("r+b") as file:
            for at, noise in damages:
                file.seek(at)
                file.write(noise)
        damaged = path.read_bytes()
        recording = feed(path, 0.5, append=True)
        assert recording.outcome is not None
        assert recording.outcome.error is None
        kept = path.with_name("s~1.webm")
        assert not kept.exists() or kept.read_bytes() == damaged


@functools.cache
def _whole() -> bytes:
    with TemporaryDirectory() as folder:
        feed(Path(folder) / "s.webm", 1)
        return (Path(folder) / "s.webm").read_bytes()


def test_an_unwritable_directory_is_told(tmp_path: Path) -> None:
    """A disk that refuses ends the recording with its reason."""
    (tmp_path / "live").write_text("a file where a directory should be")
    recording = feed(tmp_path / "live" / "s.webm", 1)
    assert recording.outcome is not None
    assert recording.outcome.error in {"File exists", "Not a directory"}, errno.errorcode


@given(
    st.lists(st.integers(0, 2**38), max_size=2000).map(sorted),
    st.integers(0, 2**35),
    st.binary(max_size=100),
    st.booleans(),
)
def test_a_header_reads_as_it_was_written(times: list[int], duration: int, private: bytes, webm: bool) -> None:
    """The header has its size whatever is in it, and comes back; a full index is thinned out."""
    header = Header(webm, duration=max([duration, *times]), end=HEADER_SIZE + 12345)
    header.tracks[Kind.VIDEO] = TrackEntry(Kind.VIDEO, "H264", private, 1920, 1080)
    header.tracks[Kind.AUDIO] = TrackEntry(Kind.AUDIO, "opus")
    for position, time in enumerate(times, HEADER_SIZE):
        header.add_to_index(time, position)
    data = header.write()
    assert len(data) == HEADER_SIZE
    found = read_header(data + b"clusters")
    assert found is not None
    assert (found.webm, found.duration, found.end, found.index) == (webm, header.duration, header.end, header.index)
    assert found.tracks == header.tracks


@given(st.binary(max_size=200), st.integers(0, 600))
def test_any_header_is_read(noise: bytes, at: int) -> None:
    """A damaged header is refused or read, and raises nothing."""
    data = bytearray(Header(True, {Kind.AUDIO: TrackEntry(Kind.AUDIO, "opus")}, index=[(0, HEADER_SIZE)]).write())
    data[at : at + len(noise)] = noise
    read_header(bytes(data))
    read_header(noise + bytes(HEADER_SIZE))


def test_a_header_without_room_for_its_tracks_is_an_error() -> None:
    """Parameters that fill the header are refused, with an index or without, and nobody waits for ever."""
    header = Header(webm=False, tracks={Kind.VIDEO: TrackEntry(Kind.VIDEO, "H264", bytes(HEADER_SIZE), 640, 480)})
    for index in ([], [(0, HEADER_SIZE)], [(0, HEADER_SIZE), (1000, HEADER_SIZE + 1)]):
        header.index = list(index)
        with pytest.raises(ValueError, match="do not fit"):
            header.write()
