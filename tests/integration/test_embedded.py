"""The simulator inside another program: as a plain and as an async context manager."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from smproxy.embedded import EmbeddedSimulator
from smproxy.settings import SettingsError, settings_of
from smproxy.simulator import Simulator
from smproxy.testing.loop_thread import LoopThread

from tests.helpers import eventually, scaled

T = scaled(10)


def test_plain() -> None:
    """With ``with`` everything blocks, runs on a thread of its own, and is gone afterwards."""
    before = threading.active_count()
    with Simulator() as stream_manager:
        with stream_manager.publisher("s1", recording=False) as stream:
            hook = stream_manager.hooks.expect("session", state="connected", id="s1", timeout=T)
            assert (hook["customerScope"], stream.state) == ("test", "live")
        stream_manager.hooks.expect("disconnected", id="s1", reason=0, timeout=T)
        assert stream_manager.url == f"ws://localhost:{stream_manager.port}/streammanager"
    assert threading.active_count() == before
    with pytest.raises(RuntimeError, match="stopped"):
        stream_manager.hooks.expect("connected")


async def test_async() -> None:
    """With ``async with`` everything lives on the loop of the caller and is awaited."""
    async with Simulator() as stream_manager:
        async with stream_manager.publisher("s1"):
            await stream_manager.hooks.expect("connected", id="s1", timeout=T)
        await stream_manager.hooks.expect("disconnected", id="s1", timeout=T)


async def test_no_log_unless_asked() -> None:
    """A simulator that is started as ``smproxy serve`` starts it keeps no hooks in memory, and says so."""
    simulator = Simulator()
    await simulator.start()
    try:
        with pytest.raises(RuntimeError, match="context manager"):
            await simulator.hooks.expect("connected")
    finally:
        await simulator.stop()


def test_no_task_is_left() -> None:
    """When it has stopped, its loop has nothing to do, whatever was still going on."""
    thread = LoopThread.start()

    async def tasks() -> set[str]:
        return {str(task.get_coro()) for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    try:
        idle = thread.run(tasks())
        simulator = Simulator(flush=0)
        thread.call(lambda: simulator.hook_log)
        embedded = EmbeddedSimulator.start(simulator, thread)
        embedded.publisher("left open").publish()
        lost = embedded.publisher("lost", data_channel=False)
        lost.publish()
        lost.vanish("silent")
        embedded.stop()
        asyncio.run(eventually(lambda: thread.run(tasks()) == idle, 2, f"{thread.run(tasks())}"))
    finally:
        thread.stop()


async def test_publishers_in_few_words() -> None:
    """Connection parameters are given by name, in Python's values; what there is not is an error that says what there is."""
    async with Simulator() as stream_manager:
        params: dict[str, Any] = {"customer_scope": "acme", "meta": {"room": "A"}, "params": {"other": 1}}
        async with stream_manager.publisher("s1", username="ann", send_media=False, **params):
            hook = await stream_manager.hooks.expect("connected", timeout=T)
            assert (hook["customerScope"], hook["username"], hook["meta"]) == ("acme", "ann", {"room": "A"})
        with pytest.raises(TypeError, match="no option 'recordng': there are audio"):
            stream_manager.publisher("s1", recordng=True)


def test_settings_by_name() -> None:
    """Settings are the names of ``Settings``; texts are read as on the command line, one text is one of several."""
    settings = settings_of(hook_uri="http://127.0.0.1:9/", origin=["10.0.0.1:5081"], reconnect_window="5", node=7)
    assert settings.hook_uri == ("http://127.0.0.1:9/",)
    assert [str(address) for address in settings.origin] == ["10.0.0.1:5081"]
    assert (settings.reconnect_window, settings.node, settings.port) == (5, 7, 0)
    assert settings.in_memory
    assert settings_of(data_dir="kept").data_dir == Path("kept")


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"hook_url": "x"}, TypeError, "did you mean 'hook_uri'"),
        ({"hook_uri": "ftp://x/"}, SettingsError, "hook_uri: "),
        ({"media_gap": 9.0}, SettingsError, "must be longer"),
        ({"reconnect_window": -5}, SettingsError, "reconnect_window: it takes seconds"),
        ({"media_gap": float("nan")}, SettingsError, "media_gap: it takes seconds"),
        ({"port": -1}, SettingsError, "port: a port is"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], error: type[Exception], says: str) -> None:
    """What cannot be used is told in one line, before anything starts."""
    with pytest.raises(error, match=says) as raised:
        Simulator(**settings)
    assert "\n" not in str(raised.value)


def test_a_port_in_use() -> None:
    """A start that fails leaves no thread."""
    before = threading.active_count()
    with Simulator() as first, pytest.raises(SettingsError, match="in use"), Simulator(port=first.port):
        pass
    assert threading.active_count() == before
