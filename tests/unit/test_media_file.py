"""Files of all kinds as media of a publisher: what is sent of them, and when."""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from smproxy.testing.errors import PublishError
from smproxy.testing.media import CLOCK_RATE, Codec, Kind, Unit
from smproxy.testing.media_file import MediaFile
from smproxy.testing.png import png

WIDTH, HEIGHT, RATE = 64, 48, 10


def picture(number: int) -> Any:
    """A picture whose left upper quarter is white; the rest is ever brighter."""
    frame: Any = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    luma = frame.planes[0]
    lines = bytearray(bytes([20 + number % 10 * 8]) * luma.buffer_size)
    for line in range(HEIGHT // 2):
        lines[line * luma.line_size : line * luma.line_size + WIDTH // 2] = bytes([235]) * (WIDTH // 2)
    luma.update(bytes(lines))
    for plane in frame.planes[1:]:
        plane.update(bytes([128]) * plane.buffer_size)
    return frame


def make_file(
    path: Path, *, video: float = 0, audio: float = 0, codecs: tuple[str, str] = ("libvpx", "libopus")
) -> Path:
    """Write a file with so many seconds of each; only its first picture is a key frame."""
    with av.open(str(path), "w") as file:
        pictures: Any = file.add_stream(codecs[0], rate=RATE) if video else None
        if pictures is not None:
            pictures.width, pictures.height, pictures.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            pictures.gop_size, pictures.max_b_frames = 10_000, 0
            if codecs[0] == "libvpx":
                pictures.options = {"lag-in-frames": "0", "deadline": "realtime"}
        sound: Any = file.add_stream(codecs[1], rate=48000) if audio else None
        for number in range(round(video * RATE)):
            frame = picture(number)
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            file.mux(pictures.encode(frame))
        fifo = av.AudioFifo()
        for chunk in (
            av.AudioResampler(sound.format, "stereo", 48000).resample(tone(audio)) if sound is not None else ()
        ):
            fifo.write(chunk)
        size = (960 if codecs[1] == "libopus" else 1152) if sound is not None else 960
        for chunk in fifo.read_many(size) if sound is not None else ():
            file.mux(sound.encode(chunk))
        for stream in (pictures, sound):
            if stream is not None:
                file.mux(stream.encode(None))
    return path


def tone(seconds: float) -> Any:
    frame: Any = av.AudioFrame("s16", "stereo", round(seconds * 48000))
    frame.sample_rate, frame.pts = 48000, 0
    wave = (round(8000 * math.sin(math.tau * 500 * n / 48000)) for n in range(frame.samples))
    frame.planes[0].update(b"".join(struct.pack("<hh", each, each) for each in wave))
    return frame


def with_cover(path: Path, picture: bytes) -> Path:
    """Put a cover picture before an MP3, as an ID3v2.3 tag does (``APIC``)."""
    content = b"\x00image/png\x00\x03\x00" + picture
    frame = b"APIC" + struct.pack(">IH", len(content), 0) + content
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\x00\x00" + size + frame + path.read_bytes())
    return path


def turned(path: Path, matrix: tuple[int, ...]) -> Path:
    """Let an MP4 ask to be shown turned (ISO/IEC 14496-12, 8.3.2: the matrix of ``tkhd``)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 4 + 20 + 16
    data[at : at + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)
    return path


@asynccontextmanager
async def opened(path: Path, codec: Codec = "VP8", *kinds: Kind) -> AsyncIterator[MediaFile]:
    file = MediaFile(path, codec, set(kinds or ("audio", "video")))
    await file.open()
    try:
        yield file
    finally:
        await file.close()


async def play(file: MediaFile, seconds: float, at: Callable[[float], None] = lambda _: None) -> dict[Kind, list[Unit]]:
    """Read what is sent in so many seconds, in the order of time; ``at`` is called with the time of each frame."""
    sources = {kind: file.source(kind) for kind in file.kinds}
    units: dict[Kind, list[Unit]] = {kind: [] for kind in sources}
    due = dict.fromkeys(sources, 0.0)
    while min(due.values()) < seconds:
        kind = min(due, key=lambda each: due[each])
        at(due[kind])
        unit = await sources[kind].read()
        units[kind].append(unit)
        due[kind] = unit.pts / CLOCK_RATE[kind]
    return units


def decoded(units: list[Unit], codec: str = "vp8") -> list[Any]:
    decoder: Any = av.CodecContext.create(codec, "r")
    return [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]


def gaps(units: list[Unit], kind: Kind) -> float:
    """Return the longest time between two frames, in seconds."""
    return max(after.pts - before.pts for before, after in itertools.pairwise(units)) / CLOCK_RATE[kind]


def is_key(unit: Unit) -> bool:
    return not unit.data[0] & 1


async def test_a_cover_is_no_film(tmp_path: Path) -> None:
    """Of a song with a cover picture the sound is sent, to its end and again; that the cover is left out is said (M9)."""
    song = make_file(tmp_path / "song.mp3", audio=3, codecs=("", "libmp3lame"))
    async with opened(with_cover(song, png(picture(0)))) as file:
        assert file.kinds == {"audio"}
        assert file.notes == ["cover picture is left out"]
        units = (await play(file, 8))["audio"]
    assert gaps(units, "audio") < 0.1
    assert len(units) == pytest.approx(400, abs=6)


@pytest.mark.parametrize("name", ["passed.webm", "encoded.mp4"])
@pytest.mark.parametrize(("video", "audio"), [(1, 5), (5, 1)])
async def test_the_longer_track_is_sent_whole(tmp_path: Path, name: str, video: float, audio: float) -> None:
    """However their lengths differ, nothing of either track is dropped, both begin again together, and it is said (M9)."""
    codecs = ("libvpx", "libopus") if name == "passed.webm" else ("mpeg4", "aac")
    async with opened(make_file(tmp_path / name, video=video, audio=audio, codecs=codecs)) as file:
        units = await play(file, 12)
        assert any("until both begin again" in note for note in file.notes)
    assert gaps(units["video"], "video") <= 0.25
    assert gaps(units["audio"], "audio") <= 0.1
    loud = [sum(len(unit.data) > 20 for unit in group) for group in by_second(units["audio"])]
    again = [second for second in range(11) if loud[second] > 25]
    expected = [0, 5, 10] if audio == 1 else list(range(11))
    assert again == expected
    shown = [memoryview(each.planes[0])[HEIGHT // 4 * 3 * each.planes[0].line_size] for each in decoded(units["video"])]
    assert max(shown) > 60


def by_second(units: list[Unit]) -> list[list[Unit]]:
    return [[unit for unit in units if unit.pts // 48000 == second] for second in range(11)]


TURNS = {
    "clockwise": ((0, 1 << 16, 0, -1 << 16, 0, 0, HEIGHT << 16, 0, 1 << 30), (1, 0)),
    "against": ((0, -1 << 16, 0, 1 << 16, 0, 0, 0, WIDTH << 16, 1 << 30), (0, 1)),
    "upside down": ((-1 << 16, 0, 0, 0, -1 << 16, 0, WIDTH << 16, HEIGHT << 16, 1 << 30), (1, 1)),
}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
async def test_a_phone_s_film_is_upright(tmp_path: Path, turn: str, codec: str) -> None:
    """A film that asks to be turned is sent turned, also one whose codec would pass (M9)."""
    matrix, (column, row) = TURNS[turn]
    path = turned(make_file(tmp_path / "phone.mp4", video=1, codecs=(codec, "")), matrix)
    async with opened(path, "H264", "video") as file:
        frame = decoded((await play(file, 0.5))["video"], "h264")[0]
    size = (WIDTH, HEIGHT) if turn == "upside down" else (HEIGHT, WIDTH)
    assert (frame.width, frame.height) == size
    luma = frame.planes[0]
    corners = {
        (x, y): memoryview(luma)[(1 + 2 * y) * size[1] // 4 * luma.line_size + (1 + 2 * x) * size[0] // 4]
        for x in (0, 1)
        for y in (0, 1)
    }
    assert max(corners, key=lambda corner: corners[corner]) == (column, row)


@pytest.mark.parametrize(
    ("name", "codecs", "codec"),
    [
        ("a.webm", ("libvpx", "libopus"), "VP8"),
        ("b.mp4", ("libx264", "aac"), "H264"),
        ("c.mp4", ("mpeg4", "aac"), "VP8"),
    ],
    ids=["passed VP8", "passed H264", "encoded"],
)
async def test_a_key_frame_is_there_when_it_is_wanted(
    tmp_path: Path, name: str, codecs: tuple[str, str], codec: Codec
) -> None:
    """A late subscriber sees the next picture, in whatever way the file is sent and wherever its own key frames are (M10)."""
    path = make_file(tmp_path / name, video=4, audio=2, codecs=codecs)
    async with opened(path, codec) as file:
        source = file.source("video")
        for wanted in (25, 31, 60, 85):  # in the film, later in it, and after the film's beginning again
            for _ in range(wanted):
                await source.read()
            source.want_key_frame()
            frames = decoded([await source.read() for _ in range(8)], codec.lower())
            assert len(frames) == 8
            assert memoryview(frames[0].planes[0])[0] > 200


async def test_a_late_subscriber_sees_a_film_that_is_through(tmp_path: Path) -> None:
    """While the last picture stays for the sound to end, it comes as a key frame for whoever comes then (M9, M10)."""
    async with opened(make_file(tmp_path / "s.webm", video=1, audio=8)) as file:
        sources = {kind: file.source(kind) for kind in file.kinds}
        for _ in range(150):
            await sources["audio"].read()
        units = [await sources["video"].read() for _ in range(20)]
        assert units[-1].pts > 2 * 90000
        sources["video"].want_key_frame()
        late = [await sources["video"].read() for _ in range(3)]
    assert is_key(late[0])
    assert len(decoded(late)) == 3


async def test_a_file_that_was_cut_off_is_sent_as_far_as_it_goes(tmp_path: Path) -> None:
    """Half a file is sent, and begins again where it ends."""
    path = make_file(tmp_path / "s.webm", video=2, audio=2)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    async with opened(path) as file:
        units = await play(file, 4)
    assert all(units.values())


@pytest.mark.parametrize("size", [0, 5000])
async def test_what_is_no_media_is_an_error(tmp_path: Path, size: int) -> None:
    """A file of zeros is an error of one line with its name."""
    path = tmp_path / "s.webm"
    path.write_bytes(bytes(size))
    with pytest.raises(PublishError, match=r"^[^\n]*s\.webm[^\n]*$"):
        await MediaFile(path, "VP8", {"audio", "video"}).open()
