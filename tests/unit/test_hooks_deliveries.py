"""Sinks that are added and removed while events flow."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from smproxy.hooks import deliveries
from smproxy.hooks.deliveries import SinkError
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.event import EncodedEvent, Stored
from smproxy.hooks.journal import FILE_NAME, Journal
from smproxy.hooks.sink import Outcome, Retry
from smproxy.signaling.clock import Clock

from tests.helpers import eventually
from tests.hooks_support import QUICK, Collector, hook_event


class Refusing(Collector):
    """A sink that takes nothing."""

    async def deliver(self, event: EncodedEvent) -> Outcome:
        self.events.append(event)
        return Retry(None, "no")


@asynccontextmanager
async def dispatching(*sinks: Any, path: Path | None = None, durable: bool = True) -> AsyncIterator[HookDispatcher]:
    """A dispatcher with a journal, unless it is not ``durable``."""
    clock = Clock()
    journal = await Journal.start(path, clock=clock) if durable else None
    dispatcher = await HookDispatcher.start(sinks, clock=clock, rng=random.Random(1), profile=QUICK, journal=journal)
    yield dispatcher
    await dispatcher.stop(1.0)
    if journal is not None:
        await journal.stop()


def sequences(sink: Collector) -> list[int]:
    return [event.seq for event in sink.events]


async def test_an_added_sink_gets_what_comes_from_then_on() -> None:
    """Each event from the adding on is delivered once, none from before, and the other sinks miss none."""
    first, added = Collector("http://first/"), Collector("http://added/")
    async with dispatching(first) as dispatcher:
        for number in range(1, 51):
            dispatcher.publish(hook_event(7, number))
        adding = asyncio.ensure_future(dispatcher.add_sink(added))
        await asyncio.sleep(0)
        for number in range(51, 101):
            dispatcher.publish(hook_event(7, number))
            if number % 10 == 0:
                await asyncio.sleep(0)
        status = await adding
        assert status.name == "http://added/"
        for number in range(101, 151):
            dispatcher.publish(hook_event(7, number))
        assert await dispatcher.drained(10)
        assert sequences(first) == list(range(1, 151))
        got = sequences(added)
        assert got == list(range(got[0], 151))
        assert got[0] <= 101, "nothing that came after it was added is missing"
        assert [each.backlog for each in dispatcher.status()] == [0, 0]
        assert dispatcher.added_sinks == {"http://added/"}


async def test_a_quiet_start() -> None:
    """A sink that is added with nothing to do is level: a drain ends, and the next event comes by itself."""
    added = Collector("http://added/")
    async with dispatching() as dispatcher:
        dispatcher.publish(hook_event(7, 1))
        assert dispatcher.journal is not None
        await dispatcher.journal.flush()
        await dispatcher.add_sink(added)
        assert await dispatcher.drained(10)
        dispatcher.publish(hook_event(7, 2))
        await eventually(lambda: sequences(added) == [2])


@pytest.mark.parametrize("durable", [True, False])
async def test_what_a_fault_delivers_later(durable: bool) -> None:
    """An event that is kept back and given later is for the sinks that there were when it was published, not for newer ones."""
    first, added = Collector("http://first/"), Collector("http://added/")
    async with dispatching(first, durable=durable) as dispatcher:
        kept: list[Stored] = []

        def keep(stored: Stored) -> int:
            kept.append(stored)
            return 0

        undo = dispatcher.intercept(keep)
        dispatcher.publish(hook_event(7, 1))
        await eventually(lambda: kept)
        undo()
        await dispatcher.add_sink(added)
        dispatcher.redeliver(kept[0])
        dispatcher.publish(hook_event(7, 2))
        assert await dispatcher.drained(10)
        assert (sequences(first), sequences(added)) == ([1, 2], [2])
        if dispatcher.journal is not None:
            known = await dispatcher.journal.get(kept[0].event.uuid)
            assert known is not None
            assert [record.sink for record in known[1]] == ["http://first/"]


async def test_a_removed_sink() -> None:
    """A removed sink is stopped and gets nothing more; what it had yet to get stays in the journal; it may come again."""
    refusing, kept = Refusing("http://refusing/"), Collector("http://kept/")
    async with dispatching(refusing, kept) as dispatcher:
        dispatcher.publish(hook_event(7, 1))
        await eventually(lambda: refusing.events and kept.events)
        assert await dispatcher.remove_sink("http://refusing/") == 1
        assert refusing.state == ["started", "stopped"]
        event = dispatcher.publish(hook_event(7, 2))
        assert await dispatcher.drained(10)
        assert sequences(kept) == [1, 2]
        assert dispatcher.journal is not None
        assert event is not None
        known = await dispatcher.journal.get(event.uuid)
        assert known is not None
        assert [record.sink for record in known[1]] == ["http://kept/"], "the event was never for the removed sink"
        before = await dispatcher.journal.get(kept.events[0].uuid)
        assert before is not None
        assert {record.sink: record.state for record in before[1]} == {
            "http://refusing/": "pending", "http://kept/": "delivered",
        }  # fmt: skip
        with pytest.raises(KeyError):
            await dispatcher.remove_sink("http://refusing/")
        again = Collector("http://refusing/")
        await dispatcher.add_sink(again)
        dispatcher.publish(hook_event(7, 3))
        await eventually(lambda: sequences(again) == [3])


async def test_what_cannot_be_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second sink of a name, one too many, and one that cannot start are refused, and leave no trace."""
    monkeypatch.setattr(deliveries, "MAX_SINKS", 2)
    first = Collector("http://first/")
    async with dispatching(first) as dispatcher:
        with pytest.raises(SinkError, match="there is a sink http://first/ already"):
            await dispatcher.add_sink(Collector("http://first/"))
        with pytest.raises(OSError, match="no room"):
            await dispatcher.add_sink(Collector("http://broken/", fails="start"))
        assert [status.name for status in dispatcher.status()] == ["http://first/"]
        await dispatcher.add_sink(Collector("http://second/"))
        with pytest.raises(SinkError, match="there are 2 sinks, which is the most"):
            await dispatcher.add_sink(Collector("http://third/"))


async def test_added_sinks_do_not_outlast_a_restart(tmp_path: Path) -> None:
    """After a restart there are the sinks of the start only; one that is given then as before gets what comes then."""
    added = Collector("http://added/")
    async with dispatching(path=tmp_path / FILE_NAME) as dispatcher:
        await dispatcher.add_sink(added)
        dispatcher.publish(hook_event(7, 1))
        await eventually(lambda: sequences(added) == [1])
    async with dispatching(path=tmp_path / FILE_NAME) as dispatcher:
        assert dispatcher.status() == []
        dispatcher.publish(hook_event(7, 2))
        again = Collector("http://added/")
        await dispatcher.add_sink(again)
        dispatcher.publish(hook_event(7, 3))
        await eventually(lambda: sequences(again) == [3])
