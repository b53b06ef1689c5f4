"""The headless publisher against a real origin, with real media."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import av
import pytest
from smproxy.origin.origin import Origin, OriginSettings
from smproxy.signaling import messages
from smproxy.signaling.clock import Clock
from smproxy.signaling.node_channel import MediaGap, PeerEnded, Report, StreamStarted, TrackStarted, TransportUp
from smproxy.signaling.payloads import Reason
from smproxy.testing import Publisher, PublishError, PublishRejected, PublishTimeout
from smproxy.testing.media import FRAME_RATE, pattern_loop, tone_loop
from websockets.asyncio.server import ServerConnection, serve

from tests.helpers import eventually, scaled


class RunningOrigin:
    """An origin and what it reported."""

    def __init__(self, origin: Origin, reports: list[Report]) -> None:
        self.origin = origin
        self.reports = reports
        self.url = f"ws://{origin.hello.host}:{origin.hello.port}/live"

    def kinds(self) -> list[type[Report]]:
        return [type(report) for report in self.reports]

    def switched(self) -> bool:
        return all(session.role.signaling.switched for session in self.origin._sessions)

    def ended(self) -> PeerEnded | None:
        return next((report for report in self.reports if isinstance(report, PeerEnded)), None)


@pytest.fixture
async def running() -> AsyncIterator[RunningOrigin]:
    reports: list[Report] = []
    settings = OriginSettings(open_to_all=True, media_gap=0.6, media_timeout=1.5)
    origin = await Origin.start(settings, reports.append, clock=Clock(), rng=random.Random(7))
    yield RunningOrigin(origin, reports)
    await origin.stop()


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_publishes_audio_and_video(running: RunningOrigin, codec: Any) -> None:
    """A publisher brings both tracks up, with one key frame at each loop start, and unpublishes as a user does."""
    async with Publisher(running.url, stream="cam", codec=codec) as publisher:
        assert publisher.publish_ms is not None
        await eventually(lambda: running.kinds().count(TrackStarted) == 2)
        await eventually(lambda: publisher.statistics["video"].packets > FRAME_RATE)
        video = next(track for track in running.origin.statistics() if track.track == "video_main")
        assert (video.codec, video.lost, video.width, video.height) == (codec, 0, 320, 240)
        assert 1 <= video.key_frames <= 2
    assert publisher.ended_by == "client"
    assert publisher.close_code == 1005
    assert StreamStarted in running.kinds()
    await eventually(lambda: running.ended() is not None)
    ended = running.ended()
    assert ended is not None
    assert ended.reason is Reason.USER_ACTION


async def test_leaves_nothing_behind(running: RunningOrigin) -> None:
    """After the end no task, thread or timer of the publisher is left, and no decoder was ever started."""
    tasks, threads = asyncio.all_tasks(), threading.active_count()
    async with Publisher(running.url, stream="cam"):
        assert threading.active_count() == threads
    await running.origin.stop()
    await eventually(lambda: asyncio.all_tasks() <= tasks)
    assert threading.active_count() == threads


async def test_switches_to_the_data_channel(running: RunningOrigin) -> None:
    """After the delay signaling moves to the data channel; the socket closes, the stream lives on and can be unpublished."""
    publisher = Publisher(running.url, stream="cam", switch_delay=0.05)
    await publisher.publish()
    await eventually(lambda: publisher.switched)
    sent = publisher.statistics["audio"].packets
    await eventually(lambda: publisher.statistics["audio"].packets > sent + 10)
    assert not publisher.closed.is_set()
    await publisher.unpublish()
    last = [(frame.channel, frame.sender) for frame in publisher.frames][-2:]
    assert last == [("dc", "client"), ("dc", "server")]


async def test_stays_on_the_socket_without_a_data_channel(running: RunningOrigin) -> None:
    """Without a data channel none is offered, and the socket is what it unpublishes on."""
    async with Publisher(running.url, stream="cam", data_channel=False, switch_delay=0) as publisher:
        offer = next(frame.text for frame in publisher.frames if "handleOffer" in frame.text)
        assert "m=application" not in offer
    assert not publisher.switched
    assert {frame.channel for frame in publisher.frames} == {"ws"}


async def test_silent_publisher(running: RunningOrigin) -> None:
    """With send_media off the transport is up and stays up, and no RTP is sent."""
    async with Publisher(running.url, stream="cam", send_media=False) as publisher:
        await eventually(lambda: TransportUp in running.kinds())
        assert {count.packets for count in publisher.statistics.values()} == {0}
    assert TrackStarted not in running.kinds()


async def test_name_in_use(running: RunningOrigin) -> None:
    """The second publisher of a name is rejected, with the first one's stream untouched."""
    async with Publisher(running.url, stream="cam", send_media=False) as first:
        with pytest.raises(PublishRejected) as refusal:
            await Publisher(running.url, stream="cam").publish()
        assert refusal.value.code == "Publish.InvalidName"
        assert not first.closed.is_set()


