"""Delivery with a journal behind it: memory is bounded, and still nothing is lost, repeated or out of order."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smproxy.hooks.delivery import Delivery, Limits
from smproxy.hooks.event import Context, EncodedEvent, Stored
from smproxy.hooks.journal.types import JournalError, Mark, Page, State
from smproxy.hooks.ordered_queue import OrderedQueue
from smproxy.hooks.retry import RetryProfile
from smproxy.hooks.sink import DELIVERED, SKIPPED, Dead, Disabled, Outcome, Retry

from tests.hooks_support import run_virtual, stored
from tests.unit.test_hooks_delivery import CLOCK, THREE, FakeSink, pass_time, settle


class FakeLedger:
    """A journal in memory that takes its time, fails now and then, and is late to show what was published."""

    def __init__(self, rng: random.Random, trouble: float = 0.0) -> None:
        self.events: dict[int, Stored] = {}
        self.marks: dict[int, list[Mark]] = {}
        self.largest_page = 0
        self._rng = rng
        self._trouble = trouble

    def mark(self, mark: Mark) -> None:
        self.marks.setdefault(mark.event, []).append(mark)

    def state(self, number: int) -> State:
        marks = self.marks.get(number)
        return marks[-1].state if marks else State.PENDING

    async def _answer(self) -> None:
        await pass_time(self._rng.choice((0.0, 0.1, 1.0)))
        if self._rng.random() < self._trouble:
            raise JournalError("no room")

    async def pending(self, sink: str, after: int, limit: int) -> Page:
        found = [one for one in self.events.values() if one.id > after and self.state(one.id) is State.PENDING]
        page = Page(tuple(found[:limit]), max(self.events, default=0), len(found) < limit)
        self.largest_page = max(self.largest_page, len(page.events))
        await self._answer()
        return page

    async def count_pending(self, sink: str) -> int:
        return sum(self.state(number) is State.PENDING for number in self.events)

    async def newest(self) -> int:
        return max(self.events, default=0)

    async def fetch(self, ids: Sequence[int]) -> tuple[Stored, ...]:
        found = tuple(self.events[number] for number in sorted(set(ids)))
        await self._answer()
        return found


@settings(deadline=None, max_examples=150)
@given(
    sessions=st.lists(st.integers(1, 4), min_size=1, max_size=40),
    before=st.integers(0, 20),
    queue=st.integers(1, 6),
    in_flight=st.integers(1, 3),
    pauses=st.lists(st.sampled_from([0.0, 0.5, 3.0]), max_size=12),
    again=st.lists(st.integers(0, 39), max_size=6),
    trouble=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 1000),
)
def test_model(
    sessions: list[int],
    before: int,
    queue: int,
    in_flight: int,
    pauses: list[float],
    again: list[int],
    trouble: float,
    seed: int,
) -> None:
    """Whatever the receiver does and however small the memory: all events, those from before the start too, are settled, each
    once, in order per session, and a resent one once more."""
    rng = random.Random(seed)

    async def behave(event: EncodedEvent, attempt: int) -> Outcome:
        await pass_time(rng.choice((0.0, 0.1, 1.0)))
        happens = rng.random()
        if happens < 0.1:
            return Dead("no")
        if happens < 0.15:
            return SKIPPED
        return Retry(None, "busy") if happens < 0.4 and attempt < 3 else DELIVERED

    async def main() -> None:
        ledger = FakeLedger(rng, trouble)
        seqs: Counter[int] = Counter()
        made = []
        for number, session in enumerate(sessions, 1):
            seqs[session] += 1
            made.append(stored(session, seqs[session], number))
        ledger.events.update((one.id, one) for one in made[:before])
        sink = FakeSink(behave)
        limits = Limits(queue=queue, in_flight=in_flight)
        delivery = await Delivery.start(
            sink, clock=CLOCK, rng=random.Random(seed), profile=THREE, limits=limits, ledger=ledger
        )
        pause = iter(pauses)

        async def publish(events: list[Stored]) -> None:
            for one in events:
                ledger.events[one.id] = one
                delivery.offer(one)
                assert len(delivery._queue) <= queue
                if seconds := next(pause, 0.0):
                    await pass_time(seconds)

        await publish(made[before:])
        await settle(delivery)
        assert all(ledger.state(one.id) is not State.PENDING for one in made)
        ends = Counter(
            mark.event for marks in ledger.marks.values() for mark in marks if mark.state is not State.PENDING
        )
        assert set(ends.values()) == {1}
        tried = Counter((session, seq) for _, session, seq, _ in sink.log)
        assert all(tried[one.event.session, one.event.seq] == len(ledger.marks[one.id]) for one in made)
        for session in seqs:
            order = [seq for _, of, seq, _ in sink.log if of == session]
            assert order == sorted(order)
        assert ledger.largest_page <= queue

        ids = sorted({number % len(made) + 1 for number in again})
        for number in ids:
            ledger.marks[number].append(Mark(number, sink.name, State.PENDING))
        delivery.again(ids)
        newer = [stored(20, seq, len(made) + seq) for seq in range(1, 9)]
        made += newer
        await pass_time(0.05)  # they are being read again, and the newer ones take their room
        await publish(newer)
        await settle(delivery)
        assert all(ledger.state(one.id) is not State.PENDING for one in made)
        status = delivery.status()
        assert status.delivered + status.dead + status.skipped == len(made) + len(ids)
        assert (status.dropped, status.backlog) == (0, 0)
        assert await delivery.stop(1.0) == 0
        assert len(asyncio.all_tasks()) == 1

    run_virtual(main())


def test_a_dead_receiver_costs_bounded_memory_and_is_sent_all_when_it_is_back() -> None:
    """While a receiver is down no more than its queue is in memory; afterwards everything arrives, in order."""

    async def main() -> None:
        up = asyncio.Event()

        async def behave(_event: EncodedEvent, _attempt: int) -> Outcome:
            return DELIVERED if up.is_set() else Retry(None, "down")

        ledger = FakeLedger(random.Random(1))
        sink = FakeSink(behave)
        delivery = await Delivery.start(
            sink,
            clock=CLOCK,
            rng=random.Random(1),
            profile=RetryProfile("often", (1.0,) * 10_000),
            limits=Limits(queue=50),
            ledger=ledger,
        )
        for number in range(1, 2_001):
            one = stored(number % 20, number, number)
            ledger.events[number] = one
            delivery.offer(one)
            if number % 100 == 0:
                await pass_time(1.0)
            assert len(delivery._queue) <= 50
        assert delivery.status().backlog == 2_000
        assert delivery.status().retrying > 0
        up.set()
        await settle(delivery)
        assert delivery.status().delivered == 2_000
        assert ledger.largest_page <= 50
        await delivery.stop(0.0)

    run_virtual(main())


def test_a_sink_that_is_gone_buries_what_waits_and_a_resend_enables_it() -> None:
    """After a 410 everything that waits or comes becomes a dead letter on record; a resend enables the sink again."""

    async def main() -> None:
        gone = True

        async def behave(_event: EncodedEvent, _attempt: int) -> Outcome:
            return Disabled("HTTP 410 Gone") if gone else DELIVERED

        ledger = FakeLedger(random.Random(1))
        ledger.events = {number: stored(number, 1, number) for number in range(1, 31)}
        delivery = await Delivery.start(
            FakeSink(behave), clock=CLOCK, rng=random.Random(1), limits=Limits(queue=5), ledger=ledger
        )
        await settle(delivery)
        late = ledger.events[31] = stored(31, 1, 31)
        assert not delivery.offer(late)
        assert {ledger.state(number) for number in ledger.events} == {State.DEAD}
        attempt = ledger.marks[31][0].attempt
        assert attempt is not None
        assert (attempt.outcome, attempt.detail) == ("disabled", "sink disabled: HTTP 410 Gone")
        assert delivery.status().disabled
        gone = False
        for number in ledger.events:
            ledger.mark(Mark(number, "", State.PENDING))
        delivery.again(list(ledger.events))
        await settle(delivery)
        assert not delivery.status().disabled
        assert {ledger.state(number) for number in ledger.events} == {State.DELIVERED}
        await delivery.stop(0.0)

    run_virtual(main())


def test_what_is_given_again_keeps_its_order() -> None:
    """Events that are resent one after the other come in that order, however many are read from the journal at a time."""

    async def always(event: EncodedEvent, attempt: int) -> Outcome:
        return DELIVERED

    async def main() -> None:
        ledger = FakeLedger(random.Random(1))
        ledger.events = {number: stored(1, number, number) for number in range(1, 6)}
        sink = FakeSink(always)
        delivery = await Delivery.start(
            sink, clock=CLOCK, rng=random.Random(1), profile=THREE, limits=Limits(queue=20, in_flight=1), ledger=ledger
        )
        await settle(delivery)
        for number in (4, 1, 5, 3, 2):
            ledger.mark(Mark(number, sink.name, State.PENDING))
            delivery.again([number])
        await settle(delivery)
        assert [seq for _, _, seq, _ in sink.log] == [1, 2, 3, 4, 5, 4, 1, 5, 3, 2]
        await delivery.stop(0.0)

    run_virtual(main())


def test_a_sink_that_has_nothing_pending_begins_level() -> None:
    """What comes after a start with nothing pending is not read back from the journal, however much it is; what came while the
    journal was asked is."""

    async def always(event: EncodedEvent, attempt: int) -> Outcome:
        return DELIVERED

    async def main(*, meanwhile: bool) -> None:
        ledger = FakeLedger(random.Random(1))
        sink = FakeSink(always)
        delivery = Delivery(sink, clock=CLOCK, rng=random.Random(1), profile=THREE, ledger=ledger)
        await sink.start()
        for number in range(1, 41):
            if number == (2 if meanwhile else 1):
                await delivery.begin()
            ledger.events[number] = stored(number, 1, number)
            delivery.offer(ledger.events[number])
        await settle(delivery)
        assert [session for _, session, _, _ in sink.log] == list(range(1, 41))
        assert bool(ledger.largest_page) is meanwhile
        await delivery.stop(0.0)

    run_virtual(main(meanwhile=False))
    run_virtual(main(meanwhile=True))


def of_stream(session: int, seq: int, stream: str) -> Stored:
    one = stored(session, seq)
    return Stored(one.id, msgspec.structs.replace(one.event, context=Context(stream=stream)))


@pytest.mark.parametrize("other", [("live/cam", [1, 1, 2, 2]), ("live/other", [1, 2, 1, 2])])
def test_sessions_of_one_stream_follow_each_other(other: tuple[str, list[int]]) -> None:
    """A session begins for a receiver when the one before it of the same stream is told to its end; other streams go on."""
    stream, order = other
    queue = OrderedQueue(limit=10)
    for session, name in ((1, "live/cam"), (2, stream)):
        for seq in (1, 2):
            assert queue.push(of_stream(session, seq, name))
    taken = []
    while group := queue.take():
        taken.append(group.first.event.session)
        queue.settle(group)
    assert taken == order
    assert (len(queue), queue.groups, queue._by_key) == (0, 0, {})
