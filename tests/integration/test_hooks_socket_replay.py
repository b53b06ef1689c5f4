"""Replay and filters on the webhook socket, over real connections."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from smproxy.hooks.broadcast import HookBroadcast
from smproxy.signaling.clock import Clock
from smproxy.signaling.payloads import PeerPayload, WebSocketPayload
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.helpers import eventually, scaled
from tests.hooks_support import connection, hook_event
from tests.integration.hook_api import HookApi, hook_api
from tests.integration.test_hooks_socket import serving


async def receive(client: ClientConnection, count: int) -> list[Any]:
    async with asyncio.timeout(scaled(10)):
        return [json.loads(await client.recv()) for _ in range(count)]


async def closed(url: str) -> tuple[int, str]:
    """Connect and return the code and the reason of the close."""
    async with connect(url) as client:
        with pytest.raises(ConnectionClosed):
            await receive(client, 1)
        assert client.close_code is not None
        return client.close_code, client.close_reason or ""


def publish(api: HookApi, *seqs: int, session: int = 7, scope: str = "acme") -> list[str]:
    events = [hook_event(session, seq, scope) for seq in seqs]
    for event in events:
        api.dispatcher.publish(event)
    return [event.uuid for event in events]


@pytest.mark.parametrize("on_disk", [True, False])
async def test_since_a_uuid(tmp_path: Path, on_disk: bool) -> None:
    """Events after the uuid come first, then those that happen, each once, as long as the listener stays."""
    async with hook_api(tmp_path if on_disk else None) as api:
        uuids = publish(api, *range(1, 2001))
        async with connect(f"{api.socket_url}?since={uuids[9]}", max_queue=None) as client:
            uuids += publish(api, *range(2001, 2101))
            assert [event["uuid"] for event in await receive(client, 2090)] == uuids[10:]
            uuids += publish(api, 2101)
            assert [event["uuid"] for event in await receive(client, 1)] == uuids[-1:]
        async with connect(f"{api.socket_url}?since={uuids[-1]}") as client:
            await eventually(lambda: api.broadcast.listeners == 1)
            (uuid,) = publish(api, 2102)
            assert [event["uuid"] for event in await receive(client, 1)] == [uuid]


async def test_since_a_time_with_filters(tmp_path: Path) -> None:
    """``since`` as Unix milliseconds replays from that time on, and filters hold for the past and for the present."""
    async with hook_api(tmp_path) as api:
        api.dispatcher.publish(peer := _peer(1))
        publish(api, 2)
        publish(api, 1, session=8, scope="other")
        await api.journal.flush()  # listeners are told of what is written while they listen, and this is to be the past
        async with (
            connect(f"{api.socket_url}?since=0") as everything,
            connect(f"{api.socket_url}?since=0&customerScope=other") as scoped,
            connect(f"{api.socket_url}?since=0&event=peer") as kind,
            connect(f"{api.socket_url}?since=0&event=peer_joined,local_track") as state,
            connect(f"{api.socket_url}?since=9999999999999&event=peer") as later,
        ):
            assert [event["seq"] for event in await receive(everything, 3)] == [1, 2, 1]
            await eventually(lambda: api.broadcast.listeners == 5)
            await api.journal.flush()
            api.dispatcher.publish(_websocket())
            publish(api, 2, session=8, scope="other")
            api.dispatcher.publish(_peer(3))
            assert [event["seq"] for event in await receive(everything, 2)] == [2, 3]
            assert [event["connection"]["customerScope"] for event in await receive(scoped, 2)] == ["other"] * 2
            for client in (kind, state):
                assert [event["seq"] for event in await receive(client, 2)] == [1, 3]
            assert [event["seq"] for event in await receive(later, 1)] == [3]
        assert peer.uuid


async def test_refusals(tmp_path: Path) -> None:
    """A ``since`` that the journal does not know and a name that does not exist close with 1008 and say why."""
    async with hook_api(tmp_path) as api:
        for query, part in (
            ("since=01a0c450-6c7b-74fc-9ca0-31087ea7cdc5", "does not have this event"),
            ("since=yesterday", "uuid of an event or Unix time"),
            ("since=", "no value"),
            ("customerScope=", "no value"),
            ("scope=acme", "customerScope"),
            ("event=peer&event=session", "twice"),
            ("event=session,meeting", "'meeting'"),
            (f"event={'x' * 500}", "event="),
        ):
            code, reason = await closed(f"{api.socket_url}?{query}")
            assert code == 1008
            assert part in reason
        await eventually(lambda: api.broadcast.listeners == 0)
    async with serving(HookBroadcast()) as (url, _):
        assert await closed(url + "?since=0") == (1008, "since: there is no journal to replay from")


async def test_a_broken_journal(tmp_path: Path) -> None:
    """When the journal cannot be read, the socket is closed with 1011."""
    async with hook_api(tmp_path) as api:
        await api.dispatcher.stop(0)
        await api.journal.stop()
        assert await closed(f"{api.socket_url}?since=0") == (1011, "the journal cannot be read")


async def test_a_slow_reader_of_the_past_is_waited_for(tmp_path: Path) -> None:
    """In a replay the listener sets the pace: one that is slow gets all of it, however far it is behind."""
    async with hook_api(tmp_path) as api:
        count, scope = 3000, "s" * 5_000
        publish(api, *range(1, count + 1), scope=scope)
        async with connect(f"{api.socket_url}?since=0", max_queue=1) as client:
            await asyncio.wait((asyncio.get_running_loop().create_future(),), timeout=0.3)
            assert [event["seq"] for event in await receive(client, count)] == list(range(1, count + 1))
        assert api.broadcast.dropped == 0


async def test_close_during_a_replay(tmp_path: Path) -> None:
    """A listener that does not read its replay does not hold up the stop."""
    async with hook_api(tmp_path) as api:
        publish(api, *range(1, 2001), scope="s" * 10_000)
        client = await connect(f"{api.socket_url}?since=0", max_queue=1)
        await eventually(lambda: api.broadcast.listeners == 1)
        async with asyncio.timeout(scaled(10)):
            await api.broadcast.close(5)
        assert api.broadcast.listeners == 0
        client.transport.abort()
        await client.wait_closed()


def _peer(seq: int) -> Any:
    payload = PeerPayload(session=7, peer="cam-1", room="live", event="peer_joined")
    event = hook_event(7, 1000 + seq)
    return type(event)(event.uuid, 1, int(Clock().wall_ms()), "peer", payload, seq, connection())


def _websocket() -> Any:
    payload = WebSocketPayload(session=7, event="websocket_connected")
    event = hook_event(7, 999)
    return type(event)(event.uuid, 1, event.ts, "websocket", payload, 1, connection())
