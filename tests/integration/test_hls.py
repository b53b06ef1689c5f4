"""HLS of live streams and recordings: playlists, their processes, and who may see them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import av
import jwt
import pytest
from smproxy.manager.hls import packagers
from smproxy.simulator import Simulator
from smproxy.testing import WebhookReceiver

from tests.helpers import eventually, scaled
from tests.integration.conftest import StartSimulator


async def get(simulator: Simulator, path: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """GET a path; return status, body and headers."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{simulator.rest_url}{path}", headers=headers, timeout=aiohttp.ClientTimeout(scaled(40))) as answer,
    ):
        return answer.status, await answer.read(), dict(answer.headers)


def running(simulator: Simulator) -> list[int]:
    """Return the processes that make HLS."""
    packaged = simulator.manager.packagers._streams.values()
    return [each.process.pid for each in packaged if each.process is not None and each.process.returncode is None]


def count_frames(url: str, wanted: int) -> dict[str, int]:
    """Play with libavformat until so many frames of each kind were decoded."""
    counts = {"video": 0, "audio": 0}
    with av.open(url) as container:
        for frame in container.decode(video=0, audio=0):
            counts["video" if isinstance(frame, av.VideoFrame) else "audio"] += 1
            if min(counts.values()) >= wanted:
                break
    return counts


@pytest.mark.parametrize("options", [{"codec": "VP8"}, {"codec": "H264", "transport": "whip"}], ids=["vp8", "h264"])
async def test_live(start_simulator: StartSimulator, options: dict[str, Any]) -> None:
    """A stream published over any transport plays by the URLs of both servers, and its end is in the playlist."""
    simulator = await start_simulator()
    path = "/live/cam.m3u8?customerScope=acme"
    async with simulator.publisher("cam", customerScope="acme", timeout=scaled(10), **options):
        status, body, headers = await get(simulator, path)
        assert status == 200, body
        assert headers["Content-Type"].startswith("application/vnd.apple.mpegurl")
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert b"#EXT-X-ENDLIST" not in body
        segment = next(line for line in body.decode().splitlines() if not line.startswith("#"))
        status, data, headers = await get(simulator, f"/live/{segment}")
        assert (status, headers["Content-Type"].partition(";")[0], data[:1]) == (200, "video/mp2t", b"\x47")
        assert (await get(simulator, f"/as/v1/proxy/whep{path}"))[0] == 200
        assert (await get(simulator, f"/as/v1/proxy/whep/live/{segment}"))[0] == 200
        assert len(running(simulator)) == 1, "both have the same source"
        assert len(simulator.manager.sessions.watching("live", "cam")) == 1
        counts = await asyncio.to_thread(count_frames, f"{simulator.rest_url}{path}", 20)
        assert min(counts.values()) >= 20
    (packaged,) = simulator.manager.packagers._streams.values()
    await eventually(lambda: packaged.over, 20)
    assert b"#EXT-X-ENDLIST" in (await get(simulator, path))[1]
    again = simulator.publisher("cam", customerScope="acme")
    async with again:
        status, body, _ = await get(simulator, path)
        assert (status, b"#EXT-X-ENDLIST" in body) == (200, False), "the stream's next life has a playlist of its own"


