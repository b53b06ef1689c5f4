"""Synthetic events: a trigger may have what a connection may have, and no more, however it is asked for (A11)."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest

from tests.hostile.raw import ask, refusal, request
from tests.integration.conftest import StartSimulator


def nested(levels: int) -> dict[str, Any]:
    """Return an object of so many levels."""
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


TOO_MUCH: list[tuple[str, dict[str, Any]]] = [
    *(("connected", {name: "x" * 256}) for name in ("id", "username", "customerScope", "app")),
    *(("connected", {name: "a\0b"}) for name in ("id", "username", "customerScope", "app")),
    ("connected", {"id": "x" * 900_000}), ("connected", {"id": "a\u202eb"}), ("connected", {"id": "a\x1b[31mb"}),
    ("connected", {"app": "live/../etc"}), ("connected", {"app": ""}), ("connected", {"meta": nested(65)}),
    ("connected", {"meta": nested(900)}), ("connected", {"meta": {"a": "x" * 4096}}), ("connected", {"meta": []}),
    ("connected", {"meta": "[" * 50_000}), ("connected", {"remote_ip": "x" * 300}), ("peer_joined", {"peer": "x" * 300}),
    ("peer_joined", {"room": "x" * 2000}), ("recording_saved", {"file": "a\0b"}), ("recording_failed", {"error": "x" * 300}),
    ("local_track_attached", {"remote_peer": "a\nb"}), ("connected", {"session": 10**400}),
]  # fmt: skip


async def test_refused_over_http(start_simulator: StartSimulator) -> None:
    """Long and deep values, control characters and direction marks are refused in one line, and nothing is sent."""
    simulator = await start_simulator()
    for event, params in TOO_MUCH:
        body = json.dumps({"event": event, "params": params}).encode()
        status, headers, answer = await ask(simulator.port, request("POST", "/api/v1/hooks/trigger", body=body))
        assert status == 400, (event, str(params)[:100])
        assert len(refusal(headers, answer)["errorMessage"]) < 400
    assert json.loads((await ask(simulator.port, request("GET", "/api/v1/hooks")))[2]) == {"hooks": []}


@pytest.mark.parametrize(
    "param", ["id=" + "x" * 256, "id=a\nb", "meta=" + json.dumps(nested(65)), "meta=[1]", "app=a//b"]
)
async def test_refused_on_the_command_line(start_simulator: StartSimulator, param: str) -> None:
    """The command refuses the same, with one line and exit code 1."""
    simulator = await start_simulator()
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "smproxy", "hooks", "trigger", "connected", "--param", param, "--url", simulator.rest_url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, error = await command.communicate()
    assert (command.returncode, out) == (1, b"")
    assert error.decode().count("\n") == 1
    assert error.decode().rstrip("\n").isprintable()


async def test_what_a_connection_may_have(start_simulator: StartSimulator) -> None:
    """At its limits a value is taken."""
    simulator = await start_simulator()
    params = {"id": "ü" * 255, "app": "live/room1", "meta": nested(64), "username": "a b", "customerScope": "Ä & Ö"}
    body = json.dumps({"event": "connected", "params": params}).encode()
    status, _, answer = await ask(simulator.port, request("POST", "/api/v1/hooks/trigger", body=body))
    assert status == 200
    assert json.loads(answer)["connection"]["id"] == "ü" * 255
