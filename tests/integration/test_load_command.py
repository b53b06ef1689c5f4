"""``smproxy load``: what it reports, and when it fails."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import Any

import pytest

from tests.helpers import scaled
from tests.integration.conftest import StartSimulator


async def load(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    """Run the command; return its exit code, its records, and what it wrote to stderr."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "smproxy", "load", "--json", *arguments],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(scaled(60)):
        out, error = await process.communicate()
    return process.returncode or 0, [json.loads(line) for line in out.decode().splitlines()], error.decode()


def end(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the report."""
    (report,) = [each for each in records if each["event"] == "end"]
    return report


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("http", [False, True], ids=["websocket", "http"])
async def test_report(start_simulator: StartSimulator, http: bool) -> None:
    """Publishers and their subscribers are live after a while, their packets come, and their hooks come whole and in order."""
    port = free_port()
    simulator = await start_simulator(hook_uri=(f"http://127.0.0.1:{port}/",))
    base = simulator.rest_url
    where = [simulator.url, "--customer-scope", "acme"]
    if http:
        where = ["--whip", f"{base}/live/whip/endpoint/{{stream}}", "--whep", f"{base}/live/whep/endpoint/{{stream}}"]
    clients = ["--publishers", "3", "--subscribers", "5", "--ramp", "20/s", "--duration", "3"]
    code, records, error = await load(*where, *clients, "--hooks", str(port), "--max-loss", "5")
    assert (code, error) == (0, "")
    report = end(records)
    for role, count in (("publishers", 3), ("subscribers", 5)):
        assert (report[role]["live"], report[role]["failed"], report[role]["lost"]) == (count, 0, 0)
        assert 0 < report[role]["setup"]["p50"] <= report[role]["setup"]["most"]
    assert report["packetsSent"] > 300
    assert report["packetsReceived"] > report["packetsSent"]
    assert report["roundTrip"]["count"] > 0
    hooks = report["hooks"]
    assert (hooks["sessions"], hooks["ended"], hooks["missing"], hooks["late"]) == (8, 8, 0, 0)
    assert records[0]["event"] == "progress"


async def test_report_in_text(start_simulator: StartSimulator) -> None:
    """Without --json the report is a table: a line for each role below its head, and one for the packets."""
    simulator = await start_simulator()
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "smproxy", "load", simulator.url, "--publishers", "1", "--duration", "0.5"],
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(scaled(60)):
        out, _ = await process.communicate()
    lines = [line.split() for line in out.decode().splitlines()]
    assert lines[-3:-1] == [
        ["live", "failed", "lost", "setup", "p50", "p95", "most"],
        ["publishers", "1", "0", "0", *lines[-2][4:]],
    ]
    assert lines[-1][0] == "packets:"


async def test_thresholds(start_simulator: StartSimulator) -> None:
    """Refused and lost clients, slow ones and lost packets make it fail, each in a line that names the option."""
    simulator = await start_simulator()
    simulator.faults.add("publish-denied", id="load-1")
    simulator.faults.add("peer-dies", id="load-2", after=0.3)
    simulator.faults.add("packet-loss", role="subscriber", percent=30, seed=1)
    arguments = [
        "--publishers",
        "3",
        "--subscribers",
        "2",
        "--duration",
        "2",
        "--max-setup",
        "0.001",
        "--max-loss",
        "5",
    ]
    code, records, error = await load(simulator.url, *arguments)
    assert code == 1
    report = end(records)
    assert (report["publishers"]["failed"], report["publishers"]["lost"]) == (1, 1)
    assert any("Publish.Denied" in reason for reason in report["publishers"]["errors"])
    assert "at most 0 may (--max-failed)" in error
    assert "(--max-setup)" in error
    assert "(--max-loss)" in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--publishers", "0"], "leave nothing to do"),
        (["--publishers", "0", "--subscribers", "1"], "--stream NAME says what is watched"),
        (["--whip", "http://localhost/whip/endpoint/one", "--publishers", "2"], "need {stream} in the URL"),
        (["--whip", "ws://localhost/x"], "--whip: the URL cannot be used"),
    ],
)
async def test_mistakes(arguments: list[str], says: str) -> None:
    """What cannot be done is refused in one line, with exit code 2."""
    code, _, error = await load(*arguments)
    assert code == 2
    assert says in error
    assert len(error.splitlines()) == 1


async def test_an_unreachable_server() -> None:
    """Where nobody listens all fail, and the reason is counted."""
    code, records, error = await load(
        f"ws://127.0.0.1:{free_port()}/streammanager", "--publishers", "2", "--duration", "1"
    )
    assert code == 1
    assert end(records)["publishers"]["failed"] == 2
    assert "2 clients failed" in error
