"""``serve --detach``, ``wait``, ``stop``, ``faults`` and ``reset``: a stream manager in a script."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from smproxy import cli
from smproxy.pid_file import runs
from smproxy.simulator import Simulator

from tests.helpers import eventually, scaled
from tests.integration.conftest import StartSimulator


async def smproxy(*arguments: str, cwd: Path) -> tuple[int, str, str]:
    """Run a command; return its exit code, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "smproxy", *arguments],
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if not key.startswith("SMPROXY_")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(scaled(30)):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_from_detach_to_stop(tmp_path: Path) -> None:
    """A detached server is ready when the command returns, is the only one with its pid file, and is gone after ``stop``.

    The command that ends it can be given to a shell as it is printed.
    """
    port = str(free_port())
    tmp_path = tmp_path / "a directory"
    tmp_path.mkdir()
    code, out, err = await smproxy(
        *["serve", "--detach", "--port", port, "--data-dir", str(tmp_path / ".smproxy")],
        *["--fault", "publish-denied:id=x"],
        cwd=tmp_path,
    )
    assert (code, err) == (0, "")
    assert f"http://localhost:{port}" in out
    assert f"`smproxy stop --data-dir '{tmp_path}/.smproxy'`" in out
    pid = int((tmp_path / ".smproxy/smproxy.pid").read_text())
    try:
        url = f"http://localhost:{port}"
        code, out, _ = await smproxy("wait", url, "--json", cwd=tmp_path)
        assert (code, json.loads(out)["ready"]) == (0, True)
        code, out, _ = await smproxy("faults", "list", "--json", "--url", url, cwd=tmp_path)
        assert (json.loads(out)["fault"], json.loads(out)["match"]["id"]) == ("publish-denied", "x")
        code, _, err = await smproxy("serve", "--detach", "--port", "0", cwd=tmp_path)
        assert (code, f"process {pid} runs already" in err, err.count("\n")) == (2, True, 1)
        assert "Local stream manager is ready" in (tmp_path / ".smproxy/smproxy.log").read_text()
    finally:
        code, out, _ = await smproxy("stop", "--json", cwd=tmp_path)
    assert (code, json.loads(out)["pid"]) == (0, pid)
    await eventually(lambda: not runs(pid), 10)
    assert not (tmp_path / ".smproxy/smproxy.pid").exists()
    code, _, err = await smproxy("stop", cwd=tmp_path)
    assert (code, err.count("\n")) == (1, 1)


async def test_a_detached_server_that_does_not_start(tmp_path: Path) -> None:
    """When it does not start, ``--detach`` shows why and has its exit code; no pid file is left."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, out, err = await smproxy("serve", "--detach", "--port", str(taken.getsockname()[1]), cwd=tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith("smproxy serve: cannot listen on 127.0.0.1")
    (tmp_path / "file").touch()
    (tmp_path / "with/smproxy.log").mkdir(parents=True)
    for directory, said in (
        ("file", "--data-dir file: file exists"),
        ("with", "the log with/smproxy.log: is a directory"),
    ):
        code, out, err = await smproxy("serve", "--detach", "--port", "0", "--data-dir", directory, cwd=tmp_path)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"smproxy serve: {said}")
    assert not (tmp_path / ".smproxy/smproxy.pid").exists()
    code, _, err = await smproxy("serve", "--detach", "--data-dir", ":memory:", cwd=tmp_path)
    assert (code, "give a directory, or --pid-file FILE" in err) == (2, True)


def test_ctrl_c_while_a_detached_server_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who interrupts ``--detach`` before it has said that the server is ready leaves none running."""
    started = []

    def interrupted(process: subprocess.Popen[bytes], _: Path) -> None:
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr("smproxy.detach._wait_until_ready", interrupted)
    arguments = cli.make_parser().parse_args(["serve", "--detach", "--port", "0", "--data-dir", str(tmp_path)])
    with pytest.raises(KeyboardInterrupt):
        arguments.run(arguments)
    (process,) = started
    assert process.returncode is not None


