"""Encoders that are not ours publish over WHIP: FFmpeg's program, and libavformat within PyAV."""

from __future__ import annotations

from pathlib import Path

import pytest
from smproxy.testing import Subscriber, WebhookReceiver

from tests.helpers import eventually
from tests.integration.conftest import StartSimulator
from tests.integration.encoders import end, ffmpeg, pyav, started
from tests.integration.lives import check_whole_life, spell
from tests.integration.origin_client import running
from tests.integration.origin_whip import http, webrtc


@pytest.mark.parametrize("program", ["ffmpeg", "ffmpeg active", "pyav"])
async def test_encoder(
    start_simulator: StartSimulator, receiver: WebhookReceiver, tmp_path: Path, program: str
) -> None:
    """It publishes H264 and Opus in either role of DTLS, who watches over WHEP or the WebSocket sees and hears it, and it
    leaves without an error and with the hooks of a whole life.
    """
    simulator = await start_simulator(receiver)
    url = f"http://127.0.0.1:{simulator.port}/live/whip/endpoint/cam?customerScope=acme"
    active = ["-whip_flags", "dtls_active"] if "active" in program else []
    command = pyav(url, 5, tmp_path) if program == "pyav" else ffmpeg(url, 5, "-g", "20", *active)
    async with started(command) as encoder:
        await eventually(lambda: simulator.manager.sessions.publishing(), 15)
        watching = (
            Subscriber(simulator.url, stream="cam", params={"customerScope": "acme"}, transport="whep"),
            Subscriber(simulator.url, stream="cam", params={"customerScope": "acme"}),
        )
        for subscriber in watching:
            async with subscriber:
                await subscriber.wait_for_frames(5)
                await subscriber.wait_for_frames(5, kind="audio")
                assert {track.codec for track in subscriber.statistics.values()} == {"H264", "opus"}
        code, errors = await end(encoder)
    assert code == 0, errors
    # FFmpeg 9.0 says so of every answer to its DELETE, whatever is in it.
    assert [each for each in errors.splitlines() if "DELETE" not in each and "dispose" not in each] == []

    def told() -> list[str]:
        return [spell(event) for event in receiver.events if event["connection"]["role"] == "publisher"]

    await eventually(lambda: told()[-1:] == ["disconnected"], 10)
    check_whole_life(told())
    published = [event for event in receiver.events if event["connection"]["role"] == "publisher"]
    assert {event["connection"]["transport"] for event in published} == {"whip"}
    assert published[-1]["payload"]["reason"] == 0


async def test_a_late_viewer_need_not_wait_for_a_key_frame_of_ffmpeg() -> None:
    """FFmpeg makes a key frame every 250 frames and ignores requests; who comes 4 s after its start sees a picture (M10)."""
    async with running(open_to_all=True) as (origin, _), http(origin) as request, webrtc(request) as watching:
        url = f"http://127.0.0.1:{origin.hello.port}/live/whip/endpoint/cam"
        async with started(ffmpeg(url, 60)):
            # So late that the origin has asked for a key frame in vain.
            await eventually(lambda: any(each.frames >= 80 for each in origin.statistics()), 20)
            await watching.watch("cam")
            await watching.more("video", count=1)
            published = [each for each in origin.statistics() if each.frames and each.codec == "H264"]
            assert {each.key_frames for each in published} == {1}, "another key frame came, so this shows nothing"
