"""The delivery engine, on a loop whose time is virtual: hours of retries pass in no time."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import TypeAlias

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smproxy.hooks.delivery import Delivery, Limits
from smproxy.hooks.event import Context, EncodedEvent, Stored
from smproxy.hooks.ordered_queue import OrderedQueue, OrderingGroup
from smproxy.hooks.retry import STANDARD, RetryProfile
from smproxy.hooks.sink import DELIVERED, Dead, Disabled, Outcome, Retry
from smproxy.hooks.status import DeliveryUpdate
from smproxy.signaling.clock import Clock

from tests.hooks_support import NOW, VirtualTimeLoop, encoded, run_virtual, stored

CLOCK = Clock(wall=lambda: NOW)

#: Four attempts at most.
THREE = RetryProfile("three", (1.0, 2.0, 4.0), retry_after_limit=10.0)

Behaviour: TypeAlias = Callable[[EncodedEvent, int], Awaitable[Outcome]]


class FakeSink:
    """A sink that does what the test says and keeps a log: (time, session, seq, attempt)."""

    name = "http://test/hooks"

    def __init__(self, behave: Behaviour) -> None:
        self._behave = behave
        self._attempts: Counter[str] = Counter()
        self._under_way: Counter[int] = Counter()
        self.most_at_once = 0
        self.log: list[tuple[float, int, int, int]] = []
        self.bodies: dict[str, set[int]] = {}
        self.stopped = 0

    takes_internal = False

    async def start(self) -> None:
        pass

    async def deliver(self, event: EncodedEvent) -> Outcome:
        self._attempts[event.uuid] += 1
        self._under_way[event.session] += 1
        assert self._under_way[event.session] == 1, "two events of one session at a time"
        self.most_at_once = max(self.most_at_once, self._under_way.total())
        now = asyncio.get_running_loop().time()
        self.log.append((now, event.session, event.seq, self._attempts[event.uuid]))
        self.bodies.setdefault(event.uuid, set()).add(id(event.body))
        try:
            return await self._behave(event, self._attempts[event.uuid])
        finally:
            self._under_way[event.session] -= 1

    async def stop(self) -> None:
        self.stopped += 1


async def begin(sink: FakeSink, profile: RetryProfile = THREE, limits: Limits | None = None, seed: int = 1) -> Delivery:
    return await Delivery.start(sink, clock=CLOCK, rng=random.Random(seed), profile=profile, limits=limits)


async def settle(delivery: Delivery) -> None:
    """Wait, in virtual time, until nothing is queued; a day is enough for every profile."""
    step = 0.25
    while delivery.status().backlog:
        assert asyncio.get_running_loop().time() < 86_400, f"still queued after a day: {delivery.status()}"
        await pass_time(step)
        step = min(step * 1.2, 600.0)


async def pass_time(seconds: float) -> None:
    """Let virtual time pass."""
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, done.set)
    await done.wait()


async def hang(_event: EncodedEvent, _attempt: int) -> Outcome:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("a future that nobody sets")


OUTCOMES = st.one_of(
    st.just(DELIVERED),
    st.builds(Retry, st.one_of(st.none(), st.floats(0, 20)), st.just("busy")),
    st.just(Dead("poison")),
    st.just("raises"),
)
#: For one event: what comes of each attempt, and how long the attempt takes. After the list it is taken.
SCRIPT = st.lists(st.tuples(OUTCOMES, st.sampled_from([0.0, 0.0, 0.3, 2.0])), max_size=6)


@settings(deadline=None, max_examples=150)
@given(
    scripts=st.lists(st.lists(SCRIPT, min_size=1, max_size=6), min_size=1, max_size=6),
    in_flight=st.integers(1, 4),
    pauses=st.lists(st.sampled_from([0.0, 0.5, 3.0]), max_size=8),
    seed=st.integers(0, 1000),
)
def test_model(
    scripts: list[list[list[tuple[Outcome | str, float]]]], in_flight: int, pauses: list[float], seed: int
) -> None:
    """Whatever comes of each attempt: a session's events stay in order, each ends delivered or dead exactly once, as its
    outcomes say, with the same bytes each time, and nothing is left behind."""

    def outcome_of(event: EncodedEvent, attempt: int) -> tuple[Outcome | str, float]:
        script = scripts[event.session][event.seq - 1]
        return script[attempt - 1] if attempt <= len(script) else (DELIVERED, 0.0)

    finished: list[tuple[int, int, Outcome]] = []

    async def behave(event: EncodedEvent, attempt: int) -> Outcome:
        outcome, seconds = outcome_of(event, attempt)
        if seconds:
            await pass_time(seconds)
        if isinstance(outcome, str):
            raise RuntimeError("a bug in a sink")
        finished.append((event.session, event.seq, outcome))
        return outcome

    def expected(event: EncodedEvent) -> tuple[str, int]:
        for attempt in range(1, 5):
            outcome, _ = outcome_of(event, attempt)
            if outcome is DELIVERED:
                return "delivered", attempt
            if isinstance(outcome, Dead):
                return "dead", attempt
        return "dead", 4

    async def main() -> None:
        sink = FakeSink(behave)
        delivery = await begin(sink, limits=Limits(in_flight=in_flight), seed=seed)
        order = random.Random(seed)
        waiting = {
            session: [encoded(session, seq + 1) for seq in range(len(group))] for session, group in enumerate(scripts)
        }
        events = [event for group in waiting.values() for event in group]
        pause = iter(pauses)
        while waiting:
            session = order.choice(list(waiting))
            assert delivery.offer(Stored(0, waiting[session].pop(0)))
            if not waiting[session]:
                del waiting[session]
            if seconds := next(pause, 0.0):
                await pass_time(seconds)
        await settle(delivery)

        dead = Counter(letter.event.uuid for letter in delivery.dead_letters)
        taken = Counter((session, seq) for session, seq, outcome in finished if outcome is DELIVERED)
        attempts = Counter((session, seq) for _, session, seq, _ in sink.log)
        for event in events:
            end, tries = expected(event)
            assert attempts[event.session, event.seq] == tries
            assert taken[event.session, event.seq] == (end == "delivered")
            assert dead[event.uuid] == (end == "dead")
            assert len(sink.bodies[event.uuid]) == 1
        for session in range(len(scripts)):
            tried = [seq for _, of, seq, _ in sink.log if of == session]
            assert tried == sorted(tried)
        status = delivery.status()
        assert sink.most_at_once <= in_flight
        assert status.delivered == taken.total()
        assert status.dead == dead.total()
        assert status.delivered + status.dead == len(events)
        assert status.attempts == len(sink.log)
        assert status.dropped == 0
        assert len(asyncio.all_tasks()) == 1, "a worker is left without work"
        assert await delivery.stop(0.0) == 0

    run_virtual(main())


def test_other_sessions_go_on_while_one_retries() -> None:
    """A session whose receiver fails delays no other: they are through before its second attempt."""

    async def behave(event: EncodedEvent, attempt: int) -> Outcome:
        return Retry(5.0, "busy") if event.session == 1 and attempt < 3 else DELIVERED

    async def main() -> None:
        sink = FakeSink(behave)
        delivery = await begin(sink, limits=Limits(in_flight=2))
        for seq in range(1, 21):
            for session in range(1, 11):
                delivery.offer(stored(session, seq))
        await settle(delivery)
        others = [at for at, session, _, _ in sink.log if session != 1]
        assert len(others) == 9 * 20
        assert max(others) == 0.0
        slow = [(at, seq) for at, session, seq, _ in sink.log if session == 1]
        assert slow[:4] == [(0.0, 1), (5.0, 1), (10.0, 1), (10.0, 2)]
        await delivery.stop(0.0)

    run_virtual(main())


def test_a_poison_event_does_not_block_its_session() -> None:
    """An event that the receiver refuses is given up at once, and the session's next one follows."""

    async def behave(event: EncodedEvent, attempt: int) -> Outcome:
        return Dead("HTTP 422") if event.seq == 2 else DELIVERED

    async def main() -> None:
        sink = FakeSink(behave)
        delivery = await begin(sink)
        for seq in (1, 2, 3):
            delivery.offer(stored(1, seq))
        await settle(delivery)
        assert [(at, seq) for at, _, seq, _ in sink.log] == [(0.0, 1), (0.0, 2), (0.0, 3)]
        (letter,) = delivery.dead_letters
        assert (letter.event.seq, letter.why, letter.attempts, letter.at) == (2, "HTTP 422", 1, int(NOW * 1000))
        assert letter.sink == delivery.status().name == "http://test/hooks"
        assert delivery.status().last_error == "HTTP 422"
        await delivery.stop(0.0)

    run_virtual(main())


