"""The dispatcher: one event in, the same bytes out to everybody."""

from __future__ import annotations

import asyncio
import logging
import random
from pathlib import Path
from typing import Any

import pytest
from smproxy.hooks.broadcast import HookBroadcast
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.event import EncodedEvent, Stored
from smproxy.hooks.journal import Journal, JournalQuery
from smproxy.hooks.sink import DELIVERED, Dead, Outcome
from smproxy.signaling.clock import Clock
from smproxy.signaling.payloads import SessionPayload, WebSocketPayload

from tests.helpers import eventually
from tests.hooks_support import QUICK, Collector, connection, encoded, hook_event


class BrokenListener:
    """A listener with a bug."""

    def offer(self, event: EncodedEvent) -> None:
        raise RuntimeError("a bug in a listener")

    async def close(self) -> None:
        raise RuntimeError("another bug in a listener")


async def start(*sinks: Any, **options: Any) -> HookDispatcher:
    return await HookDispatcher.start(sinks, clock=Clock(), rng=random.Random(1), profile=QUICK, **options)


async def test_an_event_is_encoded_once_for_all() -> None:
    """All sinks and listeners get the very same bytes."""
    one, two, broadcast = Collector(), Collector(), HookBroadcast()
    dispatcher = await start(one, two, listeners=[broadcast])
    listener = broadcast.listen()
    dispatcher.publish(hook_event(3, 1))
    await eventually(lambda: one.events and two.events)
    assert one.events[0] is two.events[0]
    assert one.events[0].body == encoded(3, 1).body
    assert (await anext(listener)).body is one.events[0].body
    assert [status.delivered for status in dispatcher.status()] == [1, 1]
    listener.close()
    await dispatcher.stop()
    assert one.state == two.state == ["started", "stopped"]


async def test_stop_ends_the_listeners() -> None:
    """Stopping the dispatcher lets listeners read what was published, ends them, and waits until they have left."""
    broadcast = HookBroadcast()
    dispatcher = await start(listeners=[broadcast])
    listener = broadcast.listen()
    dispatcher.publish(hook_event(3, 1))
    stopping = asyncio.ensure_future(dispatcher.stop())
    assert [event async for event in listener] == [encoded(3, 1)]
    assert not stopping.done()
    listener.close()
    await stopping


