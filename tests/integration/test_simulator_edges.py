"""What an attacker, or bad luck, has done to it once: each of these was a bug."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest
from smproxy.manager.relay import RelayEnd
from smproxy.simulator import Simulator
from smproxy.testing import PublishRejected, WebhookReceiver
from websockets.asyncio.client import connect

from tests.helpers import eventually, scaled
from tests.integration.conftest import MakePublisher, StartSimulator, published
from tests.integration.lives import check_whole_life, last, story
from tests.integration.test_serve_command import serving
from tests.integration.test_simulator_publish import has, has_media, has_switched

GOOD = "id=s&customerScope=acme"


def upgrade(query: str = GOOD) -> bytes:
    """Write an upgrade request."""
    return (
        f"GET /streammanager?{query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


async def test_clients_that_leave_during_the_dial(tmp_path: Path) -> None:
    """Clients that reset their connection right after the upgrade leave nothing behind that would keep the process alive."""
    async with serving(cwd=tmp_path) as serve:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", serve.port)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.sendall(upgrade())
        async with connect(f"{serve.url}?{GOOD}") as after:  # the process has seen all of them by now
            await after.recv()
        assert await serve.stop() == 0


async def test_kick_during_the_dial(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """A session that is kicked before the origin knows of it is over: its client is refused and nothing is published."""
    simulator = await start_simulator(receiver)
    kicked = 0

    def kick_all() -> None:
        nonlocal kicked
        for attempt in simulator.manager.sessions.attempts:
            simulator.manager.sessions.kick(attempt)
            kicked += 1

    opened = simulator.manager.sessions.open

    def open_and_kick(*arguments: object) -> object:
        attempt = opened(*arguments)  # type: ignore[arg-type]
        asyncio.get_running_loop().call_soon(kick_all)
        return attempt

    simulator.manager.sessions.open = open_and_kick  # type: ignore[method-assign,assignment]
    with pytest.raises(PublishRejected) as refusal:
        await publisher(simulator).publish()
    assert refusal.value.code == "NetConnection.Connect.Failed"
    assert kicked == 1
    await has(receiver, "connect_error")
    assert last(receiver)["error"] == 3
    await eventually(lambda: not simulator.manager.sessions.attempts)


async def test_relay_broken_after_the_switch(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """Whatever ends the relay after ``switchChannel``, the session goes on where it lives, on the data channel."""
    simulator = await start_simulator(receiver)
    stream = publisher(simulator, switch_delay=0.1)
    await published(simulator, stream)
    await has_media(receiver)
    await has_switched(simulator)
    (attempt,) = simulator.manager.sessions.attempts
    for end in (
        RelayEnd("proxy", 1002, False, "client: broken frame"),
        RelayEnd("proxy", 1011, False, "client: silent"),
    ):
        attempt.ended(end)
    assert [session.life.peer for session in simulator.manager.sessions.publishing()] == ["s"]
    await stream.unpublish()
    await has(receiver, "disconnected")
    check_whole_life(story(receiver))


async def test_window_has_an_end(
    receiver: WebhookReceiver,
    start_simulator: StartSimulator,
    publisher: MakePublisher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client that comes back into a session and then says nothing does not keep the session for ever: reason 1."""
    monkeypatch.setattr("smproxy.manager.reconnect.RETURN_TIMEOUT", 0.3)
    simulator = await start_simulator(receiver, media_gap=0.3, media_timeout=0.6, reconnect_window=0.5)
    lost = publisher(simulator, switch_delay=0.1)
    await lost.publish()
    await has_media(receiver)
    await has_switched(simulator)
    lost.vanish()
    await has(receiver, "reconnect")
    async with connect(f"{simulator.url}?{GOOD}"):
        await has(receiver, "disconnected")
    assert last(receiver)["reason"] == 1
    check_whole_life([line for line in story(receiver) if line not in {"reconnect", "reconnected"}])
    await eventually(lambda: not simulator.manager.sessions.attempts, 15)


async def test_international_host(receiver: WebhookReceiver, start_simulator: StartSimulator) -> None:
    """A host that cannot stand in a request is refused by name, with its hook, and leaves no session."""
    simulator = await start_simulator(receiver, allow_host=("*",))
    async with connect(f"{simulator.url}?{GOOD}&host=%E6%97%A5%E6%9C%AC.jp") as client, asyncio.timeout(scaled(5)):
        assert "Rejected" in str(await client.recv())
    await has(receiver, "connect_error")
    assert len(simulator.manager.sessions) == 0


async def get(simulator: Simulator, path: str, **options: object) -> tuple[int, str]:
    """Return status and text of a GET."""
    async with aiohttp.ClientSession() as http, http.get(simulator.rest_url + path, **options) as response:  # type: ignore[arg-type]
        return response.status, await response.text()


async def test_large_cookies(start_simulator: StartSimulator) -> None:
    """REST takes the heads that the front takes: localhost shares its cookies among all development servers."""
    simulator = await start_simulator()
    assert (await get(simulator, "/healthz", headers={"Cookie": "a=" + "x" * 12_000}))[0] == 200


async def test_endless_number(start_simulator: StartSimulator) -> None:
    """A number of five thousand digits is refused like any other bad number."""
    simulator = await start_simulator()
    path = "/streammanager/api/4.0/event/live/s?action=broadcast&endpoints=" + "9" * 5000
    status, text = await get(simulator, path)
    assert (status, set(json.loads(text))) == (400, {"errorMessage", "timestamp"})


async def test_listening_on_ipv6(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """The URLs of an instance that listens on ``::1`` lead to it."""
    simulator = await start_simulator(host="::1")
    assert "[::1]" in simulator.url
    stream = publisher(simulator)
    await published(simulator, stream)
    await stream.unpublish()


async def test_nobody_reads_the_banner(tmp_path: Path) -> None:
    """A process whose output nobody reads any more (``serve | head``) goes on serving, and stops without a traceback."""
    reading, writing = os.pipe()
    with (tmp_path / "errors").open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "smproxy", "serve", "--port", "0"], cwd=tmp_path, stdout=writing, stderr=errors
        )
    os.close(writing)
    banner = await asyncio.to_thread(os.read, reading, 4096)
    os.close(reading)
    assert b"ready" in banner
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(scaled(10)):
        assert await process.wait() == 0
    assert (tmp_path / "errors").read_text() == ""
