"""Recordings of real publishes: what a player finds in the files, what is told of them, and what REST serves."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import random
import re
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import av
import pytest
from smproxy.origin.origin import Origin
from smproxy.origin.recording.matroska import HEADER_SIZE, read_header
from smproxy.signaling.node_channel import RecordingEnded, RecordingStarted, Report
from smproxy.testing import Publisher, WebhookReceiver
from smproxy.testing.media import pattern_loop
from yarl import URL

from tests.helpers import eventually, scaled
from tests.integration.commands import start
from tests.integration.conftest import MakePublisher, StartSimulator, published
from tests.integration.origin_client import Reports, running
from tests.unit.recording_media import Watched, seek, watch


def sent(stream: Publisher) -> float:
    """Return the seconds of media that a publisher has sent."""
    return stream.statistics["audio"].packets / 50


async def sends(stream: Publisher, seconds: float) -> None:
    """Wait until so much more has been sent."""
    enough = sent(stream) + seconds
    await eventually(lambda: sent(stream) >= enough, seconds + 10)


class Length:
    """How long a session is, between two bounds that hold however busy the machine is. Seconds.

    Entered before ``publish``; ``live`` after it, ``ending`` before ``unpublish``, left after it.
    """

    def __enter__(self) -> Length:
        self._before = time.monotonic()
        return self

    def live(self) -> None:
        self._began = time.monotonic()

    def ending(self) -> None:
        self._least = time.monotonic() - self._began

    def __exit__(self, *_: object) -> None:
        self._most = time.monotonic() - self._before

    def check(self, found: Watched) -> None:
        """Compare with what is in a file, to 0.1 s."""
        for length in (found.duration, max(found.audio_end, found.video[-1])):
            assert self._least - 0.1 <= length <= self._most + 0.1


def written(path: Path) -> int:
    """Return the milliseconds that a file holds which is still being written."""
    header = read_header(path.read_bytes()[:HEADER_SIZE]) if path.exists() else None
    return 0 if header is None else header.duration


@asynccontextmanager
async def publishing(origin: Origin, stream: str = "s", **options: Any) -> AsyncIterator[Publisher]:
    """Publish to an origin without a manager in between."""
    async with Publisher(f"ws://127.0.0.1:{origin.hello.port}/live/", stream=stream, **options) as publisher:
        yield publisher


def ends(reports: list[Report]) -> list[RecordingEnded]:
    return [each for each in reports if isinstance(each, RecordingEnded)]


async def ended(reports: Reports, count: int = 1) -> RecordingEnded:
    """Wait for the end of so many recordings and return the last one."""
    await eventually(lambda: len(ends(reports)) >= count, 5, f"{count} recordings did not end")
    assert len([each for each in reports if isinstance(each, RecordingStarted)]) == count
    return ends(reports)[-1]


@pytest.mark.parametrize(("codec", "name"), [("VP8", "s.webm"), ("H264", "s.mkv")])
async def test_records_what_is_published(
    start_simulator: StartSimulator,
    publisher: MakePublisher,
    receiver: WebhookReceiver,
    codec: str,
    name: str,
) -> None:
    """With ``recording=true`` the file has the whole stream in step, its hook tells where it is, and REST serves it."""
    simulator = await start_simulator(receiver)
    stream = publisher(simulator, "s", codec=codec, params={"recording": True})
    with Length() as length:
        await published(simulator, stream)
        length.live()
        await sends(stream, 2.5)
        length.ending()
        await stream.unpublish()
    saved = (await receiver.wait_for(lambda hook: hook.state == "recording_saved")).event["payload"]
    assert simulator.settings.recordings_dir is not None
    path = simulator.settings.recordings_dir / "live" / name
    found = watch(path)
    assert (saved["file"], saved["size"]) == (f"live/{name}", path.stat().st_size)
    length.check(found)
    assert found.duration == pytest.approx(saved["duration"] / 1000, abs=0.002)
    assert abs(found.video[0] - found.audio[0]) < 0.1
    assert abs(found.video[-1] - found.audio[-1]) < scaled(0.2)
    assert len(found.audio) == pytest.approx((found.audio_end - found.audio[0]) * 50, abs=1)
    assert len(found.video) == pytest.approx((found.video[-1] - found.video[0]) * 15 + 1, abs=1)
    assert seek(path, found.duration - 0.1) > 1
    async with aiohttp.ClientSession(simulator.rest_url) as http:
        async with http.get("/api/v1/recordings") as answer:
            (listed,) = (await answer.json())["recordings"]
        assert (listed["file"], listed["size"]) == (f"live/{name}", path.stat().st_size)
        async with http.get(listed["url"], headers={"Range": "bytes=4-99"}) as answer:
            assert answer.status == 206
            assert await answer.read() == path.read_bytes()[4:100]
            assert answer.content_type == ("video/webm" if codec == "VP8" else "video/x-matroska")
        async with http.delete(listed["url"]) as answer:
            assert answer.status == 200
        async with http.get(listed["url"]) as answer:
            assert answer.status == 404
    assert not path.exists()


async def test_without_the_parameter_nothing_is_recorded(
    start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """A live stream leaves no file, and no directory."""
    simulator = await start_simulator()
    stream = publisher(simulator, "s", params={"recording": False})
    await published(simulator, stream)
    await stream.unpublish()
    assert simulator.settings.recordings_dir is not None
    assert not simulator.settings.recordings_dir.exists()


async def test_modes(tmp_path: Path) -> None:
    """The mode ``append`` continues a recording, also right after its end; ``record`` begins a new one and keeps the old."""
    async with running(open_to_all=True, recordings=tmp_path) as (origin, reports):
        for mode in ("record", "append", "record"):
            async with publishing(origin, mode=mode, data_channel=False) as stream:
                await sends(stream, 0.7)
        last = await ended(reports, 3)
    lengths = [each.duration / 1000 for each in ends(reports)]
    assert {(each.file, each.error) for each in ends(reports)} == {("live/s.webm", None)}
    joined, new = watch(tmp_path / "live/s~1.webm"), watch(tmp_path / "live/s.webm")
    assert joined.duration == pytest.approx(lengths[1], abs=0.002)
    assert lengths[1] > lengths[0] + 0.5
    assert joined.video == sorted(joined.video)
    assert joined.video[0] < 0.5
    assert (new.duration, last.size) == (
        pytest.approx(lengths[2], abs=0.002),
        (tmp_path / "live/s.webm").stat().st_size,
    )


async def test_loss_leaves_a_playable_file(tmp_path: Path) -> None:
    """Of a publish that loses packets every frame in the file decodes, and the file is as long as the publish was."""
    async with running(open_to_all=True, recordings=tmp_path) as (origin, reports):
        with Length() as length:
            async with publishing(origin, params={"recording": "TRUE"}) as stream:
                length.live()
                lose(stream, 0.04)
                await sends(stream, 3)
                length.ending()
        await ended(reports)
    found = watch(tmp_path / "live/s.webm")
    length.check(found)
    assert len(found.video) > 10


def lose(stream: Publisher, rate: float) -> None:
    """Let media packets of a publisher get lost on their way."""
    rng = random.Random(7)
    assert stream._peer is not None

    def lossy(send: Callable[..., Any]) -> Callable[..., Any]:
        async def send_data(data: bytes, *rest: Any) -> None:
            if not (127 < data[0] < 192 and not 191 < data[1] < 224 and rng.random() < rate):
                await send(data, *rest)

        return send_data

    for connection in stream._peer._connections():
        for protocol in connection._protocols:
            vars(protocol)["send_data"] = lossy(protocol.send_data)


async def test_stopping_the_origin_finishes_the_files(tmp_path: Path) -> None:
    """When an origin stops, open recordings are complete and reported before it has stopped."""
    async with (
        running(open_to_all=True, recordings=tmp_path) as (origin, reports),
        publishing(origin, params={"recording": True}) as stream,
    ):
        await sends(stream, 0.5)
        await origin.stop()
        (end,) = ends(reports)
        assert end.error is None
        assert watch(tmp_path / end.file).duration == pytest.approx(end.duration / 1000, abs=0.002)


async def test_without_a_directory_the_stream_lives_on() -> None:
    """Where nothing is kept on disk the publish succeeds, and the report says why there is no recording."""
    async with running(open_to_all=True) as (origin, reports), publishing(origin, params={"recording": True}) as stream:
        assert "--recordings" in str((await ended(reports)).error)
        assert stream.state == "live"


async def test_the_limit_ends_the_recording_not_the_stream(tmp_path: Path) -> None:
    """At the disk limit the recording ends with an error, its file plays, and the stream goes on."""
    async with (
        running(open_to_all=True, recordings=tmp_path, recordings_limit=130_000) as (origin, reports),
        publishing(origin, params={"recording": True}) as stream,
    ):
        end = await ended(reports)
        assert "--recordings-limit" in str(end.error)
        assert stream.state == "live"
    assert len(ends(reports)) == 1
    assert watch(tmp_path / "live/s.webm").duration == pytest.approx(end.duration / 1000, abs=0.002)


async def test_a_killed_process_leaves_a_whole_file(tmp_path: Path) -> None:
    """After ``kill -9`` the file plays, and can be searched, up to the last second; ``append`` continues it."""
    path = tmp_path / ".smproxy/recordings/live/s.webm"
    process = await start("serve", "--port", "0", cwd=tmp_path)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(scaled(20)):
            match = None
            while match is None:
                line = await process.stdout.readline()
                assert line, "smproxy serve did not start"
                match = re.search(rb"ws://localhost:(\d+)/", line)
        stream = Publisher(
            f"ws://127.0.0.1:{int(match[1])}/streammanager",
            stream="s",
            params={"recording": True, "customerScope": "acme"},
        )
        began = time.monotonic()
        await stream.publish()
        # Past the second key frame, which is what a player jumps to.
        await eventually(lambda: written(path) > 2500 and sent(stream) > 2.5, 20)
        published = sent(stream)
        process.send_signal(signal.SIGKILL)
        lasted = time.monotonic() - began
        await process.wait()
        await stream.close()
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
    found = watch(path)
    assert max(2.5, published - scaled(1)) < found.duration < lasted + 0.1
    assert min(found.video[-1], found.audio[-1]) > published - scaled(1.2)
    assert seek(path, found.duration - 0.2) > 1
    async with running(open_to_all=True, recordings=tmp_path / ".smproxy/recordings") as (origin, reports):
        async with publishing(origin, mode="append") as stream:
            await eventually(lambda: sent(stream) > 0.6)
        await ended(reports)
    assert watch(path).duration > found.duration + 0.4


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_a_thumbnail_shows_the_picture(
    start_simulator: StartSimulator, publisher: MakePublisher, codec: str
) -> None:
    """The thumbnail of a live stream is its last key frame; without a stream there is none."""
    simulator = await start_simulator()
    stream = publisher(simulator, "s/1", codec=codec)
    url = f"{simulator.rest_url}/api/v1/streams/live/s%2F1/thumbnail.png"
    await published(simulator, stream)
    async with aiohttp.ClientSession() as http:
        pictures: list[bytes] = []
        async with asyncio.timeout(scaled(10)):
            while not pictures:
                async with http.get(url) as answer:
                    assert answer.status in {200, 404}
                    if answer.status == 200:
                        assert answer.content_type == "image/png"
                        pictures.append(await answer.read())
        await stream.unpublish()
        await eventually(lambda: not simulator.manager.sessions.publishing())
        async with http.get(url) as answer:
            assert answer.status == 404
    with av.open(io.BytesIO(pictures[0]), format="png_pipe") as container:
        shown = next(container.decode(video=0))
    decoder: Any = av.CodecContext.create(codec.lower(), "r")
    decoder.thread_count = 1
    expected = (decoder.decode(av.Packet(pattern_loop(codec).frames[0])) + decoder.decode(None))[0]  # type: ignore[arg-type]
    assert (shown.width, shown.height) == (320, 240)
    assert bytes(shown.reformat(format="rgb24").planes[0]) == bytes(expected.reformat(format="rgb24").planes[0])


async def test_thumbnails_of_silent_streams(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """A stream without pictures has no thumbnail, and that is told as 404."""
    simulator = await start_simulator()
    await published(simulator, publisher(simulator, "s", video=False))
    async with (
        aiohttp.ClientSession(simulator.rest_url) as http,
        http.get("/api/v1/streams/live/s/thumbnail.png") as answer,
    ):
        assert answer.status == 404
        assert "no picture yet" in await answer.text()


@pytest.mark.parametrize(
    "file",
    [
        "%2e%2e/hooks.db",
        "..%2Fsecret.webm",
        "live/%2e%2e/%2e%2e/secret.webm",
        ".hidden.webm",
        "link.webm",
        "a.txt",
        "live",
        "%00.webm",
    ],
)
async def test_only_recordings_are_served(start_simulator: StartSimulator, tmp_path: Path, file: str) -> None:
    """No path leads out of the recordings' directory, or to what is no recording."""
    root = tmp_path / "recordings"
    (root / "live").mkdir(parents=True)
    (tmp_path / "secret.webm").write_text("secret")
    (root / "a.txt").write_text("secret")
    (root / ".hidden.webm").write_text("secret")
    (root / "link.webm").symlink_to(tmp_path / "secret.webm")
    simulator = await start_simulator(recordings=root, admin_token="t")
    async with aiohttp.ClientSession() as http:
        url = URL(f"{simulator.rest_url}/api/v1/recordings/{file}", encoded=True)
        for method in ("GET", "DELETE"):
            async with http.request(method, URL(f"{url}?accessToken=t", encoded=True)) as answer:
                assert answer.status == 404
                assert "secret" not in await answer.text() or "secret.webm" in file
    assert (tmp_path / "secret.webm").read_text() == "secret"


