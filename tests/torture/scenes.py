"""What is done to journal, delivery and sessions, each scene in a process of its own."""

from __future__ import annotations

import asyncio
import logging
import random
import resource
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from smproxy.hooks.delivery import Limits
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.event import EncodedEvent, EventFactory
from smproxy.hooks.journal import Journal, Retention
from smproxy.hooks.retry import FAST, STANDARD, RetryProfile
from smproxy.hooks.sink import DELIVERED, Outcome, Retry
from smproxy.manager.attempt import Client
from smproxy.manager.origin_registry import Node
from smproxy.manager.relay.observer import RelayEnd
from smproxy.manager.sessions import Sessions
from smproxy.signaling.clock import Clock
from smproxy.signaling.node_channel import Report, StreamStarted, TransportUp
from smproxy.signaling.params import ConnectionParams

from tests.helpers import eventually
from tests.hooks_support import VirtualTimeLoop
from tests.torture.resources import used

_DAY = 86_400.0


class CountingSink:
    """Counts what it gets; ``up`` says whether it takes anything."""

    takes_internal = False

    def __init__(self, name: str = "http://receiver/") -> None:
        self.name = name
        self.up = True
        self.got: Counter[str] = Counter()
        self.count = 0
        self.keep = True
        self.seqs: dict[int, int] = {}

    async def start(self) -> None:
        """Get ready."""

    async def stop(self) -> None:
        """End."""

    async def deliver(self, event: EncodedEvent) -> Outcome:
        """Take an event, if up, and check that it is its session's next."""
        await asyncio.sleep(0)
        if not self.up:
            return Retry(None, "down")
        self.count += 1
        if self.keep:
            self.got[event.uuid] += 1
        before = self.seqs.get(event.session, 0)
        assert event.seq == before + 1, f"{event.seq} of session {event.session} follows {before}"
        self.seqs[event.session] = event.seq
        if event.state in ("disconnected", "connect_error"):
            del self.seqs[event.session]
        return DELIVERED


class Scene:
    """Journal, dispatcher and sessions, and a way to let a session live."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self.clock = clock
        self.sink = CountingSink()
        self.node = Node("origin", "origin", 1)
        self.published = 0

    async def start(self, profile: RetryProfile = FAST, retention: Retention | None = None) -> None:
        """Start."""
        rng = random.Random(1)
        self.journal = await Journal.start(self.folder / "hooks.db", clock=self.clock, retention=retention)
        self.dispatcher = await HookDispatcher.start(
            [self.sink],
            clock=self.clock,
            rng=rng,
            profile=profile,
            limits=Limits(),
            events=EventFactory(node=1, clock=self.clock, rng=rng),
            journal=self.journal,
        )
        self.sessions = Sessions(self.dispatcher.emit, clock=self.clock, rng=rng)

    async def stop(self) -> None:
        """Stop."""
        self.sessions.stop()
        await self.dispatcher.stop(5.0)
        await self.journal.stop()

    def session(self, number: int) -> None:
        """Let a session live: connecting, connected, joined, left, disconnected."""
        params = ConnectionParams(id=f"cam-{number % 500}", app="live", customer_scope="acme")
        attempt = self.sessions.open(params, self.node, Client(remote_ip="10.0.0.1"))
        reports: tuple[Report, ...] = (TransportUp(attempt.token), StreamStarted(attempt.token, params.id, "live"))
        for report in reports:
            self.sessions.report(self.node, report)
        attempt.ended(RelayEnd("client", 1000, True))
        self.published += 5


async def disk_full(folder: Path) -> str:
    """The disk fills up and is freed: all is delivered in order, and all is in the journal afterwards."""
    scene = Scene(folder, Clock())
    await scene.start()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    for number in range(1_000):
        scene.session(number)
        await asyncio.sleep(0)
    await eventually(lambda: scene.sink.count == scene.published, 60)
    assert not scene.journal.healthy, "the disk was not full"
    failures = scene.journal.status().failures
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await eventually(lambda: scene.journal.healthy and not scene.journal.status().waiting, 60)
    assert scene.journal.status().events == scene.published
    assert set(scene.sink.got.values()) == {1}
    await scene.stop()
    return f"{scene.published} hooks delivered in order, {failures} failed writes, all in the journal afterwards"


async def clock_set_back(folder: Path) -> str:
    """The clock is set back by an hour, then on by a day: order and delivery do not depend on it."""
    offset = [0.0]
    clock = Clock()
    scene = Scene(folder, Clock(wall=lambda: clock.wall() + offset[0], monotonic=clock.monotonic))
    await scene.start()
    for number in range(900):
        offset[0] = (0.0, -3600.0, _DAY)[number // 300]
        scene.session(number)
        await asyncio.sleep(0)
    await eventually(lambda: scene.sink.count == scene.published, 60)
    await scene.stop()
    assert set(scene.sink.got.values()) == {1}
    return f"{scene.published} hooks, each once, each session in order"


async def short_sessions(folder: Path, count: int = 1_000_000) -> str:
    """Many short sessions: what the process uses does not grow."""
    scene = Scene(folder, Clock())
    scene.sink.keep = False
    await scene.start(retention=Retention(events=50_000))
    first = None
    for number in range(count):
        scene.session(number)
        if number % 20 == 0:
            await asyncio.sleep(0)
            if scene.published - scene.sink.count > 2_000:
                await eventually(lambda: scene.published - scene.sink.count < 500, 60)
        if number == count // 5:
            await eventually(lambda: scene.published == scene.sink.count, 60)
            first = used(folder)
    await eventually(lambda: scene.published == scene.sink.count, 60)
    last = used(folder)
    assert not scene.sink.seqs, "sessions without an end"
    await scene.stop()
    assert first is not None
    assert first.is_flat(last), f"it grows: {first}, then {last}"
    return f"{scene.published} hooks; after a fifth {first}; at the end {last}"


async def down_for_a_day(folder: Path) -> str:
    """The receiver is down for a day of virtual time: memory is bounded, and it is sent all or has the dead letters."""
    loop = asyncio.get_running_loop()
    scene = Scene(folder, Clock(wall=lambda: 1.79e9 + loop.time(), monotonic=loop.time))
    sink = scene.sink
    dispatcher = await HookDispatcher.start(
        [sink], clock=scene.clock, rng=random.Random(1), profile=STANDARD, limits=Limits(queue=100_000)
    )
    scene.sessions = Sessions(dispatcher.emit, clock=scene.clock, rng=random.Random(2))
    sink.up = False
    before = used(folder)
    for number in range(2_000):
        scene.session(number)
        await asyncio.sleep(_DAY / 2_000)
    sink.up = True
    assert await dispatcher.drained(3 * _DAY)
    status = dispatcher.status()[0]
    assert status.delivered + status.dead == scene.published
    await dispatcher.stop()
    grown = used(folder).memory - before.memory
    return f"{scene.published} hooks in a day: {status.delivered} delivered, {status.dead} dead letters, {grown:.0f} MiB more"


SCENES: dict[str, Callable[[Path], Awaitable[str]]] = {
    "disk-full": disk_full,
    "clock-set-back": clock_set_back,
    "down-for-a-day": down_for_a_day,
    "short-sessions": short_sessions,
}


def play(name: str) -> str:
    """Play a scene; return what came of it."""
    logging.disable(logging.WARNING)
    factory = VirtualTimeLoop if name == "down-for-a-day" else None
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_awaited(SCENES[name](Path(folder))))


async def _awaited(scene: Awaitable[str]) -> str:
    return await scene
