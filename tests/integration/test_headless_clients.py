"""``/api/v1/publishers`` and ``/subscribers``: headless clients that the server runs in a process of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from smproxy.manager.headless import clients
from smproxy.simulator import Simulator
from smproxy.testing import WebhookReceiver

from tests.helpers import eventually, eventually_reads, scaled
from tests.integration.conftest import StartSimulator
from tests.integration.test_control_api import Control, validate

Running = tuple[Simulator, Control]


@pytest.fixture
async def control(start_simulator: StartSimulator) -> AsyncIterator[Running]:
    """A simulator, and a client of its control API."""
    simulator = await start_simulator()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(scaled(40))) as http:
        yield simulator, Control(http, simulator.rest_url)


async def start(api: Control, role: str, name: str, **asked: Any) -> Any:
    """Start a client; return its view."""
    body = {"name": name, "customerScope": "acme", "timeout": min(60, scaled(10)), **asked}
    status, view = await api.call("POST", f"/{role}s", json=body)
    assert status == 201, view
    validate(f"/{role}s", "post", 201, view)
    return view


@pytest.mark.parametrize("transports", [("websocket", "websocket"), ("whip", "whep")], ids=["sdk", "http"])
async def test_from_start_to_end(control: Running, transports: tuple[str, str]) -> None:
    """A publisher and a subscriber are live when asked for, have sessions, count media and pictures, and end with hooks."""
    _, api = control
    publisher = await start(api, "publisher", "cam", transport=transports[0], pattern="counter", meta={"room": "A"})
    assert (publisher["id"], publisher["state"], publisher["error"]) == ("publisher-1", "live", None)
    session = await api.get("/sessions/{session}", session=publisher["session"])
    assert (session["id"], session["customerScope"], session["meta"]) == ("cam", "acme", {"room": "A"})
    subscriber = await start(api, "subscriber", "cam", transport=transports[1])
    assert (subscriber["id"], subscriber["state"], subscriber["name"]) == ("subscriber-1", "live", "cam")
    seen = await eventually_reads(
        lambda: api.get("/subscribers/{id}", id="subscriber-1"), lambda view: view["decoded"] > 10, 20
    )
    assert seen["number"] is not None
    assert seen["outOfOrder"] == 0
    assert (seen["width"] > 0, seen["bytes"] > 0, "video/VP8" in seen["codecs"] or "VP8" in seen["codecs"]) == (
        True,
    ) * 3
    sent = await api.get("/publishers/{id}", id="publisher-1")
    assert sent["packets"] > 0
    assert [view["id"] for view in (await api.get("/publishers"))["publishers"]] == ["publisher-1"]
    assert [view["id"] for view in (await api.get("/subscribers"))["subscribers"]] == ["subscriber-1"]
    assert (await api.call("DELETE", "/subscribers/subscriber-1"))[0] == 204
    assert (await api.call("DELETE", "/publishers/publisher-1"))[0] == 204
    await api.get("/publishers/{id}", 404, id="publisher-1")
    hook = await api.get("/hooks/wait", session=publisher["session"], state="disconnected")
    assert hook["payload"]["reason"] == 0


async def test_latency_and_mute(control: Running) -> None:
    """With the pattern ``clock`` the latency is measured; a muted track stops at the subscribers until it goes on."""
    _, api = control
    await start(api, "publisher", "cam", pattern="clock")
    await start(api, "subscriber", "cam")

    def read() -> Any:
        return api.get("/subscribers/{id}", id="subscriber-1")

    seen = await eventually_reads(read, lambda view: view["latencyMs"] is not None and view["decoded"] > 20, 20)
    assert 0 < seen["latencyMs"]["p50"] <= seen["latencyMs"]["most"]
    status, view = await api.call("POST", "/publishers/publisher-1/mute", json={"video": True})
    validate("/publishers/{id}/mute", "post", status, view)
    assert status == 200
    await eventually_reads(read, lambda view: view["freezesMs"] and view["freezesMs"][-1] > 500, 20)
    assert (await api.call("POST", "/publishers/publisher-1/mute", json={"video": False}))[0] == 200
    frames = (await read())["decoded"]
    await eventually_reads(read, lambda view: view["decoded"] > frames + 10, 20)


async def test_a_refusal(control: Running) -> None:
    """A client that is refused has failed, with the server's words and its session; it can be looked at until it is deleted."""
    _, api = control
    await api.call("POST", "/faults", json={"fault": "publish-denied", "parameters": {"message": "Not you."}})
    view = await start(api, "publisher", "cam", password="hush")
    assert view["state"] == "failed"
    assert "Not you." in view["error"]
    assert (await api.get("/sessions/{session}", session=view["session"]))["state"] == "failed"
    assert "hush" not in str(view)
    assert (await api.get("/publishers/{id}", id=view["id"]))["state"] == "failed"
    status, answer = await api.call("POST", f"/publishers/{view['id']}/mute", json={"audio": True})
    assert (status, answer["errorMessage"]) == (409, "publisher-1 is not live but failed.")
    assert (await api.call("DELETE", f"/publishers/{view['id']}"))[0] == 204


