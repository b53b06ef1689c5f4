"""Load: many publishers and subscribers, started at a pace, watched, and counted at the end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from smproxy.tasks import Tasks
from smproxy.testing.errors import StreamError
from smproxy.testing.hook_order import HookOrder
from smproxy.testing.pace import Pace
from smproxy.testing.picture_check import Spread

if TYPE_CHECKING:
    from smproxy.testing.publisher import Publisher
    from smproxy.testing.subscriber import Subscriber

#: How many different errors are kept.
_KEPT_ERRORS = 20

MakePublisher: TypeAlias = "Callable[[str], Publisher]"
MakeSubscriber: TypeAlias = "Callable[[str], Subscriber]"


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What is to be done.

    ``ramp``: how many clients begin in a second, publishers first. ``duration``: seconds from the last begin to the end.
    ``streams``: names that are watched, where nobody publishes; else those of the publishers.
    """

    publishers: int
    subscribers: int
    ramp: float
    duration: float
    streams: tuple[str, ...] = ()


@dataclass(slots=True)
class RoleCount:
    """What became of the clients of one role; ``setup`` is seconds from beginning to live."""

    asked: int
    begun: int = 0
    live: int = 0
    failed: int = 0
    lost: int = 0
    setup: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)

    def fail(self, reason: str) -> None:
        """Count one that did not become live."""
        self.failed += 1
        self._note(reason)

    def lose(self, reason: str) -> None:
        """Count one that was live and ended too soon."""
        self.lost += 1
        self._note(reason)

    def _note(self, reason: str) -> None:
        if reason in self.errors or len(self.errors) < _KEPT_ERRORS:
            self.errors[reason] = self.errors.get(reason, 0) + 1

    def record(self) -> dict[str, Any]:
        """Return it for JSON, with percentiles for the setup."""
        spread = Spread.of(self.setup)
        numbers = {name: getattr(self, name) for name in ("asked", "begun", "live", "failed", "lost", "errors")}
        return {**numbers, "setup": None if spread is None else asdict(spread)}


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What came of it. Times in seconds.

    ``loss``: part of the packets that did not come to the subscribers.
    """

    publishers: RoleCount
    subscribers: RoleCount
    packets_sent: int
    packets_received: int
    loss: float
    round_trip: Spread | None
    hooks: HookOrder | None = None

    @property
    def failed(self) -> int:
        """How many clients did not become live, or ended too soon."""
        return sum(role.failed + role.lost for role in (self.publishers, self.subscribers))

    @property
    def setup(self) -> Spread | None:
        """How long the clients of both roles took to become live."""
        return Spread.of([*self.publishers.setup, *self.subscribers.setup])

    def record(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "publishers": self.publishers.record(),
            "subscribers": self.subscribers.record(),
            "packetsSent": self.packets_sent,
            "packetsReceived": self.packets_received,
            "loss": self.loss,
            "roundTrip": None if self.round_trip is None else asdict(self.round_trip),
            "hooks": None if self.hooks is None else self.hooks.record(),
        }


class LoadRun:
    """One run.

    ``publisher`` and ``subscriber`` make a client of a stream's name, which is not started yet.
    """

    def __init__(
        self, plan: LoadPlan, publisher: MakePublisher, subscriber: MakeSubscriber, name: Callable[[int], str]
    ) -> None:
        self.plan = plan
        self.publishers = RoleCount(plan.publishers)
        self.subscribers = RoleCount(plan.subscribers)
        self._make_publisher = publisher
        self._make_subscriber = subscriber
        self._name = name
        self._publishing: list[Publisher] = []
        self._watching: list[Subscriber] = []
        self._streams: list[str] = list(plan.streams)
        self._tasks = Tasks()
        self._live: set[Publisher | Subscriber] = set()

    async def begin(self) -> None:
        """Begin all clients at the pace of the plan; return when each is live or has failed."""
        pace = Pace()
        for number in range(self.plan.publishers):
            await pace.until(number / self.plan.ramp)
            self._tasks.spawn(self._publish(self._name(number)))
        await self._tasks.settled()
        if self.plan.subscribers and not self._streams:
            self.subscribers.fail("no stream is live that could be watched")
            return
        names = itertools.cycle(self._streams)
        pace = Pace()
        for number in range(self.plan.subscribers):
            await pace.until(number / self.plan.ramp)
            self._tasks.spawn(self._subscribe(next(names)))
        await self._tasks.settled()

    async def _publish(self, name: str) -> None:
        client = self._make_publisher(name)
        self._publishing.append(client)
        if await self._start(self.publishers, client, client.publish):
            self._streams.append(name)

    async def _subscribe(self, name: str) -> None:
        client = self._make_subscriber(name)
        self._watching.append(client)
        await self._start(self.subscribers, client, client.subscribe)

    async def _start(
        self, role: RoleCount, client: Publisher | Subscriber, start: Callable[[], Awaitable[None]]
    ) -> bool:
        loop = asyncio.get_running_loop()
        role.begun += 1
        began = loop.time()
        try:
            await start()
        except StreamError as error:
            role.fail(str(error))
            return False
        role.setup.append(loop.time() - began)
        role.live += 1
        self._live.add(client)
        return True

    def look(self) -> tuple[RoleCount, RoleCount]:
        """Count those that have ended too soon; return how it is."""
        for role, client in self._clients():
            if client.closed.is_set() and client in self._live:
                self._live.discard(client)
                role.live -= 1
                role.lose(client.close_reason or f"ended by the {client.ended_by}")
        return self.publishers, self.subscribers

    async def end(self) -> LoadReport:
        """Count what was sent and received, then end all clients in order: subscribers first."""
        self.look()
        sent = sum(count.packets for client in self._publishing for count in client.statistics.values())
        tracks = [track for client in self._watching for track in client.statistics.values()]
        received, missing = sum(track.packets for track in tracks), sum(track.lost for track in tracks)
        trips = [trip for client in self._publishing if (trip := await client.round_trip_time()) is not None]
        await asyncio.gather(*(client.close() for client in self._watching))
        await asyncio.gather(*(_unpublish(client) for client in self._publishing))
        loss = missing / (received + missing) if received + missing else 0.0
        return LoadReport(self.publishers, self.subscribers, sent, received, loss, Spread.of(trips))

    def _clients(self) -> list[tuple[RoleCount, Publisher | Subscriber]]:
        return [
            *((self.publishers, client) for client in self._publishing),
            *((self.subscribers, client) for client in self._watching),
        ]

    async def close(self) -> None:
        """End what still runs, without a word to the server."""
        self._tasks.cancel()
        await self._tasks.drain(1.0)
        await asyncio.gather(*(client.close() for _, client in self._clients()))


async def _unpublish(client: Publisher) -> None:
    with contextlib.suppress(StreamError):  # it is closed all the same
        if not client.closed.is_set():
            await client.unpublish()
    await client.close()
