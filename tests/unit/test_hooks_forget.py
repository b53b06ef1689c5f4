"""Forgetting hooks, for the next test: nothing of before is sent, kept or numbered again."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from smproxy.hooks.dispatcher import Hub
from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.journal import FILE_NAME, Journal, Query
from smproxy.hooks.sink import Dead, Delivered, Outcome, Retry
from smproxy.signaling.clock import Clock

from tests.helpers import eventually
from tests.hooks_support import QUICK, hook_event


class Receiver:
    """A sink that answers as told, and notes what it was given."""

    name = "test"

    def __init__(self, answer: Outcome) -> None:
        self.answer = answer
        self.taken: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def start(self) -> None:
        """Nothing to do."""

    async def deliver(self, event: EncodedEvent) -> Outcome:
        self.taken.append(event.uuid)
        await self.gate.wait()
        return self.answer

    async def stop(self) -> None:
        """Nothing to do."""


async def start(receiver: Receiver, path: Path | None) -> tuple[Hub, Journal]:
    journal = await Journal.start(path, clock=Clock())
    hub = await Hub.start([receiver], clock=Clock(), rng=random.Random(1), profile=QUICK, journal=journal)
    return hub, journal


async def test_what_waits_is_not_sent_any_more(tmp_path: Path) -> None:
    """Events that wait for their next attempt, an attempt under way and dead letters are forgotten; new events are sent."""
    receiver = Receiver(Retry(None, "busy"))
    hub, journal = await start(receiver, tmp_path / FILE_NAME)
    for session in (1, 2, 3):
        hub.publish(hook_event(session))
    await eventually(lambda: len(receiver.taken) >= 3)
    receiver.gate.clear()  # the next attempts hang
    await eventually(lambda: len(receiver.taken) >= 4)
    assert not await hub.drained(0.01)
    events, undelivered = await hub.forget()
    assert (events, undelivered) == (3, 3)
    assert await journal.find(Query()) == []
    receiver.gate.set()
    receiver.answer = Delivered()
    assert await hub.drained(5)
    before = len(receiver.taken)
    hub.publish(hook_event(4))
    assert await hub.drained(5)
    (kept,) = await journal.find(Query())
    assert receiver.taken[before:] == [kept.event.uuid]
    await hub.stop(0)
    await journal.stop()


async def test_dead_letters_are_forgotten(tmp_path: Path) -> None:
    """After forgetting, there are no dead letters to look at or to send again."""
    receiver = Receiver(Dead("no"))
    hub, journal = await start(receiver, tmp_path / FILE_NAME)
    hub.publish(hook_event(1))
    assert await hub.drained(5)
    assert len(hub.dead_letters()) == 1
    assert await hub.forget() == (1, 0)
    assert hub.dead_letters() == []
    assert await hub.resend_dead() == 0
    await hub.stop(0)
    await journal.stop()


async def test_a_restart_after_forgetting(tmp_path: Path) -> None:
    """What is published after forgetting is delivered after a restart, too: ids are not given twice."""
    receiver = Receiver(Delivered())
    hub, journal = await start(receiver, tmp_path / FILE_NAME)
    for session in (1, 2, 3):
        hub.publish(hook_event(session))
    assert await hub.drained(5)
    await hub.forget()
    await hub.stop(0)
    await journal.stop()
    receiver = Receiver(Delivered())
    hub, journal = await start(receiver, tmp_path / FILE_NAME)
    hub.publish(hook_event(4))
    assert await hub.drained(5)
    (stored,) = await journal.find(Query())
    assert stored.id > 3
    assert receiver.taken == [stored.event.uuid]
    await hub.stop(0)
    await journal.stop()