def test_hours_of_the_standard_profile() -> None:
    """Under ``standard`` an event that is never taken is tried seven times, each wait below its step, and then given up."""

    async def behave(_event: EncodedEvent, _attempt: int) -> Outcome:
        return Retry(None, "HTTP 503")

    async def main() -> None:
        sink = FakeSink(behave)
        delivery = await begin(sink, STANDARD)
        updates: list[DeliveryUpdate] = []
        delivery.on_update = updates.append
        delivery.offer(stored())
        await settle(delivery)
        times = [at for at, *_ in sink.log]
        waits = [after - before for before, after in pairwise(times)]
        assert len(waits) == len(STANDARD.steps)
        assert all(0 <= wait <= step for wait, step in zip(waits, STANDARD.steps, strict=True))
        assert sum(waits) > 3600
        assert delivery.dead_letters[0].attempts == 7
        last = updates[-1].attempt
        assert last is not None
        assert (last.outcome, last.detail) == ("dead", "HTTP 503; gave up after attempt 7")
        assert [update.attempt.outcome for update in updates[:-1] if update.attempt] == ["retry"] * 6
        status = delivery.status()
        assert (status.dead, status.outcomes["dead"], status.outcomes["retry"]) == (1, 1, 6)
        await delivery.stop(0.0)

    run_virtual(main())


