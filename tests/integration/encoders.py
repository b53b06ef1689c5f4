"""Programs that are not ours and publish over WHIP: FFmpeg, and libavformat within PyAV."""

from __future__ import annotations

import asyncio
import datetime
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import imageio_ffmpeg
from smproxy.certificates import self_signed

from tests.helpers import scaled

_SOURCES = ["-f", "lavfi", "-i", "testsrc=size=320x240:rate=20", "-f", "lavfi", "-i", "sine=frequency=440"]
_VIDEO = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-tune", "zerolatency"]
_BASELINE = ["-profile:v", "baseline", "-bf", "0"]
_AUDIO = ["-c:a", "libopus", "-ar", "48000", "-ac", "2", "-strict", "experimental"]


def ffmpeg(url: str, seconds: float, *options: str) -> list[str]:
    """Write the command line of an FFmpeg that publishes a test picture and a tone, URL last; 20 frames a second."""
    inputs = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-re", *_SOURCES, "-t", str(seconds)]
    return [*inputs, *_VIDEO, *_BASELINE, *_AUDIO, *options, "-f", "whip", url]


def pyav(url: str, seconds: float, folder: Path) -> list[str]:
    """Write the command line of a PyAV script that publishes.

    It has a certificate of its own: the one that GnuTLS makes for it is on a curve (P-224) that OpenSSL 4 does not take.
    """
    files = self_signed(folder, ["localhost"], datetime.datetime.now(datetime.UTC))
    program = Path(__file__).with_name("whip_encoder.py")
    return [sys.executable, str(program), url, str(seconds), str(files.certificate), str(files.key)]


@asynccontextmanager
async def started(command: list[str]) -> AsyncIterator[Process]:
    """Run a program, and end it if it does not end by itself."""
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def run(command: list[str]) -> tuple[int, str]:
    """Run a program to its end; return its exit code and what it wrote of errors."""
    async with started(command) as process:
        return await end(process)


async def end(process: Process) -> tuple[int, str]:
    """Wait for the end of a program; return its exit code and what it wrote of errors."""
    async with asyncio.timeout(scaled(30)):
        _, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, errors.decode(errors="replace")