async def test_publish_never_raises(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a broken listener nor an event that JSON cannot hold nor a dispatcher that has stopped disturbs who publishes."""
    sink = Collector()
    dispatcher = await start(sink, listeners=[BrokenListener()])
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
        dispatcher.publish(impossible)
        dispatcher.publish(hook_event(1, 2))
        await eventually(lambda: sink.events)
    assert [event.seq for event in sink.events] == [2]
    assert "cannot be encoded" in caplog.text
    await dispatcher.stop()
    await dispatcher.stop()
    dispatcher.publish(hook_event(1, 3))
    assert dispatcher.status()[0].dropped == 1
    assert sink.state == ["started", "stopped"]
    assert "a hook listener did not close cleanly" in caplog.text


async def test_a_sink_that_does_not_start_undoes_the_others() -> None:
    """When one sink cannot start, its error is raised and those that had started are stopped."""
    good = Collector()
    with pytest.raises(OSError, match="no room"):
        await start(good, Collector(fails="start"))
    assert good.state == ["started", "stopped"]


async def test_a_sink_that_does_not_stop_keeps_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """An error while one sink stops is logged and the others are stopped all the same."""
    bad, good = Collector("http://bad/", fails="stop"), Collector()
    dispatcher = await start(bad, good)
    await dispatcher.stop()
    assert good.state == ["started", "stopped"]
    assert "http://bad/ did not stop cleanly" in caplog.text


async def published(dispatcher: HookDispatcher, journal: Journal) -> list[str]:
    """Publish a session's socket and its session event; return the states that the journal holds."""
    socket = WebSocketPayload(session=3, event="websocket_connected")
    dispatcher.emit(socket, 1, connection())
    dispatcher.emit(SessionPayload(session=3, state="connecting"), 1, connection())
    return [stored.event.state for stored in await journal.find(JournalQuery(internal=True))]


async def test_internal_events_cost_nothing_without_a_sink_that_takes_them(tmp_path: Path) -> None:
    """What only other formats have is neither journalled nor sent unless a sink has such a format; one that comes later gets
    only what happens from then on."""
    journal = await Journal.start(tmp_path / "hooks.db", clock=Clock())
    envelope = Collector("http://envelope/")
    dispatcher = await start(envelope, journal=journal)
    assert await published(dispatcher, journal) == ["connecting"]
    await dispatcher.stop()
    assert [event.state for event in envelope.events] == ["connecting"]
    await journal.stop()
    journal = await Journal.start(tmp_path / "hooks.db", clock=Clock())
    red5 = Collector("http://red5/", takes_internal=True)
    dispatcher = await start(envelope, red5, journal=journal)
    assert await published(dispatcher, journal) == ["connecting", "websocket_connected", "connecting"]
    await dispatcher.stop()
    assert [event.state for event in red5.events] == ["websocket_connected", "connecting"]
    await journal.stop()


@pytest.mark.parametrize("durable", [True, False])
async def test_an_interception_decides_how_often_an_event_goes_out(durable: bool) -> None:
    """An event is withheld from listeners and sinks, or goes to both more than once; one that was withheld can follow later,
    and the journal knows it as skipped until it was delivered."""
    journal = await Journal.start(None, clock=Clock()) if durable else None
    sink, heard = Collector(), Heard()
    dispatcher = await start(sink, listeners=[heard], journal=journal)
    withheld: list[Stored] = []

    def interception(stored: Stored) -> int:
        if stored.event.seq == 2:
            withheld.append(stored)
        return {1: 1, 2: 0}.get(stored.event.seq, 2)

    undo = dispatcher.intercept(interception)
    for seq in (1, 2, 3):
        dispatcher.publish(hook_event(3, seq))
    await eventually(lambda: len(sink.events) == 3)
    assert [event.seq for event in sink.events] == [event.seq for event in heard.events] == [1, 3, 3]
    assert dispatcher.status()[0].skipped == 1
    (one,) = withheld
    if journal is not None:
        assert await states(journal, one) == ["skipped"]
    dispatcher.redeliver(one)
    await eventually(lambda: len(sink.events) == 4)
    assert [event.seq for event in sink.events] == [event.seq for event in heard.events] == [1, 3, 3, 2]
    if journal is not None:
        assert await states(journal, one) == ["delivered"]
    undo()
    dispatcher.publish(hook_event(3, 4))
    await eventually(lambda: len(sink.events) == 5)
    await dispatcher.stop()
    if journal is not None:
        await journal.stop()


async def states(journal: Journal, stored: Stored) -> list[str]:
    known = await journal.get(stored.event.uuid)
    assert known is not None
    return [delivery.state for delivery in known[1]]


class Heard:
    """A listener that keeps what it gets."""

    def __init__(self) -> None:
        self.events: list[EncodedEvent] = []

    def offer(self, event: EncodedEvent) -> None:
        self.events.append(event)

    async def close(self) -> None:
        pass


async def test_who_follows_is_called_until_it_leaves() -> None:
    """Callbacks see each event when it is published and each attempt to deliver it, side by side, until they are undone."""
    sink, published, updates = Collector(), list[str](), list[str]()
    dispatcher = await start(sink)
    undo = [
        dispatcher.on_published(lambda event, context: published.append(event.uuid)),
        dispatcher.on_update(lambda update: updates.append(update.state.name)),
        dispatcher.on_update(lambda update: updates.append(update.event.app or "")),
    ]
    event = hook_event(3, 1)
    dispatcher.publish(event)
    assert published == [event.uuid]
    await eventually(lambda: updates == ["DELIVERED", "live"])
    for each in undo:
        each()
    dispatcher.publish(hook_event(3, 2))
    await eventually(lambda: len(sink.events) == 2)
    assert len(published) == 1
    await dispatcher.stop()
    assert len(updates) == 2


async def test_a_receiver_that_refuses_everything_is_failing() -> None:
    """A sink is failing from the first event that it gives up to the next that it delivers, then what its queue says."""
    outcomes = [Dead("HTTP 422"), DELIVERED]

    class Picky(Collector):
        async def deliver(self, event: EncodedEvent) -> Outcome:
            await super().deliver(event)
            return outcomes.pop(0)

    sink = Picky()
    dispatcher = await start(sink)
    assert dispatcher.status()[0].state == "idle"
    dispatcher.publish(hook_event(3, 1))
    assert dispatcher.status()[0].state == "delivering"
    await eventually(lambda: dispatcher.status()[0].state == "failing")
    dispatcher.publish(hook_event(3, 2))
    await eventually(lambda: dispatcher.status()[0].state == "idle")
    await dispatcher.stop()