def test_a_full_queue_refuses_the_newest_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    """What does not fit is refused and counted, with one line in the log; what was queued stays, and is delivered later."""

    async def main() -> None:
        gate = asyncio.Event()

        async def behave(_event: EncodedEvent, _attempt: int) -> Outcome:
            await gate.wait()
            return DELIVERED

        sink = FakeSink(behave)
        delivery = await begin(sink, limits=Limits(queue=10, in_flight=2))
        assert [delivery.offer(stored(session, 1)) for session in range(60)] == [True] * 10 + [False] * 50
        assert delivery.status().dropped == 50
        assert delivery.status().backlog == 10
        gate.set()
        await settle(delivery)
        assert sorted(session for _, session, _, _ in sink.log) == list(range(10))
        assert delivery.offer(stored(99, 1))
        await settle(delivery)
        await delivery.stop(0.0)

    with caplog.at_level(logging.WARNING, "smproxy.hooks"):
        run_virtual(main())
    assert len([record for record in caplog.records if "is full" in record.getMessage()]) == 1


def test_a_sink_that_is_gone_gets_nothing_more() -> None:
    """410 ends the sink: what is queued becomes dead letters, what is under way ends by its own outcome, what comes later is
    refused and counted."""

    async def main() -> None:
        gate = asyncio.Event()

        async def behave(event: EncodedEvent, _attempt: int) -> Outcome:
            if event.session == 1:
                return Disabled("HTTP 410 Gone")
            await gate.wait()
            return DELIVERED if event.session == 2 else Retry(None, "HTTP 500")

        sink = FakeSink(behave)
        delivery = await begin(sink, limits=Limits(in_flight=3))
        for session in (2, 3, 1, 4):
            for seq in (1, 2):
                delivery.offer(stored(session, seq))
        await pass_time(0.25)
        assert delivery.status().disabled
        assert delivery.status().backlog == 2
        gate.set()
        await settle(delivery)
        assert not delivery.offer(stored(5, 1))
        status = delivery.status()
        assert (status.delivered, status.dead, status.dropped, status.attempts) == (1, 7, 1, 3)
        assert sorted(session for _, session, _, _ in sink.log) == [1, 2, 3]
        assert await delivery.stop(1.0) == 0

    run_virtual(main())


def test_stop_flushes_what_it_can_in_its_time() -> None:
    """Stop delivers what is queued, retries included, and returns as soon as that is done."""

    async def behave(_event: EncodedEvent, attempt: int) -> Outcome:
        return DELIVERED if attempt == 2 else Retry(0.5, "busy")

    async def main() -> None:
        sink = FakeSink(behave)
        delivery = await begin(sink, RetryProfile("half", (0.5,)))
        for session in range(100):
            delivery.offer(stored(session, 1))
        assert await delivery.stop(60.0) == 0
        assert delivery.status().delivered == 100
        assert asyncio.get_running_loop().time() < 10
        assert not delivery.offer(stored(1, 2))
        assert delivery.status().dropped == 1

    run_virtual(main())


async def refuse_for_now(_event: EncodedEvent, _attempt: int) -> Outcome:
    return Retry(None, "busy")


