"""A standalone server on the main port: ``ws://HOST/live`` with no stream manager in front is the same server."""

from __future__ import annotations

import json
from collections.abc import Callable

import aiohttp
import pytest
from smproxy.embedded import EmbeddedSimulator
from smproxy.testing import Hooks, Publisher, Subscriber
from websockets.asyncio.client import connect

from tests.helpers import scaled

MakePublisher = Callable[..., Publisher]
MakeSubscriber = Callable[..., Subscriber]

T = scaled(10)
PARAMS = {"customerScope": "acme"}


def base(stream_manager: EmbeddedSimulator, path: str) -> str:
    """Return the URL of a path on the main port."""
    return stream_manager.url.removesuffix("/streammanager") + path


async def get(url: str) -> object:
    """Return the JSON of a GET."""
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert response.status == 200, await response.text()
        return await response.json()


@pytest.mark.parametrize(("path", "scope"), [("/live", "live"), ("/live/room1/", "live/room1"), ("/vod", "vod")])
async def test_publish_by_the_path(stream_manager: EmbeddedSimulator, hooks: Hooks, path: str, scope: str) -> None:
    """Its path is the scope; hooks, lists, sessions and transcripts are those of every other publisher."""
    async with Publisher(base(stream_manager, path), stream="cam", params=PARAMS | {"app": "elsewhere"}):
        peer = await hooks.expect("peer_joined", id="cam", customerScope="acme", app=scope, timeout=T)
        listed = await get(f"{stream_manager.rest_url}/streammanager/api/4.0/event/list")
        assert [(each["scope"], each["name"]) for each in listed] == [(scope, "cam")]  # type: ignore[attr-defined]
        api = f"{stream_manager.rest_url}/api/v1/sessions/{peer.session}"
        assert (await get(api))["scope"] == scope  # type: ignore[index]
        async with aiohttp.ClientSession() as http, http.get(f"{api}/frames") as frames:
            assert '"publish"' in await frames.text()
    await hooks.expect("disconnected", id="cam", reason=0, timeout=T)


async def test_watch_by_either_address(
    stream_manager: EmbeddedSimulator, publisher: MakePublisher, subscriber: MakeSubscriber, hooks: Hooks
) -> None:
    """What is published straight is watched through the manager, and the other way round."""
    straight = base(stream_manager, "/live/")
    async with Publisher(straight, stream="a", params=PARAMS), subscriber("a") as viewer:
        await viewer.wait_for_frames(3, timeout=T)
    async with publisher("b"), Subscriber(straight, stream="b", params=PARAMS) as viewer:
        await viewer.wait_for_frames(3, timeout=T)
    assert {hook.connection["role"] for hook in hooks.all()} == {"publisher", "subscriber"}


async def test_proxy_of_2_0(stream_manager: EmbeddedSimulator, hooks: Hooks) -> None:
    """The WebSocket proxy of Stream Manager 2.0 takes scope, name and role from its path."""
    publish = base(stream_manager, "/as/v1/proxy/ws/publish/live/cam")
    watch = base(stream_manager, "/as/v1/proxy/ws/subscribe/live/cam")
    asked = PARAMS | {"nodeGroup": "default"}
    async with Publisher(publish, stream="cam", params=asked):
        await hooks.expect("peer_joined", id="cam", app="live", timeout=T)
        async with Subscriber(watch, stream="cam", params=asked) as viewer:
            await viewer.wait_for_frames(3, timeout=T)


async def test_refusal_and_fault(stream_manager: EmbeddedSimulator, hooks: Hooks) -> None:
    """Refusals are the same, and so are faults that a connection asks for."""
    for query, code in (("customerScope=acme", 1008), ("id=s&customerScope=acme&simulate=connect-rejected", 1008)):
        async with connect(f"{base(stream_manager, '/live')}?{query}") as socket:
            assert json.loads(await socket.recv())["data"]["code"] == "NetConnection.Connect.Rejected"
            await socket.wait_closed()
            assert socket.close_code == code
    await hooks.expect("connect_error", error=3, id="s", timeout=T)


async def test_other_sockets_stay(stream_manager: EmbeddedSimulator) -> None:
    """The webhook socket of the same application is no signaling; a plain GET of an application is 404."""
    async with connect(f"{base(stream_manager, '/live/webhook')}?customerScope=acme") as socket:
        await socket.ping()
    async with aiohttp.ClientSession() as http:
        assert (await http.get(f"{stream_manager.rest_url}/live")).status == 404
        # on the same connection, which has served HTTP by now
        async with http.ws_connect(f"{stream_manager.rest_url}/live?id=s&customerScope=acme") as socket:
            assert (await socket.receive_json())["data"]["code"] == "NetConnection.Connect.Success"
        assert (await http.post(f"{stream_manager.rest_url}/api/v1/sessions")).status == 405
