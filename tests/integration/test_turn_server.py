"""The TURN server that ``--turn`` runs."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from smproxy.settings import SettingsError
from smproxy.turn_server import TurnServer

from tests.helpers import eventually, scaled
from tests.integration.conftest import StartSimulator


def alive(pid: int) -> bool:
    """Return whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_it_ends_with_the_stream_manager() -> None:
    """``stop`` ends the server and removes its files; each start has a password of its own, which no argument shows."""
    first = await TurnServer.start("localhost", random.Random(1))
    second = await TurnServer.start("127.0.0.1", random.Random(2))
    process, directory = first._process, Path(first._directory)
    assert first.ice_server.credential != second.ice_server.credential
    assert first.ice_server.credential is not None
    assert first.ice_server.credential not in Path(f"/proc/{process.pid}/cmdline").read_text()
    await first.stop()
    await second.stop()
    assert not alive(process.pid)
    assert not directory.exists()


async def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """After ``kill -9`` of the stream manager no TURN server is left."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "smproxy", "serve", "--turn", "--port", "0", "--data-dir", str(tmp_path)],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(scaled(30)):
        while b"Hooks go to" not in await process.stdout.readline():
            pass
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    relays = [int(pid) for pid in children if b"turnserver" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(relays) == 1
    os.kill(process.pid, signal.SIGKILL)
    await process.communicate()
    await eventually(lambda: not alive(relays[0]), 10)


async def test_without_coturn(start_simulator: StartSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no coturn ``--turn`` says in one line what to install."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SettingsError, match="--turn: there is no turnserver: install coturn"):
        await start_simulator(turn=True)