@pytest.mark.parametrize("behave", [hang, refuse_for_now])
def test_stop_gives_up_in_time_and_leaves_nothing(behave: Behaviour) -> None:
    """Stop ends after its flush time whatever the receiver does, tells what is left, and leaves neither task nor timer."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        sink = FakeSink(behave)
        delivery = await begin(sink, RetryProfile("long", (1e6,) * 5))
        for session in range(100):
            delivery.offer(stored(session, 1))
        await pass_time(0.25)
        before = loop.time()
        assert await delivery.stop(2.0) == 100
        assert loop.time() - before == pytest.approx(2.0)
        assert sink.stopped == 1
        assert len(asyncio.all_tasks()) == 1
        assert loop.timers() == 0

    run_virtual(main())


def test_workers_exist_only_while_there_is_work() -> None:
    """However many events are queued, no more tasks than ``in_flight`` run, and none when the queue is empty."""

    async def main() -> None:
        most = 0

        async def behave(_event: EncodedEvent, _attempt: int) -> Outcome:
            nonlocal most
            most = max(most, len(asyncio.all_tasks()) - 1)
            await pass_time(0.25)
            return DELIVERED

        delivery = await begin(FakeSink(behave), limits=Limits(in_flight=8))
        for session in range(500):
            delivery.offer(stored(session, 1))
        assert len(asyncio.all_tasks()) == 9
        await settle(delivery)
        assert most == 8
        delivery.offer(stored(1, 2))
        assert len(asyncio.all_tasks()) == 2
        await settle(delivery)
        assert len(asyncio.all_tasks()) == 1
        await delivery.stop(0.0)

    run_virtual(main())


def test_dead_letters_are_bounded() -> None:
    """Only the latest dead letters are kept; all are counted."""

    async def behave(_event: EncodedEvent, _attempt: int) -> Outcome:
        return Dead("no")

    async def main() -> None:
        delivery = await begin(FakeSink(behave), limits=Limits(dead_letters=5))
        for seq in range(1, 21):
            delivery.offer(stored(1, seq))
        await settle(delivery)
        assert [letter.event.seq for letter in delivery.dead_letters] == [16, 17, 18, 19, 20]
        assert delivery.status().dead == 20
        await delivery.stop(0.0)

    run_virtual(main())


def test_a_stream_is_followed_until_its_last_event_is_gone() -> None:
    """An event whose stream another group had at the time takes nothing of its own group's when it leaves."""
    queue = OrderedQueue(limit=10)

    def push(id: int, session: int, stream: str | None) -> None:
        one = stored(session, number=id)
        assert queue.push(Stored(id, msgspec.structs.replace(one.event, context=Context(stream=stream))))

    push(1, 1, None)
    push(2, 2, "live/cam")
    push(3, 1, "live/cam")  # in the first group, for the sake of its session
    first, second = queue.take(), queue.take()
    assert first is not None
    assert second is not None
    queue.settle(second)
    push(4, 1, "live/cam")
    for id in (1, 3):
        assert first.first.id == id
        queue.settle(first)
        assert queue.take() is first
    push(5, 3, "live/cam")
    assert [[one.id for one, *_ in group.places] for group in queue] == [[4, 5]]


def test_what_is_under_way_when_a_queue_is_drained_still_goes_first() -> None:
    """An event in a worker's hands stays in a drain, and later ones of its session, or its stream, wait for it."""
    queue = OrderedQueue(limit=10)

    def push(id: int, session: int) -> None:
        one = stored(session, number=id)
        assert queue.push(Stored(id, msgspec.structs.replace(one.event, context=Context(stream="live/cam"))))

    push(1, 1)
    group = queue.take()
    assert group is not None
    push(2, 1)
    push(3, 2)
    assert [each.id for each in queue.drain()] == [2, 3]
    assert (len(queue), queue.groups, queue.busy) == (1, 1, 1)
    push(4, 1)
    push(5, 3)
    assert queue.ready == 0
    queue.settle(group)
    for id in (4, 5):
        assert queue.take() is group
        assert group.first.id == id
        queue.settle(group)
    assert (len(queue), queue.groups, queue._by_key) == (0, 0, {})


def test_subscribers_of_one_stream_do_not_wait_for_each_other() -> None:
    """Sessions of one publisher's stream, or of one subscriber of it, share a group; other subscribers have their own."""
    queue = OrderedQueue(limit=10)

    def push(id: int, session: int, watcher: str | None) -> None:
        one = stored(session, number=id)
        context = Context(stream="live/cam", watcher=watcher)
        assert queue.push(Stored(id, msgspec.structs.replace(one.event, context=context)))

    for id, (session, watcher) in enumerate([(1, None), (2, "ann"), (3, "bob"), (4, None), (5, "ann")], 1):
        push(id, session, watcher)
    assert [[each.event.session for each, *_ in group.places] for group in queue] == [[1, 4], [2, 5], [3]]


def test_a_lane_that_is_empty_is_gone() -> None:
    """A session that has nothing queued takes no memory."""
    queue = OrderedQueue(limit=10)
    assert queue.push(stored(1, 1))
    group = queue.take()
    assert group is not None
    assert queue.groups == 1
    queue.settle(group)
    assert (len(queue), queue.groups, queue.ready, queue.busy, queue.next_due()) == (0, 0, 0, 0, None)
    identity = id(
        group
    )  # a group has no place for a weak reference, and other tests may have left queue to the collector
    del group
    assert not [thing for thing in gc.get_objects() if isinstance(thing, OrderingGroup) and id(thing) == identity]