async def test_it_runs_only_while_somebody_watches(
    start_simulator: StartSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a request for a while the process ends, its files are gone, and so is its session; a stop ends others at once."""
    monkeypatch.setattr(packagers, "LINGER", 0.5)
    simulator = await start_simulator()
    async with simulator.publisher("cam"):
        assert (await get(simulator, "/live/cam.m3u8"))[0] == 200
        (packaged,) = simulator.manager.packagers._streams.values()
        assert len(simulator.manager.sessions.watching("live", "cam")) == 1
        await eventually(lambda: not simulator.manager.packagers._streams, 20)
        await eventually(lambda: packaged.over and not packaged.directory.exists(), 20)
        await eventually(lambda: not simulator.manager.sessions.watching("live", "cam"), 20)
        monkeypatch.setattr(packagers, "LINGER", 60)
        assert (await get(simulator, "/live/cam.m3u8"))[0] == 200
        (packaged,) = simulator.manager.packagers._streams.values()
        await simulator.stop()
        assert packaged.over
        assert not packaged.directory.exists()


async def test_it_ends_with_a_killed_stream_manager(tmp_path: Path) -> None:
    """After ``kill -9`` of the stream manager no process that makes HLS is left."""
    command = [sys.executable, "-m", "smproxy", "serve", "--port", "0", "--data-dir", str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(scaled(30)):
            found = None
            while found is None:
                found = re.search(rb"Dashboard +(http://\S+)/", await process.stdout.readline())
        url = found[1].decode()
        publish = [
            sys.executable,
            "-m",
            "smproxy",
            "publish",
            f"{url.replace('http', 'ws', 1)}/streammanager",
            "--stream",
            "cam",
        ]
        publishing = await asyncio.create_subprocess_exec(*publish, stdout=asyncio.subprocess.PIPE)
        assert publishing.stdout is not None
        async with asyncio.timeout(scaled(30)):
            while b"live after" not in await publishing.stdout.readline():
                pass
        async with aiohttp.ClientSession() as http, http.get(f"{url}/live/cam.m3u8") as answer:
            assert answer.status == 200
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        (packager,) = [pid for pid in children if b"hls_packager" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    finally:
        os.kill(process.pid, signal.SIGKILL)
        await process.communicate()
    await eventually(lambda: not Path(f"/proc/{packager}").exists() or _is_zombie(packager), 10)
    publishing.terminate()
    await publishing.communicate()


def _is_zombie(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def test_recordings(start_simulator: StartSimulator, receiver: WebhookReceiver) -> None:
    """Recordings are listed as files, which are had in parts too, and as playlists, which play to the end."""
    simulator = await start_simulator(receiver)
    async with simulator.publisher("taken", mode="record", recording=True) as stream:
        await eventually(lambda: stream.statistics["audio"].packets > 120, 20)
    await receiver.wait_for(lambda hook: hook.state == "recording_saved", scaled(10))
    status, body, _ = await get(simulator, "/live/mediafiles")
    assert status == 200
    (listed,) = json.loads(body)["mediafiles"]
    assert listed["name"] == "taken.webm"
    path = listed["url"].removeprefix(simulator.rest_url)
    status, data, headers = await get(simulator, path, Range="bytes=10-19")
    assert (status, len(data)) == (206, 10)
    total = int(headers["Content-Range"].rpartition("/")[2])
    assert (await get(simulator, path, Range=f"bytes={total}-"))[0] == 416
    assert (await get(simulator, path))[1][10:20] == data
    for tag, code in ((headers["Etag"], 206), ('"another"', 200), (f"W/{headers['Etag']}", 200)):
        assert (await get(simulator, path, Range="bytes=10-19", **{"If-Range": tag}))[0] == code, tag
    address = simulator.manager.registry.nodes[0].address
    target = quote(f"http://{address}/live/mediafiles?useCloud=true", safe="")
    assert json.loads((await get(simulator, f"/as/v1/proxy/forward/?target={target}"))[1])["mediafiles"] == [listed]
    target = quote(f"http://{address}/live/playlists?useCloud=true", safe="")
    forwarded = json.loads((await get(simulator, f"/as/v1/proxy/forward/?target={target}"))[1])
    assert forwarded == json.loads((await get(simulator, "/live/playlists"))[1])
    assert forwarded["playlists"] == [{"name": "taken.m3u8", "url": f"{simulator.rest_url}/live/taken.m3u8"}]
    old = {"If-Range": "Wed, 01 Jan 2020 00:00:00 GMT"}
    assert (await get(simulator, path, Range="bytes=10-19", **old))[0] == 200
    status, body, _ = await get(simulator, "/live/taken.m3u8")
    assert status == 200, body
    counts = await asyncio.to_thread(count_frames, f"{simulator.rest_url}/live/taken.m3u8", 10_000)
    assert counts["video"] > 20
    assert counts["audio"] > 80


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/live/nobody.m3u8", 404, "live/nobody is neither live nor recorded"),
        ("/live/hls/000000000000000000000000/00000.ts", 404, "no such segment"),
        ("/live/hls/000000000000000000000000/..%2f..%2fetc%2fpasswd", 404, "no such segment"),
    ],
)
async def test_what_is_not_there(start_simulator: StartSimulator, path: str, status: int, says: str) -> None:
    """What is not there is a 404 with a sentence."""
    simulator = await start_simulator()
    code, body, _ = await get(simulator, path)
    assert (code, says in body.decode()) == (status, True), body


async def test_who_may(start_simulator: StartSimulator, receiver: WebhookReceiver, tmp_path: Path) -> None:
    """A viewer that authentication refuses gets no playlist, another does; lists and recordings need the admin token."""
    passwords = tmp_path / "passwords"
    passwords.write_text("ann secret\n")
    simulator = await start_simulator(receiver, auth=f"file:{passwords}", admin_token="t0ken")
    ann = {"username": "ann", "password": "secret"}
    async with simulator.publisher("cam", mode="record", recording=True, **ann) as stream:
        await eventually(lambda: stream.statistics["audio"].packets > 50, 20)
        status, body, _ = await get(simulator, "/live/cam.m3u8?username=ann&password=wrong")
        assert (status, b"cannot be played as HLS" in body) == (401, True), body
        assert (await get(simulator, "/live/cam.m3u8?username=ann&password=secret"))[0] == 200
        assert len(running(simulator)) == 1
        assert (await get(simulator, "/live/cam.m3u8?username=ann&password=secret&accessToken=x&useCloud=true"))[
            0
        ] == 200
        assert len(running(simulator)) == 1, "what is not for the subscription makes no process"
        assert (await get(simulator, "/live/cam.m3u8?username=ann&password=wrong"))[0] == 401
    await receiver.wait_for(lambda hook: hook.state == "recording_saved", scaled(10))
    for path in ("/live/mediafiles", "/live/playlists", "/live/cam.m3u8"):
        assert (await get(simulator, path))[0] == 401, path
        assert (await get(simulator, f"{path}?accessToken=t0ken"))[0] == 200, path
    for path in ("/live/mediafiles", "/live/playlists"):
        ((listed,),) = json.loads((await get(simulator, f"{path}?accessToken=t0ken"))[1]).values()
        assert "t0ken" not in listed["url"]
        assert (await get(simulator, listed["url"].removeprefix(simulator.rest_url)))[0] == 200, "its ticket lets in"


async def test_a_bearer_token_lets_a_viewer_in(start_simulator: StartSimulator) -> None:
    """A viewer is known by ``Authorization: Bearer`` as by ``token`` in the query; a wrong one is refused."""
    secret = "a secret of at least thirty-two bytes"
    simulator = await start_simulator(auth=f"jwt:{secret}")
    soon = int(time.time()) + 3600
    publishing = jwt.encode({"exp": soon, "roles": "red5-publisher"}, secret, algorithm="HS256")
    token = jwt.encode({"exp": soon, "roles": "red5-subscriber"}, secret, algorithm="HS256")
    async with simulator.publisher("cam", token=publishing):
        assert (await get(simulator, "/live/cam.m3u8"))[0] == 401
        assert (await get(simulator, "/live/cam.m3u8", Authorization="Bearer wrong"))[0] == 401
        assert (await get(simulator, "/live/cam.m3u8", Authorization=f"Bearer {token}"))[0] == 200
        assert (await get(simulator, f"/live/cam.m3u8?token={token}"))[0] == 200
        assert len(running(simulator)) == 1


async def test_a_crash(start_simulator: StartSimulator, caplog: pytest.LogCaptureFixture) -> None:
    """A process that dies costs its viewers one request with a sentence; the publisher does not notice."""
    simulator = await start_simulator()
    async with simulator.publisher("cam"):
        assert (await get(simulator, "/live/cam.m3u8"))[0] == 200
        (packaged,) = simulator.manager.packagers._streams.values()
        os.kill(running(simulator)[0], signal.SIGKILL)
        await eventually(lambda: packaged.over, 10)
        status, body, _ = await get(simulator, "/live/cam.m3u8")
        assert (status, b"Packaging as HLS has failed" in body) == (502, True), body
        assert (await get(simulator, "/live/cam.m3u8"))[0] == 200
    await eventually(lambda: not packaged.directory.exists(), 10)


async def test_no_process(start_simulator: StartSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no process can be made the answer says so, and nothing is left of the attempt."""
    simulator = await start_simulator()
    async with simulator.publisher("cam"):
        with monkeypatch.context() as patch:
            patch.setattr(packagers.sys, "executable", "/nonexistent/python")
            status, body, _ = await get(simulator, "/live/cam.m3u8")
        assert (status, b"there is no process for it: No such file" in body) == (502, True), body
        assert (await get(simulator, "/live/cam.m3u8"))[0] == 200


async def test_overviews(start_simulator: StartSimulator) -> None:
    """The list of streams and the metrics say what is packaged; a player's own parameters make no further process."""
    simulator = await start_simulator()
    async with simulator.publisher("cam"), simulator.publisher("other"):
        for number in range(3):
            assert (await get(simulator, f"/live/cam.m3u8?_={number}"))[0] == 200
        assert len(running(simulator)) == 1
        streams = json.loads((await get(simulator, "/api/v1/streams"))[1])["streams"]
        assert {each["name"]: each["hls"] for each in streams} == {"cam": True, "other": False}
        assert b"\nsmproxy_hls_streams 1.0\n" in (await get(simulator, "/metrics"))[1]


async def test_too_many(start_simulator: StartSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit a further stream is refused, those that are watched go on."""
    monkeypatch.setattr(packagers, "MAX_STREAMS", 1)
    simulator = await start_simulator()
    async with simulator.publisher("one"), simulator.publisher("two"):
        assert (await get(simulator, "/live/one.m3u8"))[0] == 200
        status, body, _ = await get(simulator, "/live/two.m3u8")
        assert (status, b"1 streams are packaged" in body) == (503, True)
        assert (await get(simulator, "/live/one.m3u8"))[0] == 200
