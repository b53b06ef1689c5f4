"""``smproxy serve`` as its users meet it: a process with a banner, exit codes and one-line errors."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from smproxy.addresses import machine_addresses
from smproxy.testing import Publisher, WebhookReceiver
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.helpers import eventually, scaled
from tests.integration.lives import check_whole_life, last, spell, story


@dataclass
class Serve:
    """A running ``smproxy serve``."""

    process: asyncio.subprocess.Process
    banner: str
    log: Path

    @property
    def port(self) -> int:
        """The port that the banner names."""
        match = re.search(r"ws://localhost:(\d+)/", self.banner)
        assert match, self.banner
        return int(match[1])

    @property
    def url(self) -> str:
        """The proxy's URL."""
        return f"ws://127.0.0.1:{self.port}/streammanager"

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        async with asyncio.timeout(scaled(10)):
            return await self.process.wait()


async def start(*arguments: str, cwd: Path, **environ: str) -> asyncio.subprocess.Process:
    """Start ``smproxy serve`` in an empty directory."""
    with (cwd / "stderr").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "smproxy", "serve", *arguments],
            cwd=cwd,
            env={key: value for key, value in os.environ.items() if not key.startswith("SMPROXY_")} | environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )


@asynccontextmanager
async def serving(*arguments: str, cwd: Path, **environ: str) -> AsyncIterator[Serve]:
    """Run ``smproxy serve`` until its banner is out, and end it after the test."""
    process = await start("--port", "0", *arguments, cwd=cwd, **environ)
    assert process.stdout is not None
    banner = b""
    try:
        async with asyncio.timeout(scaled(20)):
            while b"Hooks go to" not in banner and b'"event": "ready"' not in banner:
                line = await process.stdout.readline()
                assert line, (cwd / "stderr").read_text()
                banner += line
        yield Serve(process, banner.decode(), cwd / "stderr")
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def failing(*arguments: str, cwd: Path, **environ: str) -> tuple[int, str]:
    """Run ``smproxy serve`` that cannot start and return its exit code and what it says."""
    process = await start(*arguments, cwd=cwd, **environ)
    async with asyncio.timeout(scaled(20)):
        await process.communicate()
    assert process.returncode is not None
    return process.returncode, (cwd / "stderr").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_signal(tmp_path: Path, receiver: WebhookReceiver, number: signal.Signals) -> None:
    """A signal ends live sessions with reason 2, delivers their hooks, and exits with 0 (T5)."""
    async with serving("--hook-uri", receiver.url, cwd=tmp_path) as serve:
        publisher = Publisher(serve.url, stream="s", params={"customerScope": "acme"})
        await publisher.publish()
        await eventually(lambda: sum("track_started" in spell(event) for event in receiver.events) == 2, 10)
        assert await serve.stop(number) == 0
        check_whole_life(story(receiver))
        assert last(receiver)["reason"] == 2
        await publisher.close()


async def test_second_signal(tmp_path: Path) -> None:
    """A second signal ends the process at once, even while a receiver keeps the first one waiting."""
    async with WebhookReceiver(respond="hang") as hanging, serving("--hook-uri", hanging.url, cwd=tmp_path) as serve:
        async with connect(f"{serve.url}?id=s&customerScope=a"):
            await eventually(lambda: hanging.hooks)
        serve.process.send_signal(signal.SIGTERM)
        assert serve.process.stdout is not None
        async with asyncio.timeout(scaled(5)):
            assert b"Stopping" in await serve.process.stdout.readline()
        assert await serve.stop() == 1


async def test_a_terminal_that_closes(tmp_path: Path) -> None:
    """A terminal that closes may send SIGHUP twice, which is one request to stop; ignored with ``nohup`` it is none (T5)."""
    async with serving(cwd=tmp_path) as serve:
        serve.process.send_signal(signal.SIGHUP)
        assert await serve.stop(signal.SIGHUP) == 0
    ignored = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv(sys.executable, sys.argv[1:])"
    )
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-c", ignored, sys.executable, "-m", "smproxy", "serve", "--port", "0"],
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(scaled(20)):
        assert b"ready" in await process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        await process.communicate()
    assert process.returncode == 0


async def test_exit_with_parent(tmp_path: Path) -> None:
    """With ``--exit-with-parent`` the server stops in order when the program that started it has been killed (T4)."""
    starter = (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-m', 'smproxy', 'serve', '--port', '0', "
        "'--exit-with-parent']); sys.stdin.read()"
    )
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-c", starter], cwd=tmp_path, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(scaled(20)):
        assert b"ready" in await process.stdout.readline()
        process.kill()
        # The child holds the other end of the pipe until it has ended.
        assert b"Stopping" in await process.stdout.read()
        await process.wait()


