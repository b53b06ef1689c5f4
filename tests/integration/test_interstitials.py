"""Interstitials frame by frame: subscribers see the inserted stream and then their own again, through every door."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from smproxy.simulator import Simulator
from smproxy.testing import Subscriber, WebhookReceiver, frame_code, stream_mark

from tests.helpers import eventually, scaled
from tests.integration.conftest import MakePublisher, StartSimulator, published


def watch(simulator: Simulator, stream: str, **options: Any) -> Subscriber:
    url = f"{simulator.rest_url}/live/whep/endpoint/{stream}" if "transport" in options else simulator.url
    return Subscriber(url, stream=stream, params={"customerScope": "acme"}, timeout=scaled(10), **options)


async def sees(watching: Subscriber, stream: str) -> None:
    """Wait for a picture of a stream."""
    mark = stream_mark(stream)
    await watching.wait_for_picture(lambda frame: (code := frame_code(frame)) is not None and code.mark == mark)


async def post(url: str, **body: Any) -> tuple[int, dict[str, Any]]:
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, json={"user": "any", "digest": "any", **body}) as response,
    ):
        return response.status, await response.json()


async def listed(simulator: Simulator) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as http, http.get(f"{simulator.rest_url}/api/v1/interstitials") as response:
        return (await response.json())["interstitials"]


def doors(simulator: Simulator) -> dict[str, str]:
    base, (node,) = simulator.rest_url, simulator.manager.registry.nodes
    target = quote(f"http://{node.address}:{node.port}/live/interstitial", safe="")
    return {
        "standalone": f"{base}/live/interstitial",
        "1.x": f"{base}/streammanager/api/4.0/admin/interstitial?accessToken=any",
        "2.0": f"{base}/as/v1/proxy/forward/?target={target}",
    }


async def test_websocket_and_whep_see_it_and_return(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """Who watches and who comes meanwhile sees the interstitial until it is resumed; hooks tell what each was shown."""
    simulator = await start_simulator(receiver)
    await asyncio.gather(*(published(simulator, publisher(simulator, name, pattern="counter")) for name in ("a", "b")))
    where = doors(simulator)
    async with watch(simulator, "a") as socket, watch(simulator, "a", transport="whep") as whep:
        await asyncio.gather(sees(socket, "a"), sees(whep, "a"))
        status, answer = await post(
            where["standalone"], inserts=[{"id": 3, "target": "live/a", "interstitial": "live/b"}]
        )
        assert (status, answer) == (200, {"inserted": [3]})
        await asyncio.gather(sees(socket, "b"), sees(whep, "b"))
        (shown,) = await listed(simulator)
        assert (shown["id"], shown["target"], shown["interstitial"]) == (3, "live/a", "live/b")
        assert (shown["state"], shown["startsAt"], shown["endsAt"]) == ("shown", None, None)
        async with watch(simulator, "a") as late:
            await sees(late, "b")
        assert await post(where["2.0"], resume="live/a") == (200, {"resumed": "live/a"})
        await asyncio.gather(sees(socket, "a"), sees(whep, "a"))
        assert await listed(simulator) == []

    def attached() -> list[list[str]]:
        told: dict[int, list[str]] = {}
        for payload in (event["payload"] for event in receiver.events):
            if payload.get("event") == "local_track_attached" and payload["track"] == 1:
                told.setdefault(payload["session"], []).append(payload["remote_peer"])
        return sorted(told.values())

    await eventually(lambda: attached() == [["a", "b", "a"], ["a", "b", "a"], ["b"]], 10)


@pytest.mark.parametrize("door", ["1.x", "2.0"])
async def test_timed(start_simulator: StartSimulator, publisher: MakePublisher, door: str) -> None:
    """An insert with a duration ends by itself, with video alone; no picture of the target is lost for good."""
    simulator = await start_simulator()
    await asyncio.gather(*(published(simulator, publisher(simulator, name, pattern="counter")) for name in ("a", "b")))
    async with watch(simulator, "a") as watching:
        await sees(watching, "a")
        timed = {"type": "WALL_CLOCK", "start": int(time.time() * 1000) + 200, "duration": 1500}
        insert = {"target": "live/a", "uri": "live/b", "isInterstitialAudio": False, "loop": True, **timed}
        status, _ = await post(doors(simulator)[door], inserts=[insert])
        assert status == 200
        await sees(watching, "b")
        await sees(watching, "a")
        await eventually(lambda: simulator.manager.registry.nodes[0].interstitials() == [])


async def test_ends_with_the_inserted_stream(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """When the inserted stream is unpublished its subscribers see their own again."""
    simulator = await start_simulator()
    inserted = publisher(simulator, "b", pattern="counter")
    await asyncio.gather(
        published(simulator, publisher(simulator, "a", pattern="counter")), published(simulator, inserted)
    )
    async with watch(simulator, "a") as watching:
        await sees(watching, "a")
        await post(doors(simulator)["standalone"], inserts=[{"target": "live/a", "interstitial": "live/b"}])
        await sees(watching, "b")
        await inserted.unpublish()
        await sees(watching, "a")
        assert not watching.unpublished.is_set()


async def test_refusals(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """What is not live, is itself, or is no request is refused with a sentence, and nothing is inserted."""
    simulator = await start_simulator()
    await published(simulator, publisher(simulator, "a"))
    url = doors(simulator)["standalone"]
    good = {"target": "live/a", "interstitial": "live/a"}
    for status, body in (
        (404, {"inserts": [{"target": "live/a", "interstitial": "live/none"}]}),
        (404, {"inserts": [{"target": "live/none", "interstitial": "live/a"}]}),
        (404, {"resume": "live/none"}),
        (400, {"inserts": [good]}),
        (400, {"inserts": [{"target": "a", "interstitial": "live/a"}]}),
        (400, {}),
    ):
        answered, error = await post(url, **body)
        assert answered == status, error
        assert error["errorMessage"].endswith(".")
    assert await listed(simulator) == []
    guarded = await start_simulator(admin_token="secret-token")
    assert (await post(doors(guarded)["standalone"], resume="live/a"))[0] == 401
