"""Encoders that publish over WHIP: FFmpeg and libavformat in PyAV."""

from __future__ import annotations

import asyncio
import datetime
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import imageio_ffmpeg
import pytest
from smproxy.certificates import self_signed
from smproxy.signaling.node import PeerEnded
from smproxy.signaling.payloads import Reason

from tests.helpers import eventually, scaled
from tests.integration.origin_client import running
from tests.integration.origin_whip import http, webrtc

SOURCES = ["-f", "lavfi", "-i", "testsrc=size=320x240:rate=20", "-f", "lavfi", "-i", "sine=frequency=440"]
VIDEO = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-tune", "zerolatency"]
BASELINE = ["-profile:v", "baseline", "-bf", "0", "-g", "20"]
AUDIO = ["-c:a", "libopus", "-ar", "48000", "-ac", "2"]


def ffmpeg(url: str, seconds: float, *options: str) -> list[str]:
    """Write the command line of an FFmpeg that publishes."""
    output = ["-strict", "experimental", *options, "-f", "whip", url]
    return [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-re",
        *SOURCES,
        "-t",
        str(seconds),
        *VIDEO,
        *BASELINE,
        *AUDIO,
        *output,
    ]


def pyav(url: str, seconds: float, folder: Path) -> list[str]:
    """Write the command line of a PyAV script that publishes.

    It has a certificate of its own: the one that GnuTLS makes for it is on a curve (P-224) that OpenSSL 4 does not take.
    """
    now = datetime.datetime.now(datetime.UTC)
    files = self_signed(folder, ["localhost"], now)
    program = Path(__file__).with_name("whip_encoder.py")
    return [sys.executable, str(program), url, str(seconds), str(files.certificate), str(files.key)]


@asynccontextmanager
async def process(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program, and end it if it does not end by itself."""
    started = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


@pytest.mark.parametrize("program", ["ffmpeg", "ffmpeg active", "pyav"])
async def test_encoder(program: str, tmp_path: Path) -> None:
    """It publishes H264 and Opus, a browser's peer sees and hears it, and it leaves without an error."""
    async with running(open_to_all=True) as (origin, reports), http(origin) as request, webrtc(request) as watching:
        url = f"http://127.0.0.1:{origin.hello.port}/live/whip/endpoint/cam"
        active = ["-whip_flags", "dtls_active"] if "active" in program else []
        command = pyav(url, 4, tmp_path) if program == "pyav" else ffmpeg(url, 4, *active)
        async with process(*command) as encoder:
            await eventually(lambda: len(origin.statistics()) == 2, 15)
            await eventually(lambda: all(each.packets > 10 for each in origin.statistics()), 15)
            assert {each.codec for each in origin.statistics()} == {"H264", "opus"}
            await watching.watch("cam")
            await watching.more("audio", "video")
            async with asyncio.timeout(scaled(20)):
                _, errors = await encoder.communicate()
        assert encoder.returncode == 0
        # FFmpeg 9.0 says so of every answer to its DELETE, whatever is in it.
        assert [each for each in errors.splitlines() if b"DELETE" not in each and b"dispose" not in each] == []
        ended = [each for each in reports if isinstance(each, PeerEnded)]
        assert [each.reason for each in ended] == [Reason.USER_ACTION]


async def test_a_late_viewer_need_not_wait_for_a_key_frame_of_ffmpeg() -> None:
    """FFmpeg makes a key frame every 250 frames and ignores requests; who comes 4 s after its start sees a picture (M10)."""
    async with running(open_to_all=True) as (origin, _), http(origin) as request, webrtc(request) as watching:
        url = f"http://127.0.0.1:{origin.hello.port}/live/whip/endpoint/cam"
        async with process(*ffmpeg(url, 60, "-g", "250")):
            # So late that the origin has asked for a key frame in vain.
            await eventually(lambda: any(each.frames >= 80 for each in origin.statistics()), 20)
            await watching.watch("cam")
            await watching.more("video", count=1)
            published = [each for each in origin.statistics() if each.frames and each.codec == "H264"]
            assert {each.key_frames for each in published} == {1}, "another key frame came, so this shows nothing"
