"""Passwords and tokens of clients, allowed and refused over each transport, are in nothing that is kept or shown (A8, A9)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from smproxy.simulator import Simulator
from smproxy.testing import Publisher, StreamError, WebhookReceiver
from smproxy.testing.auth_back_end import AuthBackEnd
from smproxy.testing.subscriber import Subscriber

from tests.helpers import eventually, scaled
from tests.integration.conftest import StartSimulator

#: All of them have it, however they are written: the back end's URL has its own.
MARK = "7310009"
PASSWORD, TOKEN, BEARER = f"pä ss+{MARK}", f"t/{MARK}==", f"b.{MARK}"
PARAMS = {"customerScope": "acme", "username": "ann", "password": PASSWORD, "token": TOKEN}
SIGNED = f"https://ann:u{MARK}@bucket.example.org/cam?X-Amz-Signature=s{MARK}&token=q{MARK}"

#: What publishes and what watches, over each transport: its name, and the URL after that of the server.
PUBLISHERS = {
    "manager": ("ws", "/streammanager"),
    "standalone": ("ws", "/live"),
    "group": ("ws", "/as/v1/proxy/ws/publish/live/cam"),
    "whip": ("http", "/live/whip/endpoint/cam"),
    "group whip": ("http", "/as/v1/proxy/whip/live/cam"),
}
SUBSCRIBERS = {
    "manager": ("ws", "/streammanager"),
    "group": ("ws", "/as/v1/proxy/ws/subscribe/live/cam"),
    "whep": ("http", "/live/whep/endpoint/cam"),
    "group whep": ("http", "/as/v1/proxy/whep/live/cam"),
}


def target(simulator: Simulator, way: tuple[str, str]) -> str:
    """Return a URL."""
    return f"{way[0]}://127.0.0.1:{simulator.port}{way[1]}"


def publisher(simulator: Simulator, way: tuple[str, str]) -> Publisher:
    """Return a publisher with all credentials."""
    if way[0] == "ws":
        return Publisher(target(simulator, way), stream="cam", params=PARAMS)
    return Publisher(target(simulator, way), stream="cam", params=PARAMS, transport="whip", token=BEARER)


def subscriber(simulator: Simulator, way: tuple[str, str]) -> Subscriber:
    """Return a subscriber with all credentials."""
    if way[0] == "ws":
        return Subscriber(target(simulator, way), stream="cam", params=PARAMS)
    return Subscriber(target(simulator, way), stream="cam", params=PARAMS, transport="whep", token=BEARER)


@pytest.fixture
async def back_end() -> AsyncIterator[AuthBackEnd]:
    """An authentication back end, at a URL with a password of its own."""
    async with AuthBackEnd() as back_end:
        yield back_end


async def through_every_way(simulator: Simulator, receiver: WebhookReceiver) -> None:
    """Publish and watch over each transport."""
    for way in PUBLISHERS.values():
        async with publisher(simulator, way):
            for other in SUBSCRIBERS.values() if way is PUBLISHERS["manager"] else ():
                async with subscriber(simulator, other):
                    pass
        await eventually(lambda: len(simulator.manager.sessions) == 0, 10)


async def refused_every_way(simulator: Simulator) -> list[str]:
    """Be refused over each transport; return what the clients are told."""
    told = []
    for way in PUBLISHERS.values():
        with pytest.raises(StreamError) as refused:
            await publisher(simulator, way).publish()
        told.append(str(refused.value))
    for way in SUBSCRIBERS.values():
        with pytest.raises(StreamError) as refused:
            await subscriber(simulator, way).subscribe()
        told.append(str(refused.value))
    return told


async def everything(simulator: Simulator) -> dict[str, str]:
    """Return what every GET of the control API, the pages and the metrics show."""
    shown = {}
    async with aiohttp.ClientSession(simulator.rest_url) as http:

        async def get(path: str) -> str:
            async with http.get(path) as response:
                shown[path] = f"{response.status} {response.headers} {await response.text()}"
                return await response.text()

        sessions = json.loads(await get("/api/v1/sessions"))["sessions"]
        described = json.loads(await get("/api/v1/openapi.json"))
        for path in (path for path, operations in described["paths"].items() if "get" in operations):
            if "{session}" in path:
                for each in sessions:
                    await get(path.replace("{session}", str(each["session"])))
                    await get(path.replace("{session}", str(each["session"])) + "?header=true")
            elif "{" not in path and path not in ("/api/v1/feed", "/api/v1/hooks/wait"):
                await get(path)
        for path in (
            "/",
            "/publish",
            "/subscribe",
            "/metrics",
            "/hooks",
            "/hooks/sinks",
            "/streammanager/api/4.0/event/list/stats",
        ):
            await get(path)
    return shown


async def feed(simulator: Simulator) -> str:
    """Return what the dashboard gets until it has the past."""
    text = ""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{simulator.rest_url}/api/v1/feed") as response,
        asyncio.timeout(scaled(10)),
    ):
        async for line in response.content:
            text += line.decode()
            if line.startswith(b"event: ready"):
                break
    return text


async def test_no_secret_is_kept_or_shown(
    tmp_path: Path,
    receiver: WebhookReceiver,
    start_simulator: StartSimulator,
    back_end: AuthBackEnd,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After allowed, refused and failed sessions over each transport no file, log, hook, answer, page or error has a secret."""
    caplog.set_level(logging.DEBUG)
    uri = back_end.url.replace("http://", f"http://sm:u{MARK}@")
    simulator = await start_simulator(
        receiver, auth_uri=uri, auth_format="extended", data_dir=tmp_path / "data", recordings=tmp_path / "recordings"
    )
    back_end.allow(url=SIGNED, lifetime=600, recording=True)
    await through_every_way(simulator, receiver)
    allowed = len(PUBLISHERS) + len(SUBSCRIBERS)
    await back_end.wait_for_count(allowed + len(PUBLISHERS), scaled(10))
    back_end.deny()
    told = await refused_every_way(simulator)
    back_end.answer(status=500, body=f"no: {PASSWORD} {TOKEN}")
    told += await refused_every_way(simulator)
    back_end.answer(body=json.dumps({"result": True, "name": 7, "meta": PASSWORD}))
    told += await refused_every_way(simulator)
    await back_end.stop()
    told += await refused_every_way(simulator)
    await eventually(lambda: len(simulator.manager.history.numbers()) == 5 * allowed, 10)

    shown = await everything(simulator)
    assert len([path for path in shown if path.endswith("/timeline")]) == 5 * allowed
    shown["feed"] = await feed(simulator)
    shown["told"] = "\n".join(told)
    shown["hooks"] = "\n".join(f"{hook.headers} {hook.body.decode()}" for hook in receiver.hooks)
    shown["log"] = "\n".join(
        f"{record.getMessage()} {record.exc_info}" for record in caplog.records if record.name.startswith("smproxy")
    )
    await simulator.stop()
    for file in sorted(tmp_path.rglob("*")):
        if file.is_file():
            shown[str(file.relative_to(tmp_path))] = file.read_bytes().decode("latin-1")
    assert "is not allowed" in shown["log"]
    assert "round-trip: allowed" in "".join(shown.values())
    assert "bucket.example.org/cam" in "".join(shown.values())
    assert any(name.startswith("data/") for name in shown)
    assert [name for name, text in shown.items() if MARK in text] == []


@pytest.mark.parametrize("scheme", ["jwt", "digest", "file"])
async def test_schemes_without_a_back_end(
    tmp_path: Path,
    receiver: WebhookReceiver,
    start_simulator: StartSimulator,
    scheme: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither the secret of a scheme nor what was wrong with a client's is in a log, a hook, an answer or a page."""
    caplog.set_level(logging.DEBUG)
    (tmp_path / "users").write_text(f"ann of-the-server-{MARK}\n")
    secret = str(tmp_path / "users") if scheme == "file" else f"of the server, long enough, {MARK}"
    simulator = await start_simulator(receiver, auth=f"{scheme}:{secret}")
    told = await refused_every_way(simulator)
    shown = await everything(simulator)
    shown["told"] = "\n".join(told)
    shown["hooks"] = "\n".join(hook.body.decode() for hook in receiver.hooks)
    shown["log"] = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("smproxy"))
    assert "is not allowed" in shown["log"]
    assert [name for name, text in shown.items() if MARK in text] == []
