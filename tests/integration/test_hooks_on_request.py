"""Hooks that are sent on request: of what a page mutes, and the media of a session, over both transports."""

from __future__ import annotations

import json

import aiohttp
import pytest
from smproxy.hooks.formats.registry import FORMATS
from smproxy.testing import StreamError, WebhookReceiver

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


#: States, and what today's atm0s server calls them.
FURTHER = {
    "route_begin": "RouteBegin", "route_success": "RouteSuccess", "route_error": "RouteError", "stats": "Stats",
    "room_started": "Started", "room_all_left": "AllPeersLeaved", "room_stopped": "Stopped",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FORMATS))
async def test_formats_of_routes_rooms_and_statistics(
    receiver: WebhookReceiver, start_simulator: StartSimulator, name: str
) -> None:
    """Ours, CloudEvents and atm0s have all of them, and no other server has any."""
    simulator = await start_simulator(receiver, hook_format=(name,))
    async with aiohttp.ClientSession() as http:
        for state in FURTHER:
            event = {"event": state, "params": {"id": "cam", "customerScope": "acme"}}
            async with http.post(f"{simulator.rest_url}/api/v1/hooks/trigger", json=event) as response:
                assert response.status == 200
    assert await simulator.dispatcher.drained(10)
    bodies = [json.loads(hook.body) for hook in receiver.hooks]
    if name == "envelope":
        assert {body["payload"]["event"] for body in bodies} == set(FURTHER)
    elif name == "cloudevents":
        assert {body["type"].rpartition(".")[2] for body in bodies} == set(FURTHER)
    elif name.startswith("atm0s"):
        told_of = [next(iter(body["event"].values())) for body in bodies]
        events = [each["event"] for each in told_of]
        assert {next(iter(event)) for event in events} == set(FURTHER.values())
        rooms = [{**each, "event": None} for each in told_of if "room" in each]
        assert rooms == [{"app": "acme", "room": "live", "event": None}] * 3
        if name == "atm0s":
            told = {key: value for event in events for key, value in event.items()}
            assert told["AllPeersLeaved"] == {}
            assert told["RouteSuccess"] == {"after_ms": 5, "dest_node": 1}
            assert told["RouteError"] == {"after_ms": 5, "dest_node": None, "error": 1}
            assert told["Stats"] == {"sent_bytes": 0, "received_bytes": 9_000_000}
    else:
        assert not bodies


@pytest.mark.parametrize(("publish", "watch"), [("websocket", "websocket"), ("whip", "whep")])
async def test_the_end_says_what_came_of_the_media(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publish: str, watch: str
) -> None:
    """``disconnected`` has packets, bytes, losses and the bitrate, which fit each other, also of what was over at once.

    An origin reports them each second.
    """
    simulator = await start_simulator(receiver, hook_events=("statistics",))
    async with (
        simulator.publisher("cam", transport=publish, customerScope="acme"),
        simulator.subscriber("cam", transport=watch, customerScope="acme") as subscriber,
    ):
        await subscriber.wait_for_frames(10)
    await eventually(lambda: [hook.state for hook in receiver.hooks].count("disconnected") == 2, 10)
    counted = 0
    for hook in receiver.hooks:
        payload = hook.event["payload"]
        if hook.state != "disconnected":
            assert "media" not in payload
            continue
        media = payload["media"]
        assert media["packets"] >= 10
        assert media["bytes"] > 1000
        assert media["lost"] == 0
        assert media["bitrate"] == round(media["bytes"] * 8000 / payload["duration"])
        counted += media["packets"]
    async with aiohttp.ClientSession() as http, http.get(f"{simulator.rest_url}/metrics") as response:
        text = (await response.text()).splitlines()
    values = [float(line.rpartition(" ")[2]) for line in text if line.startswith("smproxy_media_packets_total{")]
    assert sum(values) == counted


async def test_who_never_connected_had_no_media(start_simulator: StartSimulator, receiver: WebhookReceiver) -> None:
    """``connect_error`` is as it was."""
    simulator = await start_simulator(receiver, hook_events=("statistics",))
    async with simulator.publisher("cam", customerScope="acme"):
        with pytest.raises(StreamError):
            await simulator.publisher("cam", customerScope="acme").publish()
        await eventually(lambda: "connect_error" in [hook.state for hook in receiver.hooks], 10)
    (failed,) = [hook for hook in receiver.hooks if hook.state == "connect_error"]
    assert "media" not in failed.event["payload"]
