"""The hub: one event in, the same bytes out to everybody."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

import pytest
from smproxy.hooks.broadcast import HookBroadcast
from smproxy.hooks.dispatcher import Hub
from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.sink import DELIVERED, Outcome
from smproxy.signaling.clock import Clock
from smproxy.signaling.payloads import SessionPayload

from tests.helpers import eventually
from tests.hooks_support import QUICK, connection, encoded, hook_event


class Collector:
    """A sink that takes everything."""

    def __init__(self, name: str = "http://collector/", fails: str = "") -> None:
        self.name = name
        self.events: list[EncodedEvent] = []
        self.state: list[str] = []
        self._fails = fails

    async def start(self) -> None:
        if self._fails == "start":
            raise OSError("no room")
        self.state.append("started")

    async def deliver(self, event: EncodedEvent) -> Outcome:
        self.events.append(event)
        return DELIVERED

    async def stop(self) -> None:
        self.state.append("stopped")
        if self._fails == "stop":
            raise OSError("no way out")


class BrokenTap:
    """A tap with a bug."""

    def offer(self, event: EncodedEvent) -> None:
        raise RuntimeError("a bug in a tap")

    async def close(self) -> None:
        raise RuntimeError("another bug in a tap")


async def start(*sinks: Any, **options: Any) -> Hub:
    return await Hub.start(sinks, clock=Clock(), rng=random.Random(1), profile=QUICK, **options)


async def test_an_event_is_encoded_once_for_all() -> None:
    """All sinks and listeners get the very same bytes."""
    one, two, broadcast = Collector(), Collector(), HookBroadcast()
    hub = await start(one, two, taps=[broadcast])
    listener = broadcast.listen()
    hub.publish(hook_event(3, 1))
    await eventually(lambda: one.events and two.events)
    assert one.events[0] is two.events[0]
    assert one.events[0].body == encoded(3, 1).body
    assert (await anext(listener)).body is one.events[0].body
    assert [status.delivered for status in hub.status()] == [1, 1]
    listener.close()
    await hub.stop()
    assert one.state == two.state == ["started", "stopped"]


async def test_stop_ends_the_listeners() -> None:
    """Stopping the hub lets listeners read what was published, ends them, and waits until they have left."""
    broadcast = HookBroadcast()
    hub = await start(taps=[broadcast])
    listener = broadcast.listen()
    hub.publish(hook_event(3, 1))
    stopping = asyncio.ensure_future(hub.stop())
    assert [event async for event in listener] == [encoded(3, 1)]
    assert not stopping.done()
    listener.close()
    await stopping


async def test_publish_never_raises(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a broken tap nor an event that JSON cannot hold nor a hub that has stopped disturbs who publishes."""
    sink = Collector()
    hub = await start(sink, taps=[BrokenTap()])
    impossible = hook_event(1, 1)
    impossible = type(impossible)(
        impossible.uuid,
        1,
        1,
        "session",
        SessionPayload(session=1, state="connecting"),
        1,
        connection(meta={"x": object()}),
    )
    with caplog.at_level(logging.WARNING, "smproxy.hooks"):
        hub.publish(impossible)
        hub.publish(hook_event(1, 2))
        await eventually(lambda: sink.events)
    assert [event.seq for event in sink.events] == [2]
    assert "cannot be encoded" in caplog.text
    await hub.stop()
    await hub.stop()
    hub.publish(hook_event(1, 3))
    assert hub.status()[0].dropped == 1
    assert sink.state == ["started", "stopped"]
    assert "a hook tap did not close cleanly" in caplog.text


async def test_a_sink_that_does_not_start_undoes_the_others() -> None:
    """When one sink cannot start, its error is raised and those that had started are stopped."""
    good = Collector()
    with pytest.raises(OSError, match="no room"):
        await start(good, Collector(fails="start"))
    assert good.state == ["started", "stopped"]


async def test_a_sink_that_does_not_stop_keeps_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """An error while one sink stops is logged and the others are stopped all the same."""
    bad, good = Collector("http://bad/", fails="stop"), Collector()
    hub = await start(bad, good)
    await hub.stop()
    assert good.state == ["started", "stopped"]
    assert "http://bad/ did not stop cleanly" in caplog.text