async def test_addresses_of_the_machine(tmp_path: Path) -> None:
    """On every interface, banner and certificate have the machine's addresses, and the names of ``--tls-host`` (T10)."""
    arguments = ["--host", "0.0.0.0", "--tls-self-signed", "--tls-port", "0", "--tls-host", "desk.local"]
    async with serving(*arguments, cwd=tmp_path) as serve:
        (row,) = re.findall(r"Other machines +(.*)", serve.banner)
        match = re.search(r"https://localhost:(\d+)", serve.banner)
        assert match
        names = [*machine_addresses(), "desk.local"]
        assert row.split() == [f"https://{name}:{match[1]}/" for name in names]
        trusting = ssl.create_default_context(cafile=str(tmp_path / ".smproxy" / "tls" / "authority.pem"))
        for name in names:
            _, writer = await asyncio.open_connection("127.0.0.1", int(match[1]), ssl=trusting, server_hostname=name)
            writer.close()
        assert await serve.stop() == 0


async def test_banner_and_health(tmp_path: Path) -> None:
    """The banner names the URLs to use, and ``/healthz`` answers 200 once it is out."""
    async with serving("--tls-self-signed", "--tls-port", "0", cwd=tmp_path) as serve:
        for part in ("/streammanager/api/4.0/event/live/", "/live/webhook", "wss://", "127.0.0.1 (in this process)"):
            assert part in serve.banner
        assert str(tmp_path / ".smproxy" / "tls" / "authority.pem") in serve.banner
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{serve.port}/healthz") as response:
            assert response.status == 200
        assert await serve.stop() == 0


async def test_log_holds_no_password(tmp_path: Path) -> None:
    """At the most talkative level, in JSON, the log of a publish holds no password, and every line is JSON."""
    async with serving("--log-level", "debug", "--log-format", "json", cwd=tmp_path) as serve:
        async with Publisher(serve.url, stream="s", params={"customerScope": "acme", "password": "hunter2"}):
            await eventually(lambda: "track_started" in serve.log.read_text(), 10)
        assert await serve.stop() == 0
        text = serve.log.read_text()
        assert "hunter2" not in text
        messages = [json.loads(line)["message"] for line in text.splitlines()]
        assert any("disconnected" in message for message in messages)


async def test_ready_for_programs(tmp_path: Path) -> None:
    """The ready file is there, whole, while the server is ready, and not before or after; in JSON stdout says the same."""
    ready = tmp_path / "ready.json"
    ready.write_text("of a process that was killed")
    async with serving("--log-format", "json", "--ready-file", str(ready), cwd=tmp_path) as serve:
        facts = json.loads(ready.read_text())
        assert (facts["pid"], facts["port"]) == (serve.process.pid, serve.port)
        async with aiohttp.ClientSession() as http, http.get(f"{facts['url']}/healthz") as response:
            assert response.status == 200
        line = json.loads(serve.banner)
        assert {name: line[name] for name in facts} == facts
        assert (line["event"], line["level"]) == ("ready", "info")
        assert await serve.stop() == 0
        assert serve.process.stdout is not None
        assert json.loads(await serve.process.stdout.read())["event"] == "stopping"
    assert not ready.exists()
    assert [path.name for path in tmp_path.iterdir() if "ready" in path.name] == []


async def test_a_ready_file_that_cannot_be(tmp_path: Path) -> None:
    """A ready file that cannot be written is one line and exit code 2."""
    for path in (tmp_path, tmp_path / "nowhere" / "ready.json"):
        code, text = await failing("--port", "0", "--ready-file", str(path), cwd=tmp_path)
        assert (code, text.count("\n")) == (2, 1)
        assert text.startswith(f"smproxy serve: --ready-file {path}: ")


async def test_port_in_use(tmp_path: Path) -> None:
    """A port in use gives one line that names it and what to do, and exit code 2."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, text = await failing("--port", str(port), cwd=tmp_path)
    assert code == 2
    assert text.count("\n") == 1
    assert f"port {port}" in text
    assert "--port" in text


async def test_tls_port_in_use(tmp_path: Path) -> None:
    """When it is the port for https that is in use, that one is named, and its option."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, text = await failing("--port", "0", "--tls-self-signed", "--tls-port", str(port), cwd=tmp_path)
    assert code == 2
    assert text.count("\n") == 1
    assert f"port {port}" in text
    assert "--tls-port" in text


