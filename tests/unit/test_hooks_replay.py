"""Replay: the journal's past and the live events become one sequence."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from smproxy.hooks import replay
from smproxy.hooks.broadcast import ALL, LIMIT, OVERHEAD, Filter, HookBroadcast
from smproxy.hooks.event import EncodedEvent, Stored
from smproxy.hooks.journal import Journal
from smproxy.hooks.replay import SinceError, Start, find_start, replayed
from smproxy.signaling.clock import Clock

from tests.helpers import scaled
from tests.hooks_support import encoded

#: Bytes of a log that holds three events.
SMALL = 3 * (OVERHEAD + len(encoded(1_000, 1).body) + 10)


@asynccontextmanager
async def journalled(broadcast: HookBroadcast, path: Path | None = None) -> AsyncIterator[Journal]:
    """A journal whose events go to the broadcast when they are written, as the dispatcher does it."""
    journal = await Journal.start(path, clock=Clock())

    def tell(batch: Sequence[Stored]) -> None:
        for stored in batch:
            broadcast.offer(stored.event)

    journal.on_committed(tell)
    try:
        yield journal
    finally:
        await journal.stop()


async def read(
    journal: Journal, broadcast: HookBroadcast, start: Start, last: EncodedEvent, wanted: Filter = ALL
) -> list[bytes]:
    """Listen from ``start`` on until ``last`` has come; return the texts."""
    texts: list[bytes] = []
    with closing(broadcast.listen(wanted, held=True)) as listener:
        async with asyncio.timeout(scaled(20)):
            async for text in replayed(journal, listener, start, wanted):
                texts.append(text)
            while not texts or texts[-1] != last.body:
                texts.append((await anext(listener)).body)
    return texts


async def test_past_then_present(tmp_path: Path) -> None:
    """The events after a uuid come from the journal, later ones as they happen, once each."""
    broadcast = HookBroadcast()
    async with journalled(broadcast, tmp_path / "hooks.db") as journal:
        events = [encoded(7, seq) for seq in range(1, 11)]
        for event in events[:6]:
            journal.append(event)
        start = await find_start(journal, events[1].uuid)
        reading = asyncio.ensure_future(read(journal, broadcast, start, events[-1]))
        await asyncio.wait((reading,), timeout=0.05)
        for event in events[6:]:
            journal.append(event)
        assert await reading == [event.body for event in events[2:]]


@pytest.mark.parametrize("seed", range(12))
async def test_no_gap_and_no_duplicate(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever listeners join under load, with small pages: each has every event after its point once, in order."""
    monkeypatch.setattr(replay, "PAGE", 7)
    rng = random.Random(seed)
    small = seed % 4 == 1
    broadcast = HookBroadcast(limit=SMALL if small else LIMIT)
    events = [encoded(rng.randint(1, 5) * 1_000 + number, 1, rng.choice("ab")) for number in range(400)]
    async with journalled(broadcast, tmp_path / "hooks.db" if seed % 3 else None) as journal:
        readers = []
        for number, event in enumerate(events):
            journal.append(event)
            if rng.random() < 0.05:
                await asyncio.wait((asyncio.get_running_loop().create_future(),), timeout=rng.choice([0, 0.001, 0.004]))
            if rng.random() < 0.03 and number < 390:
                first = rng.randint(0, number)
                wanted = Filter(rng.choice([None, "a"]))
                if small:  # slow ones are dropped once they are live: start them at the end
                    continue
                start = await find_start(journal, events[first].uuid)
                final = next(e for e in reversed(events) if wanted(e))
                readers.append((first, wanted, asyncio.ensure_future(read(journal, broadcast, start, final, wanted))))
        if small:
            await journal.flush()
            start = await find_start(journal, events[0].uuid)
            readers.append((0, ALL, asyncio.ensure_future(read(journal, broadcast, start, events[-1]))))
        assert readers
        for first, wanted, reading in readers:
            assert await reading == [e.body for e in events[first + 1 :] if wanted(e)]


async def test_more_than_can_be_held(tmp_path: Path) -> None:
    """When more happens during a replay than a listener may be behind, it reads on in the journal and misses nothing."""
    broadcast = HookBroadcast(limit=SMALL)
    events = [encoded(7, seq) for seq in range(1, 101)]
    async with journalled(broadcast, tmp_path / "hooks.db") as journal:
        for event in events[:20]:
            journal.append(event)
        rest = iter(events[20:])
        texts: list[bytes] = []
        with closing(broadcast.listen(held=True)) as listener:
            async for text in replayed(journal, listener, Start(since_ms=0), ALL):
                texts.append(text)
                for event in (*zip(range(4), rest, strict=False),):
                    journal.append(event[1])
                await journal.flush()
            assert not listener.dropped
        assert texts == [event.body for event in events]


async def test_a_hub_that_is_late(tmp_path: Path) -> None:
    """Events that the journal has and listeners have not been told of come once: from the journal."""
    broadcast = HookBroadcast()
    journal = await Journal.start(tmp_path / "hooks.db", clock=Clock())
    events = [encoded(7, seq) for seq in range(1, 6)]
    for event in events[:4]:
        journal.append(event)
    with closing(broadcast.listen(held=True)) as listener:
        broadcast.offer(events[0])
        texts = [text async for text in replayed(journal, listener, Start(since_ms=0), ALL)]
        for event in events[1:]:
            broadcast.offer(event)
        listener.end()
        texts += [event.body async for event in listener]
    await journal.stop()
    assert texts == [event.body for event in events]


async def test_start() -> None:
    """A point is a uuid that the journal has, in either case, or a time; anything else is refused in words."""
    journal = await Journal.start(None, clock=Clock())
    event = encoded()
    stored = journal.append(event)
    assert await find_start(journal, event.uuid) == Start(after_id=stored.id)
    assert await find_start(journal, event.uuid.upper()) == Start(after_id=stored.id)
    assert await find_start(journal, "1790000000123") == Start(since_ms=1_790_000_000_123)
    for since, part in (
        ("", "uuid"), ("-1", "uuid"), ("²", "uuid"), ("9" * 40, "uuid"), ("x" * 36, "uuid"),
        ("01a0c450-6c7b-74fc-9ca0-31087ea7cdc5", "does not have"),
    ):  # fmt: skip
        with pytest.raises(SinceError, match=part):
            await find_start(journal, since)
    with pytest.raises(SinceError, match="no journal"):
        await find_start(None, "0")
    await journal.stop()
