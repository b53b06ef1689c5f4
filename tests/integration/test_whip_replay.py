"""``smproxy replay`` plays the requests of a recorded WHIP or WHEP client again."""

from __future__ import annotations

from pathlib import Path

from smproxy.simulator import Simulator
from smproxy.testing import Subscriber

from tests.helpers import eventually
from tests.integration.commands import run
from tests.integration.conftest import MakePublisher, StartSimulator, published
from tests.integration.test_replay import exported


async def a_publisher(simulator: Simulator, publisher: MakePublisher) -> list[str]:
    """Have a WHIP client come and go, and return the export of its session."""
    stream = publisher(simulator, "cam-1", transport="whip")
    await published(simulator, stream)
    await stream.unpublish()
    await eventually(lambda: not len(simulator.manager.sessions))
    return await exported(simulator)


async def replay(simulator: Simulator, lines: list[str], tmp_path: Path) -> tuple[int, str]:
    """Play lines with the command; return its exit code and output."""
    (tmp_path / "session.jsonl").write_text("\n".join(lines))
    done = await run("replay", str(tmp_path / "session.jsonl"), f"ws://127.0.0.1:{simulator.port}/")
    return done.code, done.out + done.err


async def test_a_publisher_again(start_simulator: StartSimulator, publisher: MakePublisher, tmp_path: Path) -> None:
    """The requests go to the URL of the new session, and every status is as it was."""
    simulator = await start_simulator()
    lines = await a_publisher(simulator, publisher)
    assert any('"http"' in line and "DELETE" in line for line in lines)
    code, output = await replay(simulator, lines, tmp_path)
    assert code == 0, output
    assert output.startswith("same: ")
    assert "2 of the server compared" in output


async def test_a_subscriber_again(start_simulator: StartSimulator, publisher: MakePublisher, tmp_path: Path) -> None:
    """So do those of a WHEP client."""
    simulator = await start_simulator()
    await published(simulator, publisher(simulator, "cam-1"))
    url, params = simulator.url, {"customerScope": "acme"}
    async with Subscriber(url, stream="cam-1", params=params, transport="whep") as subscriber:
        await subscriber.wait_for_frames(2)
    await eventually(lambda: len(simulator.manager.sessions) == 1)
    code, output = await replay(simulator, await exported(simulator), tmp_path)
    assert code == 0, output


async def test_the_first_difference(start_simulator: StartSimulator, publisher: MakePublisher, tmp_path: Path) -> None:
    """Where the server now refuses, the line and both answers are named."""
    simulator = await start_simulator()
    lines = await a_publisher(simulator, publisher)
    simulator.faults.add("http-error", status=503)
    code, output = await replay(simulator, lines, tmp_path)
    assert code == 1
    assert output.startswith("different: line ")
    assert "after POST" in output
    assert "201 with application/sdp" in output
    assert "503" in output