@pytest.mark.parametrize("switch_delay", [0.02, 60.0], ids=["data-channel", "socket"])
async def test_notices_that_the_server_ends_it(running: RunningOrigin, switch_delay: float) -> None:
    """A stream that the server ends sets ``closed``, ended by the server, on either channel; leaving it is quiet."""
    async with Publisher(running.url, stream="cam", switch_delay=switch_delay) as publisher:
        if switch_delay < 1:
            # Both ends: one that has switched alone is told on the transport that the other has left.
            await eventually(lambda: publisher.switched and running.switched())
        await running.origin.stop()
        async with asyncio.timeout(scaled(5)):
            await publisher.closed.wait()
        assert publisher.ended_by == "server"


async def test_an_orderly_stop_tells_everybody(running: RunningOrigin) -> None:
    """Of many publishers on their data channels each hears of the stop in words, not by a connection that breaks."""
    async with AsyncExitStack() as stack:
        publishers = [
            await stack.enter_async_context(Publisher(running.url, stream=f"cam-{number}", switch_delay=0.02))
            for number in range(6)
        ]
        await eventually(lambda: all(each.switched for each in publishers) and running.switched())
        await running.origin.stop()
        async with asyncio.timeout(scaled(5)):
            for publisher in publishers:
                await publisher.closed.wait()
        assert [publisher.ended_by for publisher in publishers] == ["server"] * 6


async def test_what_breaks_after_the_announced_end_is_a_consequence(running: RunningOrigin) -> None:
    """A transport that closes right after the server's close message does not hide that the server ended the stream."""
    publisher = Publisher(running.url, stream="cam", switch_delay=0.02)
    await publisher.publish()
    await eventually(lambda: publisher.switched and running.switched())
    publisher._received_on_channel(messages.connect_status(messages.CONNECT_CLOSED))
    publisher._transport_state("closed")
    assert publisher.closed.is_set()
    assert (publisher.ended_by, publisher.close_reason) == ("server", messages.CONNECT_CLOSED)
    await publisher.close()


@pytest.mark.parametrize("tcp", ["abort", "silent"])
async def test_vanishes_without_a_goodbye(running: RunningOrigin, tcp: Any) -> None:
    """A switched publisher whose network is gone is missed after the media gap, and lost after the media timeout."""
    publisher = Publisher(running.url, stream="cam", switch_delay=0.02)
    await publisher.publish()
    # The origin too: one that has not switched yet would take the lost socket for the end.
    await eventually(lambda: publisher.switched and running.switched() and TransportUp in running.kinds())
    publisher.vanish(tcp=tcp)
    await eventually(lambda: MediaGap in running.kinds())
    await eventually(lambda: running.ended() is not None)
    assert running.kinds().index(MediaGap) < running.kinds().index(PeerEnded)
    ended = running.ended()
    assert ended is not None
    assert ended.lost
    await publisher.close()


async def test_close_is_a_closed_tab(running: RunningOrigin) -> None:
    """close() says goodbye on the transports but does not unpublish."""
    publisher = Publisher(running.url, stream="cam", send_media=False)
    await publisher.publish()
    await publisher.close()
    await publisher.close()
    assert not any('"unpublish"' in frame.text for frame in publisher.frames)
    await eventually(lambda: running.ended() is not None)


async def test_nobody_listens() -> None:
    """A server that is not there is a PublishError that names host and port, and not the parameters."""
    publisher = Publisher("ws://127.0.0.1:1/live", stream="cam", params={"password": "geheim"})
    with pytest.raises(PublishError, match=r"cannot connect to 127\.0\.0\.1:1") as refusal:
        await publisher.publish()
    assert "geheim" not in str(refusal.value) + repr(publisher)


