"""``smproxy replay``: a recorded client is played again, and the first difference is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from smproxy.simulator import Simulator
from smproxy.testing import PublishError, Subscriber
from smproxy.testing.replay import Replay, ReplayResult
from smproxy.testing.session_transcript import SessionTranscript, TranscriptError
from websockets.asyncio.client import connect

from tests.helpers import eventually, scaled
from tests.integration.commands import run
from tests.integration.conftest import MakePublisher, StartSimulator, published

FRAMES = sorted((Path(__file__).parents[2] / "fixtures/frames").glob("*.jsonl"))

#: Seconds to wait for a frame that does not come.
SHORT = 0.5


async def exported(simulator: Simulator, number: int = 0) -> list[str]:
    """Return the export of a session, the newest by default."""
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{simulator.rest_url}/api/v1/sessions") as response:
            session = (await response.json())["sessions"][number]["session"]
        async with http.get(f"{simulator.rest_url}/api/v1/sessions/{session}/frames?header=true") as response:
            return (await response.text()).splitlines()


async def play(simulator: Simulator, lines: list[str], timeout: float | None = None, **given: str) -> ReplayResult:
    """Play lines against a simulator."""
    transcript = SessionTranscript.parse(lines)
    url = transcript.url(simulator.url, given)
    return await Replay(transcript, url, timeout=scaled(10) if timeout is None else timeout).run()


def changed(lines: list[str], having: str, **changes: Any) -> list[str]:
    """Return lines of which the one that has a text says something else in its data."""
    (place,) = [number for number, line in enumerate(lines) if having in line]
    frame = json.loads(lines[place])
    frame["message"]["data"] |= changes
    return [*lines[:place], json.dumps(frame), *lines[place + 1 :]]


async def a_publisher(simulator: Simulator, publisher: MakePublisher, **options: Any) -> list[str]:
    """Have a publisher come and go, and return the export of its session."""
    stream = publisher(simulator, "cam-1", **options)
    await published(simulator, stream)
    if options.get("data_channel", True):
        await eventually(lambda: stream.switched, 10)
    await stream.unpublish()
    await eventually(lambda: not len(simulator.manager.sessions))
    return await exported(simulator)


@pytest.mark.parametrize("transcript", FRAMES, ids=lambda path: path.stem)
async def test_a_real_sdk_again(start_simulator: StartSimulator, publisher: MakePublisher, transcript: Path) -> None:
    """A session of the real SDK that was recorded in a browser goes the same way with media of our own."""
    simulator = await start_simulator()
    lines = transcript.read_text().splitlines()
    name = "camera-1"
    if transcript.stem.startswith("subscribe"):
        await published(simulator, publisher(simulator, name))
        name = "subscriber-1"
    outcome = await play(simulator, lines, id=name, customerScope="acme")
    assert outcome.difference is None, str(outcome.difference)
    assert outcome.compared >= 5


@pytest.mark.parametrize("data_channel", [True, False], ids=["channel", "socket"])
async def test_an_export_again(start_simulator: StartSimulator, publisher: MakePublisher, data_channel: bool) -> None:
    """An exported session is the same again, up to its end on the socket or the data channel, and leaves nothing behind."""
    simulator = await start_simulator()
    lines = await a_publisher(simulator, publisher, data_channel=data_channel, switch_delay=0.1)
    assert any('"via":"channel"' in line for line in lines) == data_channel
    outcome = await play(simulator, lines)
    assert outcome.difference is None, str(outcome.difference)
    assert outcome.skipped == ""
    await eventually(lambda: not len(simulator.manager.sessions))


async def test_a_subscriber_again(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """A subscriber's export is the same again while the stream is live, and different when it is not."""
    simulator = await start_simulator()
    stream = publisher(simulator, "cam-1")
    await published(simulator, stream)
    async with Subscriber(simulator.url, stream="cam-1", params={"customerScope": "acme"}):
        pass
    lines = await exported(simulator)
    outcome = await play(simulator, lines)
    assert outcome.difference is None, str(outcome.difference)
    await stream.unpublish()
    await eventually(lambda: not simulator.manager.sessions.publishing())
    assert (await play(simulator, lines, timeout=scaled(SHORT))).difference is not None


