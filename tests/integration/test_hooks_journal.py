"""HookDispatcher, journal and webhook sinks together: real files, real sockets."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from smproxy.hooks.delivery import Limits
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.journal import Journal, JournalError, JournalQuery, JournalReader
from smproxy.hooks.sinks.webhook import WebhookSink
from smproxy.signaling.clock import Clock
from yarl import URL

from tests.helpers import eventually
from tests.hooks_support import QUICK, hook_event, receiver, statuses


@asynccontextmanager
async def running(
    path: Path | None, *urls: str, flush: float = 0.0, **options: object
) -> AsyncIterator[HookDispatcher]:
    """Run a dispatcher with a journal and webhook sinks."""
    journal = await Journal.start(path, clock=Clock())
    try:
        sinks = [WebhookSink(URL(url)) for url in urls]
        dispatcher = await HookDispatcher.start(
            sinks, clock=Clock(), rng=random.Random(1), profile=QUICK, journal=journal, **options
        )  # type: ignore[arg-type]
        try:
            yield dispatcher
        finally:
            await dispatcher.stop(flush)
    finally:
        await journal.stop()


class Reading:
    """A tap that looks into the file whenever it is told of an event."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.found: list[bool] = []

    def offer(self, event: EncodedEvent) -> None:
        reader = JournalReader.open(self._path)
        self.found.append(reader.get(event.uuid) is not None)
        reader.close()

    async def close(self) -> None:
        pass


async def test_nobody_is_told_before_it_is_written(tmp_path: Path) -> None:
    """Whoever is told of an event, a listener or a receiver, another process can read it in the journal at that moment."""
    path = tmp_path / "hooks.db"
    at_receiver: list[bool] = []

    async def answer(request: web.Request, _count: int) -> web.StreamResponse:
        reader = JournalReader.open(path)
        at_receiver.append(reader.get(request.headers["webhook-id"]) is not None)
        reader.close()
        return web.Response(status=204)

    tap = Reading(path)
    async with receiver(answer) as got, running(path, got.url, listeners=[tap]) as dispatcher:
        for session in range(1, 51):
            dispatcher.publish(hook_event(session, 1))
        await eventually(lambda: dispatcher.status()[0].delivered == 50)
        assert tap.found == at_receiver == [True] * 50
        status = dispatcher.status()[0]
        assert status.outcomes == {"delivered": 50, "retry": 0, "dead": 0, "disabled": 0}
        assert (status.latency_count, status.oldest, status.retrying, status.backlog) == (50, None, 0, 0)


