"""``GET /api/v1/feed``: what the dashboard follows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
from smproxy.manager.rest.client_limit import LIMIT
from smproxy.simulator import Simulator
from smproxy.testing import WebhookReceiver

from tests.helpers import eventually, scaled
from tests.integration.conftest import MakePublisher, StartSimulator, published

Event = tuple[str, Any]


class Follower:
    """A listener of the feed."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        #: All that came so far.
        self.events: list[Event] = []

    async def until(self, wanted: Callable[[str, Any], object], timeout: float = 10.0) -> Event:
        """Read until an event is wanted; return it."""
        async with asyncio.timeout(scaled(timeout)):
            while True:
                self.events.append(await self._next())
                if wanted(*self.events[-1]):
                    return self.events[-1]

    async def until_end(self, timeout: float = 10.0) -> None:
        """Read until the server ends it."""
        async with asyncio.timeout(scaled(timeout)):
            while await self._response.content.readline():
                pass

    async def _next(self) -> Event:
        name = ""
        while line := await self._response.content.readline():
            key, _, value = line.decode().rstrip("\n").partition(": ")
            if key == "event":
                name = value
            elif key == "data":
                return name, json.loads(value)
        raise AssertionError("the feed has ended")


@asynccontextmanager
async def follow(simulator: Simulator, **options: Any) -> AsyncIterator[Follower]:
    """Follow the feed."""
    async with (
        aiohttp.ClientSession(read_bufsize=2**22) as http,
        http.get(f"{simulator.rest_url}/api/v1/feed", **options) as response,
    ):
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        yield Follower(response)


async def test_life(start_simulator: StartSimulator, receiver: WebhookReceiver, publisher: MakePublisher) -> None:
    """A listener is told of a session's changes, its hooks, their deliveries, its numbers, and the origin's load."""
    simulator = await start_simulator(receiver)
    async with follow(simulator) as feed:
        name, hello = await feed.until(lambda *_: True)
        assert (name, set(hello)) == ("hello", {"version", "startedAt", "app", "now", "epoch", "hookFormats"})
        await feed.until(lambda name, _: name == "ready")
        stream = publisher(simulator, "cam-1")
        await published(simulator, stream)
        await feed.until(
            lambda name, data: name == "stats" and any(t["bytes"] for each in data["sessions"].values() for t in each)
        )
        await stream.close()
        await feed.until(lambda name, data: name == "sessions" and data[0]["state"] == "disconnected")
        await eventually(lambda: simulator.dispatcher.status()[0].backlog == 0)
        states = [hook["payload"].get("state") for name, hook in feed.events if name == "hook"]
        assert (states[0], states[1], states[-1]) == ("connecting", "connected", "disconnected")
        outcomes = [data for name, data in feed.events if name == "delivery"]
        assert {(each["state"], each["attempt"]["outcome"]) for each in outcomes} == {("delivered", "delivered")}
        loads = [data["origins"][0]["publishers"] for name, data in feed.events if name == "origins"]
        assert 1 in loads


async def test_past(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """Whoever comes later is told of every session first, in the order of their beginnings."""
    simulator = await start_simulator()
    for name in ("a", "b"):
        await published(simulator, publisher(simulator, name))
    async with follow(simulator) as feed:
        await feed.until(lambda name, _: name == "ready")
        assert [view["id"] for name, data in feed.events if name == "sessions" for view in data] == ["a", "b"]


async def test_token(start_simulator: StartSimulator) -> None:
    """With an admin token the feed needs it."""
    simulator = await start_simulator(admin_token="t")
    async with aiohttp.ClientSession() as http, http.get(f"{simulator.rest_url}/api/v1/feed") as response:
        assert response.status == 401
    async with follow(simulator, headers={"Authorization": "Bearer t"}) as feed:
        await feed.until(lambda name, _: name == "ready")


async def test_nothing_is_gathered_for_nobody(start_simulator: StartSimulator) -> None:
    """The last listener that leaves takes the watchers and the clock with it."""
    simulator = await start_simulator()
    feed, listeners = simulator.manager.dashboard_events, simulator.dispatcher._listeners
    async with follow(simulator) as one, follow(simulator) as other:
        await one.until(lambda name, _: name == "ready")
        await other.until(lambda name, _: name == "ready")
        assert feed.listeners == 2
    await eventually(lambda: feed.listeners == 0, 20, "a listener that has left is still there")
    assert simulator.dispatcher._listeners == listeners
    assert not feed._timers


async def test_stop(start_simulator: StartSimulator) -> None:
    """When the simulator stops, its listeners see an orderly end."""
    simulator = await start_simulator()
    async with follow(simulator) as feed:
        await feed.until(lambda name, _: name == "ready")
        stopping = asyncio.create_task(simulator.stop())
        await feed.until_end()
        await stopping


async def test_slow_listener_is_dropped(start_simulator: StartSimulator) -> None:
    """Who is too far behind is dropped, and comes back for the whole picture; others go on."""
    simulator = await start_simulator()
    feed = simulator.manager.dashboard_events
    feed._frames._limit = 10_000
    async with aiohttp.ClientSession() as http:
        with feed.listen() as slow:
            with feed.listen() as quick:
                while not slow.dropped:
                    assert not quick.dropped
                    event = {"event": "connected", "params": {"id": "cam-1"}}
                    async with http.post(f"{simulator.rest_url}/api/v1/hooks/trigger", json=event) as response:
                        assert response.status == 200
                    assert await quick.batch(scaled(5))
            assert await slow.batch(1) is None
            assert feed.listeners == 1
        assert feed.listeners == 0


async def test_listener_that_never_reads(start_simulator: StartSimulator) -> None:
    """Who asks for the feed and reads nothing of it is dropped with its connection, which would else be there for ever."""
    simulator = await start_simulator()
    feed = simulator.manager.dashboard_events
    feed._frames._limit = 1_000_000
    _, writer = await asyncio.open_connection("127.0.0.1", simulator.port, limit=1000)
    writer.write(b"GET /api/v1/feed HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await eventually(lambda: feed.listeners == 1)
    assert connections() == 1

    def dropped() -> bool:
        feed._frames.send(b"x" * 500_000)  # what the buffers of two sockets hold, and then some
        return feed.listeners == 0

    await eventually(dropped)
    await eventually(lambda: connections() == 0, 10, "the connection is still there")
    writer.close()


def connections() -> int:
    """Count the connections that the simulator serves."""
    return sum("RequestHandler.start" in repr(task.get_coro()) for task in asyncio.all_tasks())


async def test_too_many_listeners(start_simulator: StartSimulator) -> None:
    """Above the limit a listener is turned away in words."""
    simulator = await start_simulator()
    async with AsyncExitStack() as stack, aiohttp.ClientSession() as http:
        for _ in range(LIMIT):
            await stack.enter_async_context(follow(simulator))
        async with http.get(f"{simulator.rest_url}/api/v1/feed") as response:
            assert response.status == 503
            assert "100 dashboards" in (await response.json())["errorMessage"]
