"""Who may join a cluster and command its nodes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from smproxy.simulator import Simulator

from tests.helpers import eventually, scaled
from tests.nats_server import NatsServer, nats_server

USER, PASSWORD = "nodes", "s3cret-of-the-registry"
#: What a node shows that knows no other's key.
FORGED = {"X-Stream-Manager-Node-Key": "0" * 32}


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A NATS server that asks for a password."""
    directory = tmp_path / "nats"
    directory.mkdir()
    async with nats_server(directory, "--user", USER, "--pass", PASSWORD) as server:
        yield server


def with_password(registry: NatsServer, password: str) -> str:
    return registry.url.replace("//", f"//{USER}:{password}@")


async def serve(url: str, tmp_path: Path) -> tuple[int | None, str]:
    """Start a node that cannot join; return its exit code and all that it writes."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "smproxy", "serve", "--cluster", url, "--port", "0", "--log-level", "debug"),
        *("--data-dir", str(tmp_path / "data")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(scaled(30)):
        output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_a_node_without_the_password_does_not_start(registry: NatsServer, tmp_path: Path) -> None:
    """It ends with one line that says what was refused, and shows no password."""
    urls = (registry.url, with_password(registry, "not-the-passw0rd"))
    for code, output in await asyncio.gather(*(serve(url, tmp_path / f"{number}") for number, url in enumerate(urls))):
        assert code == 2
        line = output.strip()
        assert "\n" not in line, output
        assert "authorization" in line.lower()
        assert f"--cluster nats://127.0.0.1:{registry.port}" in line
        assert PASSWORD not in output
        assert "passw0rd" not in output


async def test_the_password_is_in_no_log(
    registry: NatsServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither when a node joins, nor when it loses the registry and finds it again."""
    caplog.set_level("DEBUG")
    async with Simulator(cluster=with_password(registry, PASSWORD), node_id="n1") as node:
        await registry.kill()
        await eventually(lambda: "lost" in caplog.text, 20)
        await registry.start()
        await eventually(lambda: "back" in caplog.text, 20)
        assert PASSWORD not in repr(node.settings)
    assert PASSWORD not in caplog.text


async def test_who_has_no_key_commands_no_node(registry: NatsServer) -> None:
    """The node channel and the questions of nodes need the key of the node that is asked; the admin token is none."""
    async with (
        Simulator(cluster=with_password(registry, PASSWORD), node_id="n1", admin_token="admin") as node,
        aiohttp.ClientSession() as http,
    ):
        for path in ("contact", "channel?node=n2&incarnation=000000000000"):
            for headers in ({}, FORGED, {"Authorization": "Bearer admin"}):
                async with http.get(f"{node.rest_url}/api/cluster/{path}", headers=headers) as response:
                    assert response.status == 403
                    assert "Only nodes of this cluster" in json.loads(await response.read())["errorMessage"]
        async with http.get(f"{node.rest_url}/api/v1/sessions", headers=FORGED) as response:
            assert response.status == 401
