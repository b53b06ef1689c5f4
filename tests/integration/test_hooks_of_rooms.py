"""Hooks on request beside a session's life: of rooms, of the choice of an origin, and of media while it flows."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from smproxy.settings.option_values import Address
from smproxy.testing import Publisher, PublishError, StreamError, WebhookReceiver

from tests.helpers import eventually
from tests.hooks_support import receiver as receiver_of
from tests.integration.conftest import StartSimulator
from tests.integration.test_background import free_port
from tests.integration.test_serve_command import serving

DOORS = [("websocket", "websocket"), ("whip", "whep")]


def rooms(receiver: WebhookReceiver) -> list[dict[str, Any]]:
    return [hook.event["payload"] for hook in receiver.hooks if hook.event["event"] == "room"]


def steps(payloads: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [(each["room"], each["event"], each["peers"]) for each in payloads]


@pytest.mark.parametrize(("publish", "watch"), DOORS)
async def test_a_room_lives_from_its_first_peer_until_it_was_empty(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publish: str, watch: str
) -> None:
    """Publisher and subscriber are peers of one room: started with the first, all left after the last, then stopped, once."""
    simulator = await start_simulator(receiver, hook_events=("room",), room_timeout=0.0)
    async with (
        simulator.publisher("cam", transport=publish, customerScope="acme"),
        simulator.subscriber("cam", transport=watch, customerScope="acme") as subscriber,
    ):
        await subscriber.wait_for_frames(2)
        await eventually(lambda: [hook.state for hook in receiver.hooks].count("peer_joined") == 2)
        assert steps(rooms(receiver)) == [("live", "room_started", 1)]
    await eventually(lambda: rooms(receiver)[-1]["event"] == "room_stopped")
    assert steps(rooms(receiver)) == [
        ("live", "room_started", 1), ("live", "room_all_left", 2), ("live", "room_stopped", 2)
    ]  # fmt: skip
    of_room = [hook.event for hook in receiver.hooks if hook.event["event"] == "room"]
    assert [event["seq"] for event in of_room] == [1, 2, 3]
    assert len({event["payload"]["session"] for event in of_room}) == 1
    assert of_room[-1]["payload"]["duration"] > 0
    assert {event["connection"]["customerScope"] for event in of_room} == {"acme"}
    sessions = {hook.event["payload"]["session"] for hook in receiver.hooks if hook.event["event"] != "room"}
    assert of_room[0]["payload"]["session"] not in sessions


async def test_who_comes_back_in_time_finds_the_room(
    receiver: WebhookReceiver, start_simulator: StartSimulator
) -> None:
    """Within the time-out a room goes on; other paths and other customers have rooms of their own; a stop ends them all."""
    simulator = await start_simulator(receiver, hook_events=("room",), room_timeout=600.0)
    for app, scope in (("live", "acme"), ("live", "acme"), ("live/room1", "acme"), ("live", "other")):
        async with simulator.publisher("cam", app=app, customerScope=scope):
            pass
    await eventually(lambda: [hook.state for hook in receiver.hooks].count("disconnected") == 4)
    await simulator.stop()
    told: dict[int, list[tuple[str, str, int]]] = {}
    for payload in rooms(receiver):
        told.setdefault(payload["session"], []).append((payload["room"], payload["event"], payload["peers"]))
    once = ["room_started", "room_all_left", "room_stopped"]
    assert [[event for _, event, _ in each] for each in told.values()] == [
        ["room_started", "room_all_left", "room_all_left", "room_stopped"], once, once
    ]  # fmt: skip
    assert [peers for _, _, peers in next(iter(told.values()))] == [1, 1, 2, 2]
    assert [each[0][0] for each in told.values()] == ["live", "live/room1", "live"]


async def test_a_reset_ends_rooms(receiver: WebhookReceiver, start_simulator: StartSimulator) -> None:
    """The next test finds no room of the one before: it stops at once, and the same path gets a new one."""
    simulator = await start_simulator(receiver, hook_events=("room",), room_timeout=600.0)
    async with aiohttp.ClientSession() as http:
        for _ in range(2):
            async with simulator.publisher("cam", customerScope="acme"):
                pass
            async with http.post(f"{simulator.rest_url}/api/v1/reset") as answer:
                assert (await answer.json())["complete"]
    assert [each["event"] for each in rooms(receiver)] == ["room_started", "room_all_left", "room_stopped"] * 2


async def test_a_killed_manager_ends_its_rooms(tmp_path: Path) -> None:
    """After ``kill -9`` the next start ends each room once, with the number that it had, and begins new ones."""
    seen: dict[str, dict[str, Any]] = {}

    async def answer(request: web.Request, _count: int) -> web.StreamResponse:
        event = json.loads(await request.read())
        if event["event"] == "room":
            seen.setdefault(event["uuid"], event)
        return web.Response(status=204)

    options = ("--hook-events", "room", "--room-timeout", "0", "--data-dir", str(tmp_path / "data"))
    async with receiver_of(answer) as back_end:
        for number in (1, 2):
            async with serving("--hook-uri", back_end.url, *options, cwd=tmp_path) as serve:
                publisher = Publisher(serve.url, stream="cam", params={"customerScope": "acme"})
                await publisher.publish()
                await eventually(
                    lambda number=number: [e["payload"]["event"] for e in seen.values()].count("room_started") == number  # type: ignore[misc]
                )
                serve.process.kill()
                await serve.process.wait()
                with contextlib.suppress(PublishError):
                    await publisher.unpublish()
        async with serving("--hook-uri", back_end.url, *options, cwd=tmp_path) as serve:
            await eventually(lambda: len(seen) == 6)
            assert await serve.stop() == 0
    lives: dict[int, list[str]] = {}
    for event in sorted(seen.values(), key=lambda each: each["seq"]):
        lives.setdefault(event["payload"]["session"], []).append(event["payload"]["event"])
    assert list(lives.values()) == [["room_started", "room_all_left", "room_stopped"]] * 2


@pytest.mark.parametrize(("publish", "watch"), DOORS)
async def test_a_route_is_told(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publish: str, watch: str
) -> None:
    """Between ``connecting`` and ``connected`` a session says that an origin is looked for, and which one it got."""
    simulator = await start_simulator(receiver, hook_events=("route",))
    async with (
        simulator.publisher("cam", transport=publish, customerScope="acme"),
        simulator.subscriber("cam", transport=watch, customerScope="acme") as subscriber,
    ):
        await subscriber.wait_for_frames(1)
    await eventually(lambda: [hook.state for hook in receiver.hooks].count("disconnected") == 2)
    (node,) = simulator.manager.registry.nodes
    assert (await receiver.expect("route_success", role="publisher", origin=node.address)).event["node"] == 1
    for number in {hook.event["payload"]["session"] for hook in receiver.hooks}:
        told = [hook.event for hook in receiver.hooks if hook.event["payload"]["session"] == number]
        assert [each["seq"] for each in told] == list(range(1, len(told) + 1))
        states = [each["payload"].get("state") or each["payload"]["event"] for each in told]
        assert states[:4] == ["connecting", "route_begin", "route_success", "connected"]
        begin, success = told[1]["payload"], told[2]["payload"]
        assert begin["remote_ip"] == "127.0.0.1"
        assert (success["origin"], success["error"]) == (node.address, None)
        assert success["after_ms"] >= 0


@pytest.mark.parametrize("transport", ["websocket", "whip"])
async def test_a_route_that_fails_is_told(
    receiver: WebhookReceiver, start_simulator: StartSimulator, transport: str
) -> None:
    """An origin that cannot be reached is error 2 after ``connecting``; where there is none, it is known before."""
    nobody = Address("127.0.0.1", free_port())
    simulator = await start_simulator(receiver, hook_events=("route",), local_origin=False, origin=(nobody,))
    with pytest.raises(StreamError):
        await simulator.publisher("cam", transport=transport, customerScope="acme").publish()
    with pytest.raises(StreamError):
        await simulator.publisher("cam", transport=transport, customerScope="acme", host="10.1.1.1").publish()
    await eventually(lambda: [hook.state for hook in receiver.hooks].count("connect_error") == 2)
    told: dict[int, list[tuple[str, int | None]]] = {}
    for hook in receiver.hooks:
        payload = hook.event["payload"]
        told.setdefault(payload["session"], []).append((hook.state, payload["error"]))
        if hook.state == "route_error" and len(told[payload["session"]]) == 3:
            assert payload["origin"] == str(nobody)
    assert sorted(told.values()) == [
        [("connecting", None), ("route_begin", None), ("route_error", 2), ("connect_error", 2)],
        [("route_begin", None), ("route_error", 2), ("connect_error", 3)],
    ]


@pytest.mark.parametrize(("publish", "watch"), DOORS)
async def test_media_is_told_while_it_flows(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publish: str, watch: str
) -> None:
    """Publisher and subscriber have ``stats`` after each interval, with counters that grow, between the start and the end."""
    simulator = await start_simulator(receiver, hook_events=("stats",), stats_interval=0.5)

    def told(role: str) -> list[dict[str, Any]]:
        return [
            hook.event["payload"]
            for hook in receiver.hooks
            if hook.state == "stats" and hook.event["connection"]["role"] == role
        ]

    async with (
        simulator.publisher("cam", transport=publish, customerScope="acme"),
        simulator.subscriber("cam", transport=watch, customerScope="acme"),
    ):
        await eventually(
            lambda: all(len({each["packets"] for each in told(role)}) > 2 for role in ("publisher", "subscriber")),
            30,
        )
    await eventually(lambda: [hook.state for hook in receiver.hooks].count("disconnected") == 2)
    for role in ("publisher", "subscriber"):
        payloads = told(role)
        counts = [each["bytes"] for each in payloads]
        assert counts == sorted(counts)
        assert max(each["bitrate"] for each in payloads) > 1000
        assert all(each["lost"] == 0 for each in payloads)
    for number in {hook.event["payload"]["session"] for hook in receiver.hooks}:
        events = [hook.event for hook in receiver.hooks if hook.event["payload"]["session"] == number]
        assert [each["seq"] for each in events] == list(range(1, len(events) + 1))
        assert events[-1]["payload"]["state"] == "disconnected"


async def test_a_receiver_that_asked_for_nothing_gets_nothing_new(
    receiver: WebhookReceiver, start_simulator: StartSimulator
) -> None:
    """Without ``--hook-events`` there is none of them."""
    simulator = await start_simulator(receiver, room_timeout=0.0, stats_interval=0.1)
    async with simulator.publisher("cam", customerScope="acme"):
        await eventually(lambda: [hook.state for hook in receiver.hooks].count("remote_track_started") == 2)
    await eventually(lambda: receiver.hooks[-1].state == "disconnected")
    assert {hook.event["event"] for hook in receiver.hooks} == {"session", "peer", "remote_track"}