async def _serve_texts(*texts: str, close: tuple[int, str] | None = None) -> Any:
    async def handle(socket: ServerConnection) -> None:
        for text in texts:
            await socket.send(text)
        if close is not None:
            await socket.close(*close)
        await socket.wait_closed()

    return await serve(handle, "127.0.0.1", 0)


def _url(server: Any) -> str:
    return f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/live"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (messages.connect_status(messages.CONNECT_REJECTED), messages.CONNECT_REJECTED),
        (messages.connect_error(messages.CONNECT_FAILED), messages.CONNECT_FAILED),
    ],
)
async def test_refusal_has_the_reason_of_the_close(text: str, code: str) -> None:
    """A code-only refusal takes its message from the close that follows."""
    async with await _serve_texts(text, close=(1008, "customerScope is missing")) as server:
        publisher = Publisher(_url(server), stream="cam")
        with pytest.raises(PublishRejected) as refusal:
            await publisher.publish()
        assert (refusal.value.code, refusal.value.message) == (code, "customerScope is missing")
        assert publisher.close_code == 1008


async def test_bare_close_and_silence() -> None:
    """A bare close is a PublishError at once, silence a PublishTimeout that says what was waited for."""
    async with await _serve_texts(close=(1011, "oops")) as server:
        with pytest.raises(PublishError, match="1011 oops"):
            await Publisher(_url(server), stream="cam").publish()
    async with await _serve_texts() as server:
        with pytest.raises(PublishTimeout, match=r"no NetConnection\.Connect\.Success within"):
            await Publisher(_url(server), stream="cam", timeout=0.1).publish()


async def test_http_refusal() -> None:
    """A refused upgrade is a PublishRejected with the HTTP status and the words of the body."""
    async with serve(
        lambda socket: socket.wait_closed(),
        "127.0.0.1",
        0,
        process_request=lambda connection, _: connection.respond(403, "The proxy is off.\n"),
    ) as server:
        with pytest.raises(PublishRejected) as refusal:
            await Publisher(_url(server), stream="cam").publish()
        assert (refusal.value.code, refusal.value.message) == ("HTTP 403", "The proxy is off.")


async def test_many_publishers(running: RunningOrigin) -> None:
    """Fifty publishers in one process, five of them with media, are all live at once and all end."""
    publishers = [Publisher(running.url, stream=f"s{n}", send_media=n < 5, timeout=scaled(30)) for n in range(50)]
    await asyncio.gather(*(publisher.publish() for publisher in publishers))
    assert running.kinds().count(StreamStarted) == 50
    await asyncio.gather(*(publisher.unpublish() for publisher in publishers))
    await eventually(lambda: running.kinds().count(PeerEnded) == 50)


def test_the_pattern_is_one_picture_group() -> None:
    """The loop begins with its only key frame, and is made once."""
    frames = pattern_loop("VP8").frames
    assert [frame[0] & 1 for frame in frames] == [0] + [1] * (len(frames) - 1)
    assert pattern_loop("VP8") is pattern_loop("VP8")
    assert len(tone_loop().frames) == 100


def _make_file(path: Path, video: str, audio: str) -> Path:
    with av.open(str(path), "w") as file:
        pictures: Any = file.add_stream(video, rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound: Any = file.add_stream(audio, rate=48000)
        for number in range(5):
            picture = av.VideoFrame(64, 48, "yuv420p")
            for plane in picture.planes:
                plane.update(bytes([40 * number]) * plane.buffer_size)
            picture.pts = number
            file.mux(pictures.encode(picture))
        silence = av.AudioFrame(format="s16", layout="stereo", samples=24000)
        silence.sample_rate, silence.pts = 48000, 0
        for plane in silence.planes:
            plane.update(bytes(plane.buffer_size))
        fifo, resampler = av.AudioFifo(), av.AudioResampler(sound.format, "stereo", 48000)
        for chunk in resampler.resample(silence):
            fifo.write(chunk)
        for chunk in fifo.read_many(960 if audio == "libopus" else 1024):
            file.mux(sound.encode(chunk))
        file.mux(pictures.encode(None))
        file.mux(sound.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "video", "audio"),
    [("pass.webm", "libvpx", "libopus"), ("recode.mp4", "mpeg4", "aac")],
    ids=["passed-through", "encoded-anew"],
)
async def test_media_file_is_looped(running: RunningOrigin, tmp_path: Path, name: str, video: str, audio: str) -> None:
    """A file of half a second goes on for longer than that, whatever its codecs, and its thread ends with the stream."""
    path = _make_file(tmp_path / name, video, audio)
    threads = threading.active_count()
    async with Publisher(running.url, stream="cam", media=path) as publisher:
        await eventually(lambda: publisher.statistics["video"].packets > 12, timeout=10)
        await eventually(lambda: publisher.statistics["audio"].packets > 60, timeout=10)
        track = next(track for track in running.origin.statistics() if track.track == "video_main")
        assert (track.codec, track.width, track.height) == ("VP8", 64, 48)
    assert threading.active_count() == threads