async def test_what_was_not_delivered_goes_first_after_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Events that a stop leaves over are delivered after the next start, before newer ones of their session, attempts added."""
    path = tmp_path / "hooks.db"
    async with receiver(statuses(204, 503)) as got:
        async with running(path, got.url) as dispatcher:
            for seq in range(1, 6):
                dispatcher.publish(hook_event(1, seq))
            await eventually(lambda: dispatcher.status()[0].attempts >= 4)
        assert "the next start goes on with them" in caplog.text
        port = URL(got.url).port or 0
    async with receiver(port=port) as got, running(path, got.url) as dispatcher:
        assert dispatcher.journal is not None
        for seq in range(6, 9):
            dispatcher.publish(hook_event(1, seq))
        await eventually(lambda: dispatcher.status()[0].delivered == 7)
        expected = [hook_event(1, seq).uuid for seq in range(2, 9)]
        assert [request.headers["webhook-id"] for request in got.requests] == expected
        found = await dispatcher.journal.get(expected[0])
        assert found is not None
        (record,) = found[1]
        assert record.state == "delivered"
        assert record.tries >= 4
        assert {attempt.detail for attempt in record.attempts[:-1]} == {"HTTP 503"}


async def test_dead_letters_can_be_sent_again(tmp_path: Path) -> None:
    """One event or all dead letters are sent again, to one sink or to all, as the same bytes, and the record goes on."""
    async with (
        receiver(statuses(400, 400, 400, 204)) as bad,
        receiver() as good,
        running(tmp_path / "hooks.db", bad.url, good.url) as dispatcher,
    ):
        assert dispatcher.journal is not None
        for session in range(1, 4):
            dispatcher.publish(hook_event(session, 1))
        await eventually(lambda: dispatcher.status()[0].dead == 3 and dispatcher.status()[1].delivered == 3)
        assert len(await dispatcher.journal.find(JournalQuery(dead=True))) == 3
        assert await dispatcher.resend(hook_event(1, 1).uuid, bad.url) == 1
        await eventually(lambda: dispatcher.status()[0].delivered == 1)
        assert await dispatcher.resend_dead() == 2
        await eventually(lambda: dispatcher.status()[0].delivered == 3)
        assert await dispatcher.resend_dead() == 0
        assert await dispatcher.resend(hook_event(2, 1).uuid) == 2
        await eventually(lambda: dispatcher.status()[0].delivered == 4 and dispatcher.status()[1].delivered == 4)
        assert await dispatcher.resend("unknown") == 0
        assert await dispatcher.journal.find(JournalQuery(dead=True)) == []
        found = await dispatcher.journal.get(hook_event(2, 1).uuid)
        assert found is not None
        assert [attempt.outcome for attempt in found[1][0].attempts] == ["dead", "delivered", "delivered"]
        assert len({body for body in bad.bodies if body == bad.bodies[1]}) == 1
        assert set(good.bodies) == set(bad.bodies)


async def test_the_file_is_its_owners(tmp_path: Path) -> None:
    """Nobody but the owner can read the journal, its write-ahead log included: hooks tell of people."""
    path = tmp_path / "hooks.db"
    async with running(path) as dispatcher:
        dispatcher.publish(hook_event())
        assert dispatcher.journal is not None
        await dispatcher.journal.flush()
        modes = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert modes == {0o600}


async def test_without_a_journal_nothing_can_be_sent_again() -> None:
    """That is an error in words."""
    dispatcher = await HookDispatcher.start([], clock=Clock(), rng=random.Random(1))
    with pytest.raises(JournalError, match="there is no journal"):
        await dispatcher.resend_dead()
    await dispatcher.stop()


async def test_two_sinks_of_the_same_name_are_refused() -> None:
    """The journal could not tell them apart."""
    with pytest.raises(ValueError, match="is given twice"):
        async with running(None, "http://127.0.0.1:1/x", "http://127.0.0.1:1/x"):
            pass


async def test_a_dead_receiver_delays_no_other(tmp_path: Path) -> None:
    """While one receiver hangs with all its connections taken and its memory full, the other gets each event, one after the
    other, long before the first attempt at the hanging one has timed out."""
    release = asyncio.Event()

    async def hang(_request: web.Request, _count: int) -> web.StreamResponse:
        await release.wait()
        return web.Response(status=204)

    async with (
        receiver(hang) as hanging,
        receiver() as good,
        running(tmp_path / "hooks.db", hanging.url, good.url, limits=Limits(queue=50)) as dispatcher,
    ):
        for session in range(100):
            dispatcher.publish(hook_event(1000 + session, 1))
        await eventually(lambda: len(hanging.requests) == 32 and dispatcher.status()[1].delivered == 100)
        for session in range(1, 201):
            dispatcher.publish(hook_event(session, 1))
            await eventually(lambda session=session: dispatcher.status()[1].delivered == 100 + session)  # type: ignore[misc]
        first, second = dispatcher.status()
        assert (first.attempts, first.delivered, first.backlog, first.dropped) == (0, 0, 300, 0)
        assert (second.delivered, second.attempts) == (300, 300)
        release.set()
        await eventually(lambda: dispatcher.status()[0].delivered == 300, timeout=20)


async def test_hooks_go_on_while_the_journal_cannot_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Locked out of its file, the journal says so once; receivers get everything meanwhile, and later it is all on record."""
    path = tmp_path / "hooks.db"
    async with receiver() as got, running(path, got.url) as dispatcher:
        assert dispatcher.journal is not None
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for seq in range(1, 101):
            dispatcher.publish(hook_event(1, seq))
        await eventually(lambda: dispatcher.status()[0].delivered == 100, timeout=15)
        assert not dispatcher.journal.healthy
        assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1
        other.close()
        await eventually(lambda: dispatcher.journal is not None and dispatcher.journal.healthy)
        found = await dispatcher.journal.find(JournalQuery())
        assert [stored.event.seq for stored in found] == list(range(1, 101))
        assert await dispatcher.journal.count_pending(got.url) == 0
        assert len(got.requests) == 100
