"""The relay bench when a relay stops answering (T12): the others have their figures all the same."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import scaled

BENCH = Path(__file__).parents[2] / "bench"

#: Hands on what comes for so many connections, then takes connections and answers nothing.
HANGING = """
import asyncio, sys
port, origin, left = map(int, sys.argv[1:])

async def pump(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()

async def connect(reader, writer):
    global left
    left -= 1
    if left < 0:
        await asyncio.Event().wait()
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", origin)
    await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True)

async def main():
    await (await asyncio.start_server(connect, "127.0.0.1", port)).serve_forever()

asyncio.run(main())
"""


@dataclass
class Hanging:
    """A relay that hangs after so many connections."""

    name: str
    connections: int

    def missing(self) -> str | None:
        return None

    def command(self, folder: Path, port: int, origin: int) -> list[str]:
        return [sys.executable, "-c", HANGING, str(port), str(origin), str(self.connections)]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bench, as a program finds its modules; it waits for a hanging relay a shorter time, and pins nothing."""
    monkeypatch.syspath_prepend(str(BENCH))
    import relay

    monkeypatch.setattr(relay, "CONNECTING", scaled(1.5))
    monkeypatch.setattr(relay.machine, "pin", lambda *_: None)
    return relay


@pytest.mark.parametrize("hung", ["websockets relay", "another"], ids=["the reference", "another one"])
def test_a_relay_that_hangs_is_named_and_the_others_are_measured(bench: Any, hung: str) -> None:
    """One that hangs at once has "failed" in each column, one that hangs later from there on; a note says so of both."""
    from peers import Script

    other = "another" if hung == "websockets relay" else "websockets relay"
    # One connection is the look whether it listens, four are those of the task.
    peers = [Hanging(hung, 1), Hanging("later", 5), Script("websockets", other)]
    tasks = (bench.Task("some messages", 4, 200),)
    results = bench.run(1, 0.1, tasks, lambda _: peers)
    rows = {row[0]: row[1:] for row in results.rows}
    assert rows[hung] == ["failed", "failed"]
    assert rows["later"][0].endswith("%") or "†" in rows["later"][0]
    assert rows["later"][1] == "failed"
    assert "%" in rows[other][0]
    assert rows[other][1].endswith("µs")
    assert any(f"{hung} stopped answering at some messages" in note for note in results.notes)
    assert any("later stopped answering at light load" in note for note in results.notes)