async def test_waiting_in_vain(tmp_path: Path) -> None:
    """``wait`` ends with 1 when nobody is ready in time, or somebody else answers, and with 2 for what is no URL."""
    url = f"http://127.0.0.1:{free_port()}"
    code, out, err = await smproxy("wait", url, "--timeout", "0.3", cwd=tmp_path)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"{url} is not ready within 0.3 s" in err
    assert (await smproxy("wait", "ftp://x", cwd=tmp_path))[0] == 2


async def test_waiting_for_one_that_starts_later(tmp_path: Path, start_simulator: StartSimulator) -> None:
    """``wait`` returns when a server that was not there yet becomes ready."""
    port = free_port()
    waiting = asyncio.create_task(smproxy("wait", f"http://127.0.0.1:{port}", "--timeout", "60", cwd=tmp_path))
    await start_simulator(port=port)
    assert (await waiting)[0] == 0


async def test_faults_and_reset(tmp_path: Path, start_simulator: StartSimulator) -> None:
    """Faults are switched on as they are written in ``simulate=``, listed and switched off; ``reset`` says what it ended."""
    simulator = await start_simulator(admin_token="open-sesame")
    to = ["--url", simulator.rest_url, "--token", "open-sesame"]
    written = "close:stage=publish:code=4000:id=cam-*:customerScope=acme:role=publisher:app=live"
    written += ":count=3:probability=0.5:seed=4:ttl=60"
    code, out, _ = await smproxy("faults", "add", written, "--json", *to, cwd=tmp_path)
    fault = json.loads(out)
    assert (code, fault["fault"], fault["parameters"]["code"]) == (0, "close", 4000)
    assert fault["match"] == {"id": "cam-*", "customerScope": "acme", "role": "publisher", "app": "live"}
    assert (fault["count"], fault["probability"], fault["seed"], fault["ttl"]) == (3, 0.5, 4, 60)
    code, out, _ = await smproxy("faults", "list", *to, cwd=tmp_path)
    assert (code, "close" in out, "id=cam-*" in out) == (0, True, True)
    code, out, _ = await smproxy("faults", "kinds", *to, cwd=tmp_path)
    assert (code, "publish-denied" in out) == (0, True)
    assert (await smproxy("faults", "clear", fault["id"], *to, cwd=tmp_path))[0] == 0
    code, _, err = await smproxy("faults", "clear", fault["id"], *to, cwd=tmp_path)
    assert (code, "There is no fault" in err) == (1, True)
    await smproxy("faults", "add", "publish-denied", *to, cwd=tmp_path)
    code, out, _ = await smproxy("reset", "--json", "--keep", "hooks", *to, cwd=tmp_path)
    assert (code, json.loads(out)["faults"]) == (0, 1)
    code, out, _ = await smproxy("reset", "--timeout", "20", *to, cwd=tmp_path)
    assert (code, out.startswith("ended and forgotten in")) == (0, True)
    code, _, err = await smproxy("reset", "--timeout", "31", *to, cwd=tmp_path)
    assert (code, "timeout" in err, "30" in err) == (1, True, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("faults", "add", "publish-denid"), "did you mean publish-denied"),
        (("faults", "add", "close:stage"), "is no KEY=VALUE"),
        (("faults", "add", "close:role=editor"), "neither publisher nor subscriber"),
        (("serve", "--fault", "close:count=0"), "count"),
    ],
)
async def test_faults_that_cannot_be(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """A fault that does not exist or has an unusable value is one line and exit code 2, before anything is asked."""
    code, _, err = await smproxy(*arguments, cwd=tmp_path)
    assert (code, err.count("\n"), said in err) == (2, 1, True), err


def test_faults_of_settings() -> None:
    """``fault=`` of a simulator in a program is the same as ``--fault``."""
    options: dict[str, Any] = {"fault": ["publish-denied:id=x", "latency:ms=20"]}
    with Simulator(**options) as stream_manager:
        assert [fault.name for fault in stream_manager.faults.active()] == ["publish-denied", "latency"]
