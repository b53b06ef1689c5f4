"""Clients that are not ours publish over WHIP: FFmpeg's program, and libavformat within PyAV."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, STDOUT
from datetime import UTC, datetime, timedelta
from pathlib import Path

import imageio_ffmpeg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from smproxy.simulator import Simulator
from smproxy.testing import Subscriber, WebhookReceiver

from tests.helpers import eventually, scaled
from tests.integration.conftest import StartSimulator
from tests.integration.lives import check_whole_life, spell

PYAV = """
import av, fractions, sys
options = dict(zip(("cert_file", "key_file"), sys.argv[2:]))
out = av.open(sys.argv[1], "w", format="whip", options={"strict": "experimental"} | options)
video = out.add_stream("libx264", rate=30, options={"preset": "ultrafast", "bf": "0", "profile": "baseline", "g": "30"})
video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
audio = out.add_stream("libopus", rate=48000)
audio.layout = "stereo"
for number in range(60):
    picture = av.VideoFrame(320, 240, "yuv420p")
    picture.pts, picture.time_base = number, fractions.Fraction(1, 30)
    for packet in video.encode(picture): out.mux(packet)
    for part in range(2):
        sound = av.AudioFrame(format="flt", layout="stereo", samples=800)
        for plane in sound.planes: plane.update(bytes(plane.buffer_size))
        sound.sample_rate, sound.pts, sound.time_base = 48000, (2 * number + part) * 800, fractions.Fraction(1, 48000)
        for packet in audio.encode(sound): out.mux(packet)
out.close()
"""


def ffmpeg(url: str, seconds: float) -> list[str]:
    """Return a command that publishes a test picture and a tone with FFmpeg's default options for WHIP."""
    return [
        imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "info", "-re",
        "-f", "lavfi", "-i", "testsrc2=s=320x240:r=30", "-f", "lavfi", "-i", "sine=440:r=48000", "-t", str(seconds),
        "-c:v", "libx264", "-bf", "0", "-profile:v", "baseline", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-g", "30",
        "-c:a", "libopus", "-ar", "48000", "-ac", "2", "-strict", "experimental", "-f", "whip", url,
    ]  # fmt: skip


async def run(command: list[str]) -> tuple[int, str]:
    """Run a command to its end; return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=STDOUT)
    try:
        async with asyncio.timeout(scaled(30)):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")


@pytest.fixture
async def simulator(start_simulator: StartSimulator, receiver: WebhookReceiver) -> Simulator:
    """A simulator as people start it."""
    return await start_simulator(receiver)


def endpoint(simulator: Simulator, name: str = "cam") -> str:
    """Return the URL of a WHIP endpoint."""
    return f"http://127.0.0.1:{simulator.port}/live/whip/endpoint/{name}?customerScope=acme"


def told(receiver: WebhookReceiver) -> list[str]:
    """Return what the hooks tell so far."""
    return [spell(event) for event in receiver.events]


@pytest.mark.parametrize("dtls", [[], ["-whip_flags", "dtls_active"]], ids=["passive", "active"])
async def test_ffmpeg(simulator: Simulator, receiver: WebhookReceiver, dtls: list[str]) -> None:
    """FFmpeg publishes in either role of the handshake, and its hooks tell a whole life."""
    command = ffmpeg(endpoint(simulator), 2)
    code, output = await run([*command[:-3], *dtls, *command[-3:]])
    assert code == 0, output
    await eventually(lambda: told(receiver)[-1:] == ["disconnected"], 10)
    check_whole_life(told(receiver))
    assert {event["connection"]["transport"] for event in receiver.events} == {"whip"}


async def test_pyav(simulator: Simulator, receiver: WebhookReceiver, tmp_path: Path) -> None:
    """The WHIP muxer of libavformat publishes from Python, with a certificate on a curve of this decade."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "whip")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    (tmp_path / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    files = [str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")]
    code, output = await run([sys.executable, "-c", PYAV, endpoint(simulator), *files])
    assert code == 0, output
    await eventually(lambda: told(receiver)[-1:] == ["disconnected"], 10)
    check_whole_life(told(receiver))


async def test_whip_publishes_and_whep_watches(simulator: Simulator) -> None:
    """A stream that FFmpeg publishes over WHIP is watched over the WebSocket, pictures and sound."""
    publishing = asyncio.ensure_future(run(ffmpeg(endpoint(simulator), 8)))
    await eventually(lambda: simulator.manager.sessions.publishing(), 10)
    async with Subscriber(simulator.url, stream="cam", params={"customerScope": "acme"}) as subscriber:
        await subscriber.wait_for_frames(20)
    code, output = await publishing
    assert code == 0, output
