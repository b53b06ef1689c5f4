"""Hooks of what a page mutes, over both transports and in every format."""

from __future__ import annotations

import json

import aiohttp
import pytest
from smproxy.hooks.formats.registry import FORMATS
from smproxy.testing import WebhookReceiver

from tests.helpers import eventually
from tests.integration.conftest import StartSimulator

STATES = ("remote_track_muted", "remote_track_unmuted")


@pytest.mark.parametrize("transport", ["websocket", "whip"])
async def test_a_page_mutes(receiver: WebhookReceiver, start_simulator: StartSimulator, transport: str) -> None:
    """Each change is a hook with the track and its kind, between the track's start and its end."""
    simulator = await start_simulator(receiver, hook_events=("mute",))
    async with simulator.publisher("cam", transport=transport, customerScope="acme") as publisher:
        await eventually(lambda: [hook.state for hook in receiver.hooks].count("remote_track_started") == 2, 10)
        for muted in (True, True, False):
            publisher.mute(audio=muted)
        publisher.mute(video=True)
        await eventually(lambda: receiver.hooks[-1].event["payload"].get("track") == "video_main", 10)
        await eventually(lambda: sum(hook.state in STATES for hook in receiver.hooks) == 3, 10)
    await eventually(lambda: receiver.hooks[-1].state == "disconnected", 10)
    told = [hook.event["payload"] for hook in receiver.hooks if hook.state in STATES]
    assert [(each["track"], each["kind"], each["event"]) for each in told] == [
        ("audio_main", 0, "remote_track_muted"),
        ("audio_main", 0, "remote_track_unmuted"),
        ("video_main", 1, "remote_track_muted"),
    ]
    assert [hook.event["seq"] for hook in receiver.hooks] == list(range(1, len(receiver.hooks) + 1))


async def test_nobody_gets_them_who_did_not_ask(receiver: WebhookReceiver, start_simulator: StartSimulator) -> None:
    """Without the option the hooks of a session are those that they were."""
    simulator = await start_simulator(receiver)
    async with simulator.publisher("cam", customerScope="acme") as publisher:
        publisher.mute(audio=True)
        await eventually(lambda: [hook.state for hook in receiver.hooks].count("remote_track_started") == 2, 10)
    await eventually(lambda: receiver.hooks[-1].state == "disconnected", 10)
    assert not [hook for hook in receiver.hooks if hook.state in STATES]


@pytest.mark.parametrize("name", sorted(FORMATS))
async def test_formats(receiver: WebhookReceiver, start_simulator: StartSimulator, name: str) -> None:
    """Ours and CloudEvents have them; servers that have no such webhook send none."""
    simulator = await start_simulator(receiver, hook_format=(name,))
    async with aiohttp.ClientSession() as http:
        for state in (*STATES, "peer_joined"):
            event = {"event": state, "params": {"id": "cam", "customerScope": "acme"}}
            async with http.post(f"{simulator.rest_url}/api/v1/hooks/trigger", json=event) as response:
                assert response.status == 200
    assert await simulator.dispatcher.drained(10)
    bodies = [json.loads(hook.body) for hook in receiver.hooks]
    if name == "envelope":
        assert [body["payload"]["event"] for body in bodies[:2]] == list(STATES)
    elif name == "cloudevents":
        assert [body["type"].rpartition(".")[2] for body in bodies[:2]] == list(STATES)
    else:
        assert "muted" not in json.dumps(bodies)