@pytest.mark.parametrize(
    ("path", "asked", "said"),
    [
        ("publishers", {}, "name"), ("publishers", {"name": ""}, "name"),
        ("publishers", {"name": "a", "timeout": 0}, "timeout"),
        ("publishers", {"name": "a", "transport": "whep"}, "transport"),
        ("publishers", {"name": "a", "media": "/nowhere.webm"}, "no such file"),
        ("publishers", {"name": "a", "audio": False, "video": False, "dataChannel": False}, "nothing to publish"),
        ("subscribers", {"name": "a", "pattern": "test"}, "pattern"),
        ("subscribers", {"name": "a", "timeout": 1000}, "timeout"),
    ],
)  # fmt: skip
async def test_what_is_refused(control: Running, path: str, asked: dict[str, Any], said: str) -> None:
    """What cannot be a client is refused in a sentence, and no process is started for it."""
    simulator, api = control
    status, answer = await api.call("POST", f"/{path}", json=asked)
    validate(f"/{path}", "post", status, answer)
    assert (status, said in answer["errorMessage"]) == (400, True), answer
    assert simulator.manager.headless._process is None


async def test_a_machine_that_is_lost(start_simulator: StartSimulator, receiver: WebhookReceiver) -> None:
    """A client that vanishes leaves its session to the time-out; a tab that is closed is gone at once."""
    simulator = await start_simulator(receiver, media_gap=0.5, media_timeout=1.5)
    async with aiohttp.ClientSession() as http:
        api = Control(http, simulator.rest_url)
        lost, closed = [await start(api, "publisher", name) for name in ("lost", "closed")]
        assert (await api.call("DELETE", f"/publishers/{lost['id']}?how=vanish"))[0] == 204
        assert (await api.call("DELETE", f"/publishers/{closed['id']}?how=close"))[0] == 204
        for view, reason in ((lost, 1), (closed, 0)):
            hook = await api.get(
                "/hooks/wait", session=view["session"], state="disconnected", timeout=min(60, scaled(10))
            )
            assert hook["payload"]["reason"] == reason
        status, answer = await api.call("DELETE", "/publishers/publisher-9?how=slowly")
        assert (status, "leave, close, vanish" in answer["errorMessage"]) == (400, True)


async def test_a_reset_ends_them(control: Running) -> None:
    """A reset ends all clients as pages do and forgets them; the next ones start in the same process, quickly."""
    simulator, api = control
    await start(api, "publisher", "cam")
    await start(api, "subscriber", "cam", decode=False)
    process = simulator.manager.headless._process
    answer = await api.get("/reset", method="post", timeout=min(30, scaled(5)))
    assert (answer["clients"], answer["complete"]) == (2, True)
    assert (await api.get("/publishers"))["publishers"] == (await api.get("/subscribers"))["subscribers"] == []
    assert (await start(api, "publisher", "cam"))["id"] == "publisher-2"
    assert simulator.manager.headless._process is process


async def test_how_many(control: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a most of clients that run; one that has ended makes room. Without waiting the answer comes at once."""
    _, api = control
    monkeypatch.setattr(clients, "MAX_CLIENTS", 1)
    view = await start(api, "publisher", "cam", wait=False)
    assert (view["state"], view["session"]) == ("connecting", None)
    status, answer = await api.call("POST", "/publishers", json={"name": "other"})
    assert (status, "1 headless clients run" in answer["errorMessage"]) == (503, True)
    assert (await api.call("DELETE", "/publishers/publisher-1"))[0] == 204
    assert (await start(api, "publisher", "other"))["state"] == "live"


async def test_its_process(control: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its death fails the clients with a reason, and the next gets a new one; it ends with the last client, and at the stop."""
    simulator, api = control
    await start(api, "publisher", "cam")
    headless = simulator.manager.headless
    assert headless._process is not None
    os.kill(headless._process.pid, signal.SIGKILL)
    view = await eventually_reads(
        lambda: api.get("/publishers/{id}", id="publisher-1"), lambda view: view["state"] != "live"
    )
    assert (view["state"], view["error"]) == ("failed", "the process of the headless clients has ended with -9")
    monkeypatch.setattr(clients, "LINGER", 0.1)
    assert (await start(api, "publisher", "other"))["state"] == "live"
    pid = headless._process.pid
    assert (await api.call("DELETE", "/publishers/publisher-2"))[0] == 204
    await eventually(lambda: not Path(f"/proc/{pid}").exists(), 10)
    assert (await start(api, "publisher", "third"))["state"] == "live"
    pid = headless._process.pid
    await simulator.stop()
    assert not Path(f"/proc/{pid}").exists()