async def test_a_refused_offer_again(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """A session without media is played with the recorded offer, so that what was wrong with it is wrong again."""
    simulator = await start_simulator()
    lines = await a_publisher(simulator, publisher, data_channel=False)
    offer = next(json.loads(line)["message"] for line in lines if "handleOffer" in line)
    async with connect(f"{simulator.url}?id=cam-1&customerScope=acme") as socket:
        await socket.recv()
        await socket.send(json.dumps(offer).replace("a=fingerprint:", "a=nothing:"))
        assert json.loads(await socket.recv())["data"]["type"] == "error"
    await eventually(lambda: not len(simulator.manager.sessions))
    refused = await exported(simulator)
    outcome = await play(simulator, refused)
    assert (outcome.difference, outcome.sent, outcome.compared) == (None, 1, 2)
    outcome = await play(simulator, [line.replace("a=nothing:", "a=fingerprint:") for line in refused])
    assert "the server said answer with audio, video" in str(outcome.difference)


async def test_the_first_difference(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """What the server says otherwise, or not at all, is reported with the line, what came before, and what came instead."""
    simulator = await start_simulator()
    lines = await a_publisher(simulator, publisher, data_channel=False)
    outcome = await play(simulator, changed(lines, "Publish.Start", code="NetStream.Publish.Began"))
    (place,) = [number for number, line in enumerate(lines, 1) if "Publish.Start" in line]
    assert str(outcome.difference) == (
        f"line {place}: after publish cam-1 the transcript has status NetStream.Publish.Began 'cam-# starting', "
        "but the server said status NetStream.Publish.Start 'cam-# starting'"
    )
    extra = [*lines[:place], lines[place - 1], *lines[place:]]
    outcome = await play(simulator, extra, timeout=scaled(2 * SHORT))
    assert "NetStream.Publish.Start" in str(outcome.difference)
    assert "nothing came within" in str(outcome.difference)


async def test_a_fault_is_a_difference(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """A good session is different at a server that refuses to publish, and a refused one is the same there."""
    simulator = await start_simulator()
    good = await a_publisher(simulator, publisher, data_channel=False)
    simulator.faults.add("publish-denied")
    outcome = await play(simulator, good)
    assert "publish cam-1" in str(outcome.difference)
    with pytest.raises(PublishError):
        await publisher(simulator, "cam-1", data_channel=False).publish()
    outcome = await play(simulator, await exported(simulator))
    assert outcome.difference is None, str(outcome.difference)


async def test_what_was_removed_is_asked_for(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """A transcript without its password is played only with one; other parameters can be given or left out."""
    simulator = await start_simulator()
    params = {"password": "hunter2!", "token": "abcdefgh", "host": "127.0.0.1"}
    lines = await a_publisher(simulator, publisher, data_channel=False, params=params)
    transcript = SessionTranscript.parse(lines)
    with pytest.raises(TranscriptError, match="give --password, --param token=VALUE"):
        transcript.url(simulator.url, {})
    url = transcript.url(simulator.url, {"password": "a&b", "token": "x", "host": ""})
    assert "password=a%26b" in url
    assert "host=" not in url
    outcome = await play(simulator, lines, password="a&b", token="x", host="")
    assert outcome.difference is None, str(outcome.difference)


async def test_missing_frames_end_a_replay(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """A transcript with a gap is played up to the gap, and says so."""
    simulator = await start_simulator()
    lines = await a_publisher(simulator, publisher, data_channel=False)
    gap = '{"at":1,"session":1,"from":"proxy","via":"socket","omitted":20}'
    outcome = await play(simulator, [*lines[:4], gap, *lines[4:]])
    assert (outcome.difference, outcome.skipped) == (None, "from line 5 on: 20 frames are missing there")


async def test_a_second_connection_ends_a_replay(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """Of a session whose client came back, the first connection is played, and it is said where that ends."""
    simulator = await start_simulator()
    header, *frames = await a_publisher(simulator, publisher, data_channel=False)
    outcome = await play(simulator, [header, *frames, *frames])
    assert outcome.difference is None, str(outcome.difference)
    assert outcome.skipped == f"from line {len(frames) + 2} on: the client came back on another connection"


async def test_the_command(start_simulator: StartSimulator, publisher: MakePublisher, tmp_path: Path) -> None:
    """The command exits with 0 when all is the same, with 1 and one line at a difference, with 2 for what cannot be played."""
    simulator = await start_simulator()
    lines = await a_publisher(simulator, publisher, data_channel=False, params={"password": "hunter2!"})
    file = tmp_path / "session.jsonl"
    file.write_text("\n".join(lines))
    same = await run("replay", str(file), simulator.url, SMPROXY_REPLAY_PASSWORD="hunter2!")
    assert (same.code, same.out.startswith("same: "), same.err) == (0, True, "")
    file.write_text("\n".join(changed(lines, "Publish.Start", code="X")))
    different = await run("replay", str(file), simulator.url, "--password", "x")
    assert (different.code, len(different.lines)) == (1, 1)
    assert different.out.startswith("different: line ")
    asked = await run("replay", str(file), simulator.url)
    assert (asked.code, "--password" in asked.err) == (2, True)
    gone = await run("replay", str(file), "ws://127.0.0.1:1/streammanager", "--password", "x")
    assert (gone.code, gone.err.count("\n")) == (1, 1)
    for text, why in (("", "no frames"), ("hello", "line 1"), ('{"from":"client"}', "line 1")):
        file.write_text(text)
        unusable = await run("replay", str(file), simulator.url)
        assert (unusable.code, why in unusable.err, unusable.err.count("\n")) == (2, True, 1)
    missing = await run("replay", str(tmp_path / "none.jsonl"), simulator.url)
    assert (missing.code, "no such file" in missing.err) == (2, True)
