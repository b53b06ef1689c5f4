"""``smproxy cluster``, as somebody who tries it meets it."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest
from smproxy.commands import cluster
from smproxy.commands.output import CommandError
from smproxy.testing.clients import make_publisher

from tests.helpers import eventually_reads, scaled


def _free_ports(count: int) -> int:
    """Return the first of ports in a row that were free just now."""
    for first in random.sample(range(20_000, 30_000, count), 100):  # other tests look for ports at the same time
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


async def _origins(port: int) -> set[str]:
    """Return the nodes with media that a manager has found."""
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/api/v1/origins") as response:
        return {each["address"] for each in (await response.json())["origins"]}


async def test_runs_a_whole_cluster(tmp_path: Path) -> None:
    """It starts a NATS server, managers, origins and edges; a publisher can come in at each manager; Ctrl-C ends all of it."""
    port = _free_ports(2)
    arguments = [
        "--managers",
        "2",
        "--origins",
        "1",
        "--edges",
        "1",
        "--port",
        str(port),
        "--data-dir",
        str(tmp_path / "data"),
    ]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "smproxy", "cluster", *arguments, "--", "--cluster-ttl", "12"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(scaled(40)):
            while b"edge-1" not in (line := await process.stdout.readline()):
                assert line, (await process.communicate())[1]
        for number in (0, 1):
            await eventually_reads(
                lambda at=port + number: _origins(at), lambda found: found == {"origin-1", "edge-1"}, 10
            )
            url = f"ws://127.0.0.1:{port + number}/streammanager"
            async with make_publisher(url, f"s{number}", {}):
                pass
    finally:
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(scaled(20)):
            _, errors = await process.communicate()
    assert process.returncode == 0
    assert errors == b""


def test_says_what_cannot_be_used() -> None:
    """A port that leaves no room for the managers is one line, and exit code 2."""
    import argparse

    parser = argparse.ArgumentParser()
    cluster.add_arguments(parser)
    with pytest.raises(CommandError, match="--port 65536: it takes") as error:
        cluster.run(parser.parse_args(["--port", "65536"]))
    assert error.value.code == 2
