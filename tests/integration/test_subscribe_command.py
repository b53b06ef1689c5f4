"""``smproxy subscribe`` as its user runs it, against a running simulator."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.commands import finish, run, start
from tests.integration.conftest import MakePublisher, StartSimulator, published

SCOPE = ("--customer-scope", "acme")


async def test_watches_for_its_duration(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """It tells when it is live and what came, never the password, and exits with 0."""
    simulator = await start_simulator()
    await published(simulator, publisher(simulator, pattern="counter"))
    done = await run("subscribe", simulator.url, "--stream", "s", *SCOPE, "--password", "geheim", "--duration", "1.5")
    assert (done.code, done.err) == (0, "")
    assert done.lines[0].startswith("live after ")
    assert " frames of 320x240, " in done.lines[-1]
    assert done.lines[-1].startswith("ended by the client: ")
    assert done.lines[-1].endswith("of the numbered pictures 0 missing, 0 out of order")
    assert "geheim" not in done.out


async def test_several_as_json_with_a_snapshot(
    start_simulator: StartSimulator, publisher: MakePublisher, tmp_path: Path
) -> None:
    """Three subscribers are told one JSON object a line, each with its own counters, and a picture is written."""
    simulator = await start_simulator()
    await published(simulator, publisher(simulator))
    picture = tmp_path / "seen.png"
    done = await run(
        *("subscribe", simulator.url, "--stream", "s", *SCOPE, "--duration", "2", "-n", "3", "--json"),
        *("--snapshot", str(picture)),
    )
    assert (done.code, done.err) == (0, "")
    live, *progress, end = [json.loads(line) for line in done.lines]
    assert (live["event"], live["stream"], live["subscribers"]) == ("live", "s", 3)
    assert [record["event"] for record in progress] == ["progress"] * len(progress)
    assert all(record["bitrate"] > 0 for record in progress[-1]["subscribers"])
    sums: list[dict[str, Any]] = end["subscribers"]
    assert len(sums) == len({each["id"] for each in sums}) == 3
    for each in sums:
        assert (each["endedBy"], each["size"], each["lost"]) == ("client", "320x240", 0)
        assert each["frames"] > 0
        assert each["firstPictureMs"] > 0
    assert picture.read_bytes().startswith(b"\x89PNG")


async def test_is_interrupted(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """Ctrl-C leaves the stream, and is no failure once something came."""
    simulator = await start_simulator()
    await published(simulator, publisher(simulator))
    process = await start("subscribe", simulator.url, "--stream", "s", *SCOPE, "--json")
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while (
            not (record := json.loads(await process.stdout.readline())).get("subscribers") or record["event"] == "live"
        ):
            pass
    process.send_signal(signal.SIGINT)
    done = await finish(process)
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(("duration", "code"), [((), 0), (("--duration", "60"), 1)], ids=["until-it-ends", "too-soon"])
async def test_the_stream_is_unpublished(
    start_simulator: StartSimulator, publisher: MakePublisher, duration: tuple[str, ...], code: int
) -> None:
    """The end of the stream ends the command: as it should without a duration, too soon with one."""
    simulator = await start_simulator()
    stream = publisher(simulator)
    await published(simulator, stream)
    process = await start("subscribe", simulator.url, "--stream", "s", *SCOPE, "--json", *duration)
    assert process.stdout is not None
    while json.loads(await process.stdout.readline())["event"] != "progress":
        pass
    await stream.unpublish()
    done = await finish(process)
    assert done.code == code
    assert done.err == ("smproxy subscribe: the stream was unpublished\n" if code else "")
    assert json.loads(done.lines[-1])["subscribers"][0]["reason"] == "NetStream.Play.UnpublishNotify"


async def test_no_such_stream(start_simulator: StartSimulator) -> None:
    """A refusal is exit code 1 and one line with what the server said and what to do, however many ask."""
    simulator = await start_simulator()
    done = await run("subscribe", simulator.url, "--stream", "nobody", *SCOPE, "--password", "geheim", "-n", "3")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "smproxy subscribe: refused with Subscribe.InvalidName: Stream nobody does not exist; "
        "publish it first, and check the name and --app\n"
    )


async def test_no_media(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """A stream that brings nothing is a failure."""
    simulator = await start_simulator()
    silent = publisher(simulator, send_media=False)
    await published(simulator, silent)
    done = await run("subscribe", simulator.url, "--stream", "s", *SCOPE, "--duration", "0.5")
    assert done.code == 1
    assert done.err == "smproxy subscribe: no media came\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "the stream has no name: give NAME, or --stream NAME beside a URL"),
        (("cam", "--stream", "cam"), "the stream is named twice: cam and --stream cam"),
        (("http://localhost/", "--stream", "cam"), "the URL cannot be used: it must start with ws:// or wss://"),
        (("cam", "--insecure"), "--insecure is for wss and https URLs"),
        (("cam", "--no-decode", "--snapshot", "a.png"), "--snapshot needs pictures, which --no-decode leaves out"),
        (("cam", "--snapshot", "/nowhere/a.png"), "--snapshot /nowhere/a.png: there is no such directory"),
    ],
)
async def test_unusable_arguments(words: tuple[str, ...], said: str) -> None:
    """What cannot be used is one line and exit code 2."""
    done = await run("subscribe", *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"smproxy subscribe: {said}")
    assert len(done.err.splitlines()) == 1