async def test_strange_files_do_not_spoil_the_listing(start_simulator: StartSimulator, tmp_path: Path) -> None:
    """What is no file, or has a name that no URL can have, is left out; the recordings beside it are listed and play."""
    (tmp_path / "s.webm").write_text("kept")
    (tmp_path / "folder.webm").mkdir()
    (tmp_path / "link.webm").symlink_to(tmp_path / "s.webm")
    os.mkfifo(tmp_path / "pipe.webm")
    with contextlib.suppress(OSError):  # a file system of names in Unicode has no such file
        (tmp_path / os.fsdecode(b"\xff.webm")).write_text("kept")
    simulator = await start_simulator(recordings=tmp_path)
    async with aiohttp.ClientSession(simulator.rest_url) as http, http.get("/api/v1/recordings") as answer:
        assert answer.status == 200
        assert [each["file"] for each in (await answer.json())["recordings"]] == ["s.webm"]


async def test_the_token(start_simulator: StartSimulator, tmp_path: Path) -> None:
    """With an admin token, recordings are listed and deleted with it only; a listing's URL plays its file and no other."""
    for name in ("s.webm", "other one.webm"):
        (tmp_path / name).write_text("kept")
    simulator = await start_simulator(recordings=tmp_path, admin_token="t")

    async with aiohttp.ClientSession(simulator.rest_url) as http:

        async def status(url: str, method: str = "GET", **headers: str) -> int:
            async with http.request(method, URL(url, encoded=True), headers=headers) as answer:
                return answer.status

        assert await status("/api/v1/recordings") == 401
        assert await status("/api/v1/streams/live/s/thumbnail.png") == 401
        assert await status("/api/v1/recordings/s.webm") == 401
        assert await status("/api/v1/recordings/s.webm", "DELETE") == 401
        async with http.get("/api/v1/recordings?accessToken=t") as answer:
            listed = {each["file"]: each["url"] for each in (await answer.json())["recordings"]}
        assert [await status(url) for url in listed.values()] == [200, 200]
        assert await status(listed["s.webm"].replace("s.webm", "other%20one.webm")) == 401
        assert await status(listed["s.webm"], "DELETE") == 401
        assert await status("/api/v1/recordings/s.webm", Authorization="Bearer t") == 200
        assert await status("/api/v1/recordings/s.webm?accessToken=t", "DELETE") == 200
    assert [each.name for each in tmp_path.glob("*.webm")] == ["other one.webm"]


async def test_pages_of_other_sites_see_nothing(start_simulator: StartSimulator, tmp_path: Path) -> None:
    """Without a token, whoever visits another site has not let it look at what was recorded."""
    (tmp_path / "s.webm").write_text("private")
    simulator = await start_simulator(recordings=tmp_path)
    async with aiohttp.ClientSession(simulator.rest_url, headers={"Origin": "https://elsewhere.example"}) as http:
        for path in ("recordings", "recordings/s.webm", "streams/live/s/thumbnail.png"):
            async with http.get(f"/api/v1/{path}") as answer:
                assert answer.status == 403