async def test_interrupted_while_it_starts(tmp_path: Path) -> None:
    """Ctrl-C during the imports ends the command without a traceback."""
    code = """
import sys
import smproxy.__main__

class Interrupted:
    def find_spec(name, *_):
        if name == "smproxy.cli":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted)
sys.exit(smproxy.__main__.main())
"""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-c", code], cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert (process.returncode, errors) == (130, b"")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--hook-uri", "http://user:hush@"], "--hook-uri"),
        (["--hook-uri", "http://[::1]:hush@/"], "it has no host"),
        (["--host", "a..b"], "host name or an IP address"),
        (["--config", "missing.properties"], "missing.properties: No such file"),
        (["--config", "bad.properties"], "bad.properties:2: proxy.enabled"),
        (["--tls-cert", "missing.pem", "--tls-key", "missing.pem"], "missing.pem: No such file"),
        (["--host", "203.0.113.1"], "cannot listen on 203.0.113.1"),
        (["--media-gap", "9"], "--media-timeout"),
        (["--tls-host", "desk.local"], "--tls-self-signed"),
        (["--tls-self-signed", "--tls-host", "https://desk.local"], "without scheme and port"),
        (["--recordings", "bad.properties"], "--recordings bad.properties is not a directory"),
        (["--tls-self-signed", "--data-dir", "/proc/nowhere"], "--data-dir"),
    ],
)
async def test_mistakes(tmp_path: Path, arguments: list[str], part: str) -> None:
    """A user's mistake gives one line that says what was wrong, without a traceback or a password, and exit code 2."""
    (tmp_path / "bad.properties").write_text("a=b\nproxy.enabled=sometimes\n")
    code, text = await failing("--port", "0", *arguments, cwd=tmp_path)
    assert code == 2
    assert text.count("\n") == 1, text
    assert part in text
    assert "hush" not in text


async def test_properties_and_environment(tmp_path: Path) -> None:
    """A properties file that switches the proxy off makes upgrades fail with 403; the environment names the file."""
    (tmp_path / "red5-web.properties").write_text("proxy.enabled=false\n")
    async with serving(cwd=tmp_path, SMPROXY_CONFIG="red5-web.properties") as serve:
        match = re.search(r"localhost:(\d+)/", serve.banner)
        assert match
        with pytest.raises(InvalidStatus) as refusal:
            async with connect(f"ws://127.0.0.1:{match[1]}/streammanager?id=s&customerScope=a"):
                pass
        assert refusal.value.response.status_code == 403
        assert await serve.stop() == 0
        assert serve.log.read_text().count("proxy.enabled") == 1


async def test_publish_command(tmp_path: Path, receiver: WebhookReceiver) -> None:
    """``smproxy publish`` publishes for as long as it is told, sums up, and exits with 0; refused, it says why with 1."""
    async with serving("--customer-scope", "required", "--hook-uri", receiver.url, cwd=tmp_path) as serve:

        async def publish(*arguments: str) -> tuple[int | None, str]:
            process = await asyncio.create_subprocess_exec(
                *[sys.executable, "-m", "smproxy", "publish", serve.url, "--stream", "s", *arguments],
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            async with asyncio.timeout(scaled(30)):
                output, _ = await process.communicate()
            return process.returncode, output.decode()

        code, text = await publish("--customer-scope", "acme", "--duration", "1")
        assert code == 0, text
        assert "live" in text
        await eventually(lambda: receiver.events and spell(receiver.events[-1]) == "disconnected", 10)
        check_whole_life(story(receiver))
        code, text = await publish("--duration", "1")
        assert code == 1
        assert "customerScope" in text


@pytest.mark.parametrize("how", [(), ("--nodes", "2"), ("--detach",)], ids=["alone", "nodes", "detached"])
async def test_another_aiortc(tmp_path: Path, how: tuple[str, ...]) -> None:
    """With an aiortc that the origin was not written for nothing starts: one line says so, also of a detached server."""
    facts = tmp_path / "installed" / "aiortc-1.17.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: aiortc\nVersion: 1.17.0\n")
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "smproxy", "serve", "--port", "0", *how],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(facts.parent)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(scaled(20)):
        output, error = await process.communicate()
    assert (process.returncode, output) == (2, b"")
    (line,) = error.decode().splitlines()
    assert line.startswith("smproxy serve: the origin cannot run: aiortc 1.17.0 is not 1.16: ")
    assert "--no-local-origin" in line


async def test_unfit_aiortc(tmp_path: Path) -> None:
    """With an aiortc that turns out unfit when it is imported the server ends then, and says so in one line.

    It has told then that it takes connections; its ready file is gone.
    """
    code = (
        "import sys; from smproxy.origin import aiortc_adapter; aiortc_adapter.self_test = lambda: 'OpenSSL has no suites'; "
        "from smproxy.__main__ import main; sys.exit(main())"
    )
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-c", code, "serve", "--port", "0", "--ready-file", "ready"],
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(scaled(20)):
        _, error = await process.communicate()
    assert process.returncode == 2
    assert not (tmp_path / "ready").exists()
    (line,) = error.decode().splitlines()
    assert line.startswith("smproxy serve: the origin cannot run: OpenSSL has no suites: ")


@pytest.mark.parametrize("command", ["publish", "subscribe"])
async def test_a_reader_that_leaves(tmp_path: Path, command: str) -> None:
    """``smproxy publish … | head -1`` ends in order, and soon, when ``head`` has read enough."""
    async with serving(cwd=tmp_path) as serve:
        there = "s" if command == "subscribe" else "other"
        async with Publisher(serve.url, stream=there, params={"customerScope": "acme"}):
            process = await asyncio.create_subprocess_shell(
                f"{sys.executable} -m smproxy {command} {serve.url} --stream s --customer-scope acme | head -1",
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(scaled(30)):
                out, error = await process.communicate()
        assert b"live after" in out
        assert error == b""