async def test_unusable_media_file(running: RunningOrigin, tmp_path: Path) -> None:
    """A file that is no media is a PublishError with its name, before anything is said to the server."""
    path = tmp_path / "notes.webm"
    path.write_text("not a film")
    with pytest.raises(PublishError, match=r"notes\.webm"):
        await Publisher(running.url, stream="cam", media=path).publish()
    assert StreamStarted not in running.kinds()


async def smproxy(*words: str) -> asyncio.subprocess.Process:
    """Start ``smproxy publish`` as its user does."""
    command = (sys.executable, "-m", "smproxy", "publish", *words)
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)


async def finish(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    """Return exit code, output and errors."""
    async with asyncio.timeout(scaled(20)):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("words", [(), ("--json",), ("--no-video", "--codec", "H264"), ("--pattern", "counter")])
async def test_publish_command(running: RunningOrigin, words: tuple[str, ...]) -> None:
    """``smproxy publish`` publishes for its duration, tells the sum, never the password, and exits with 0."""
    options = ("--stream", "cam", "--password", "geheim", "--duration", "0.5", *words)
    code, out, err = await finish(await smproxy(running.url, *options))
    assert (code, err) == (0, "")
    assert StreamStarted in running.kinds()
    if "--json" in words:
        last = json.loads(out.splitlines()[-1])
        assert (last["event"], last["endedBy"]) == ("end", "client")
        assert last["packets"] > 0
    else:
        assert out.splitlines()[-1].startswith("ended by the client: ")
    assert "geheim" not in out


async def test_publish_command_is_interrupted(running: RunningOrigin) -> None:
    """Ctrl-C unpublishes before it leaves, and is no failure."""
    process = await smproxy(running.url, "--stream", "cam")
    await eventually(lambda: running.kinds().count(TrackStarted) == 2, timeout=15)
    process.send_signal(signal.SIGINT)
    code, _, err = await finish(process)
    assert (code, err) == (0, "")
    await eventually(lambda: running.ended() is not None)
    ended = running.ended()
    assert ended is not None
    assert (ended.reason, ended.lost) == (Reason.USER_ACTION, False)


async def test_publish_command_is_refused(running: RunningOrigin) -> None:
    """A refusal is exit code 1 and one line with what the server said and what to do."""
    async with Publisher(running.url, stream="cam", send_media=False):
        code, out, err = await finish(await smproxy(running.url, "--stream", "cam", "--password", "geheim"))
    assert code == 1
    assert err.startswith("smproxy publish: refused with Publish.InvalidName")
    assert "choose another --stream" in err
    assert len(err.splitlines()) == 1
    assert "geheim" not in out + err


async def test_publish_command_without_a_stream() -> None:
    """A missing name is a usage error: one line and exit code 2."""
    code, out, err = await finish(await smproxy())
    assert (code, out, err) == (
        2,
        "",
        "smproxy publish: the stream has no name: give NAME, or --stream NAME beside a URL\n",
    )


async def test_close_during_publish() -> None:
    """A publisher that is closed while it waits for the server fails with a PublishError, and not by being cancelled."""
    async with await _serve_texts() as server:
        publisher = Publisher(_url(server), stream="cam")
        publishing = asyncio.create_task(publisher.publish())
        await eventually(lambda: publisher._socket is not None)
        await publisher.close()
        with pytest.raises(PublishError, match="closed"):
            await publishing
