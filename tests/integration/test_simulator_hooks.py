"""The simulator's hooks, whole: other formats, signatures, the journal across restarts."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest
from smproxy.settings import Settings, SettingsError
from smproxy.simulator import Simulator
from smproxy.testing import WebhookReceiver
from standardwebhooks import Webhook

from tests.helpers import eventually
from tests.integration.conftest import MakePublisher, StartSimulator, published
from tests.integration.lives import check_whole_life, spell, story
from tests.integration.test_simulator_publish import has, has_media, has_switched

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def red5_events(receiver: WebhookReceiver) -> list[str]:
    """Name the Red5 webhooks that came."""
    return [json.loads(hook.body)["event"] for hook in receiver.hooks]


async def test_red5_order(receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """A publisher that switches to its data channel gives Red5's webhooks in Red5's documented order."""
    simulator = await start_simulator(receiver, hook_format=("red5",))
    stream = publisher(simulator, switch_delay=0.5)
    await published(simulator, stream)
    await has_switched(simulator)
    await eventually(lambda: "websocket-disconnect" in red5_events(receiver), 10)
    await stream.unpublish()
    await eventually(lambda: "stream-unpublished" in red5_events(receiver), 10)
    told = red5_events(receiver)
    told.remove("video-started")  # with the media, before or after the switch
    assert told == [
        "websocket-connect",
        "connection-connect",
        "stream-published",
        "websocket-disconnect",
        "connection-disconnect",
        "stream-unpublished",
    ]
    event = next(json.loads(hook.body) for hook in receiver.hooks if b"stream-published" in hook.body)
    assert event["guid"] == "live/s"
    assert event["clusterNodeType"] == "TYPE_ORIGIN"


async def test_property_gives_red5_format(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """The endpoint of the properties file receives Red5's format beside a sink that receives ours."""
    async with WebhookReceiver() as ours:
        simulator = await start_simulator(webhooks_endpoint=receiver.url, hook_uri=(ours.url,))
        stream = publisher(simulator)
        await published(simulator, stream)
        await has_media(ours)
        await stream.unpublish()
        await eventually(lambda: "stream-unpublished" in red5_events(receiver), 10)
        await has(ours, "disconnected")
        check_whole_life(story(ours))


async def test_signed(receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """With a secret every hook of a real publish verifies with the Standard Webhooks library."""
    simulator = await start_simulator(receiver, hook_secret=(SECRET,))
    stream = publisher(simulator)
    await published(simulator, stream)
    await stream.unpublish()
    await has(receiver, "disconnected")
    for hook in receiver.hooks:
        headers = {key.lower(): value for key, value in hook.headers.items()}
        assert Webhook(SECRET).verify(hook.body.decode(), headers)


async def test_receiver_that_comes_back_after_a_restart(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher, tmp_path: Path
) -> None:
    """Hooks that a dead receiver never got are delivered, the same bytes in order, by the next start."""
    url = receiver.url
    await receiver.stop()
    settings = {"data_dir": tmp_path / "kept", "hook_uri": (url,)}
    simulator = await start_simulator(**settings)
    stream = publisher(simulator)
    await published(simulator, stream)
    await stream.unpublish()
    await simulator.stop()
    await receiver.start()
    assert receiver.url == url
    again = await start_simulator(**settings)
    await has(receiver, "disconnected")
    told = story(receiver)
    assert told[:3] == ["connecting", "connected", "peer_joined"]
    journalled = [json.loads(stored.event.body)["uuid"] for stored in await journal_events(again)]
    assert [event["uuid"] for event in receiver.events] == journalled


async def journal_events(simulator: Simulator) -> list:
    """Return what the simulator's journal lists."""
    from smproxy.hooks.journal import JournalQuery

    assert simulator.dispatcher.journal is not None
    return await simulator.dispatcher.journal.find(JournalQuery())


async def test_one_journal_one_instance(start_simulator: StartSimulator, tmp_path: Path) -> None:
    """A second instance on the same data directory is refused in one line that says what to do."""
    await start_simulator(data_dir=tmp_path / "kept")
    second = Simulator(Settings(port=0, data_dir=tmp_path / "kept"))
    with pytest.raises(SettingsError, match="data-dir") as error:
        await second.start()
    assert "\n" not in str(error.value)


async def test_in_memory_leaves_nothing(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher, tmp_path: Path
) -> None:
    """With ``:memory:`` hooks are journalled and can be listed, and no file is made."""
    simulator = await start_simulator(receiver, data_dir=Path(":memory:"))
    stream = publisher(simulator)
    await published(simulator, stream)
    await stream.unpublish()
    await has(receiver, "disconnected")
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{simulator.rest_url}/api/v1/hooks?customerScope=acme") as response,
    ):
        assert [spell(event) for event in (await response.json())["hooks"]] == story(receiver)
    assert not Path(":memory:").exists()
    assert list(tmp_path.iterdir()) == []


async def test_metrics_of_a_publish(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """The metrics count what was journalled and delivered, and the live session while it lives."""
    simulator = await start_simulator(receiver)
    stream = publisher(simulator)
    await published(simulator, stream)

    async def metrics() -> str:
        async with aiohttp.ClientSession() as http, http.get(f"{simulator.rest_url}/metrics") as response:
            return await response.text()

    assert "smproxy_sessions 1.0" in await metrics()
    await stream.unpublish()
    await has(receiver, "disconnected")
    text = await metrics()
    assert "smproxy_sessions 0.0" in text
    assert f'smproxy_hooks_dead_letters_total{{sink="{receiver.url}"}} 0.0' in text
