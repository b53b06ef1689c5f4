"""Forgetting hooks, for the next test: nothing of before is sent, kept or numbered again."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.journal import FILE_NAME, Journal, JournalQuery
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

    takes_internal = False

    async def start(self) -> None:
        """Nothing to do."""

    async def deliver(self, event: EncodedEvent) -> Outcome:
        self.taken.append(event.uuid)
        await self.gate.wait()
        return self.answer

    async def stop(self) -> None:
        """Nothing to do."""


async def start(receiver: Receiver, path: Path | None) -> tuple[HookDispatcher, Journal]:
    journal = await Journal.start(path, clock=Clock())
    dispatcher = await HookDispatcher.start(
        [receiver], clock=Clock(), rng=random.Random(1), profile=QUICK, journal=journal
    )
    return dispatcher, journal


async def test_what_waits_is_not_sent_any_more(tmp_path: Path) -> None:
    """Events that wait for their next attempt, an attempt under way and dead letters are forgotten; new events are sent."""
    receiver = Receiver(Retry(None, "busy"))
    dispatcher, journal = await start(receiver, tmp_path / FILE_NAME)
    for session in (1, 2, 3):
        dispatcher.publish(hook_event(session))
    await eventually(lambda: len(receiver.taken) >= 3)
    receiver.gate.clear()  # the next attempts hang
    await eventually(lambda: len(receiver.taken) >= 4)
    assert not await dispatcher.drained(0.01)
    events, undelivered = await dispatcher.forget()
    assert (events, undelivered) == (3, 3)
    assert await journal.find(JournalQuery()) == []
    receiver.gate.set()
    receiver.answer = Delivered()
    assert await dispatcher.drained(5)
    before = len(receiver.taken)
    dispatcher.publish(hook_event(4))
    assert await dispatcher.drained(5)
    (kept,) = await journal.find(JournalQuery())
    assert receiver.taken[before:] == [kept.event.uuid]
    await dispatcher.stop(0)
    await journal.stop()


async def test_dead_letters_are_forgotten(tmp_path: Path) -> None:
    """After forgetting, there are no dead letters to look at or to send again."""
    receiver = Receiver(Dead("no"))
    dispatcher, journal = await start(receiver, tmp_path / FILE_NAME)
    dispatcher.publish(hook_event(1))
    assert await dispatcher.drained(5)
    assert len(dispatcher.dead_letters()) == 1
    assert await dispatcher.forget() == (1, 0)
    assert dispatcher.dead_letters() == []
    assert await dispatcher.resend_dead() == 0
    await dispatcher.stop(0)
    await journal.stop()


async def test_a_restart_after_forgetting(tmp_path: Path) -> None:
    """What is published after forgetting is delivered after a restart, too: ids are not given twice."""
    receiver = Receiver(Delivered())
    dispatcher, journal = await start(receiver, tmp_path / FILE_NAME)
    for session in (1, 2, 3):
        dispatcher.publish(hook_event(session))
    assert await dispatcher.drained(5)
    await dispatcher.forget()
    await dispatcher.stop(0)
    await journal.stop()
    receiver = Receiver(Delivered())
    dispatcher, journal = await start(receiver, tmp_path / FILE_NAME)
    dispatcher.publish(hook_event(4))
    assert await dispatcher.drained(5)
    (stored,) = await journal.find(JournalQuery())
    assert stored.id > 3
    assert receiver.taken == [stored.event.uuid]
    await dispatcher.stop(0)
    await journal.stop()
