"""What the tests of the hooks share: events, an event loop whose time is its own, and a receiver on a real socket."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from smproxy.hooks.event import EncodedEvent, EventFactory, HookEvent, Stored, encode
from smproxy.hooks.retry import RetryProfile
from smproxy.hooks.sink import DELIVERED, Outcome
from smproxy.signaling.clock import Clock
from smproxy.signaling.payloads import Connection, Role, SessionPayload

NOW = 1_790_000_000.123

#: Waits of milliseconds: for real sockets.
QUICK = RetryProfile("quick", (0.01,) * 200, budget=20.0)


def connection(customer_scope: str | None = "acme", **changes: Any) -> Connection:
    """Make the context that travels with an event."""
    values: dict[str, Any] = {
        "id": "cam-1",
        "username": "ann",
        "customer_scope": customer_scope,
        "recording": True,
        "meta": {"room": "A"},
        "app": "live",
        "role": Role.PUBLISHER,
    }
    return Connection(**{**values, **changes})


def hook_event(session: int = 7, seq: int = 1, customer_scope: str | None = "acme", **payload: Any) -> HookEvent:
    """Make a ``session`` event."""
    factory = EventFactory(node=1, clock=Clock(wall=lambda: NOW), rng=random.Random(f"{session}/{seq}"))
    values: dict[str, Any] = {"state": "connecting", "remote_ip": "127.0.0.1", **payload}
    return factory.make(SessionPayload(session=session, **values), seq, connection(customer_scope))


def encoded(session: int = 7, seq: int = 1, customer_scope: str | None = "acme") -> EncodedEvent:
    """Make a ``session`` event as delivery gets it."""
    return encode(hook_event(session, seq, customer_scope))


def stored(session: int = 7, seq: int = 1, number: int = 0) -> Stored:
    """Make a ``session`` event as the journal hands it on."""
    return Stored(number, encoded(session, seq))


class Collector:
    """A sink that takes everything; ``fails`` names the method that raises."""

    def __init__(self, name: str = "http://collector/", fails: str = "", *, takes_internal: bool = False) -> None:
        self.name = name
        self.takes_internal = takes_internal
        self.events: list[EncodedEvent] = []
        self.state: list[str] = []
        self._fails = fails

    async def start(self) -> None:
        if self._fails == "start":
            raise OSError("no room")
        self.state.append("started")

    async def deliver(self, event: EncodedEvent) -> Outcome:
        self.events.append(event)
        return DELIVERED

    async def stop(self) -> None:
        self.state.append("stopped")
        if self._fails == "stop":
            raise OSError("no way out")


class _TimelessSelector(selectors.DefaultSelector):
    """Instead of waiting, moves the time of its loop."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise AssertionError("nothing will ever happen: every task waits for something that is not on its way")
            self.skipped += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that never waits: when all is idle, its time jumps to the next timer. For code without sockets."""

    def __init__(self) -> None:
        self._timeless = _TimelessSelector()
        super().__init__(self._timeless)

    def time(self) -> float:
        return self._timeless.skipped

    def timers(self) -> int:
        """How many timers are set."""
        return sum(not timer.cancelled() for timer in self._scheduled)  # type: ignore[attr-defined]


def run_virtual(main: Coroutine[Any, Any, None]) -> None:
    """Run ``main`` on a loop that never waits, from time 0 on."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main)


@dataclass
class Request:
    """One request as a receiver got it."""

    headers: dict[str, str]
    body: bytes
    peer: tuple[str, int]


@dataclass
class Receiver:
    """A hook receiver of the tests; ``answer`` decides what the n-th request gets."""

    answer: Callable[[web.Request, int], Awaitable[web.StreamResponse]]
    url: str = ""
    requests: list[Request] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        body = await request.read()
        self.requests.append(Request(dict(request.headers), body, request.transport.get_extra_info("peername")))
        return await self.answer(request, len(self.requests))

    @property
    def bodies(self) -> list[bytes]:
        return [request.body for request in self.requests]


def always(status: int = 204, **kwargs: Any) -> Callable[[web.Request, int], Awaitable[web.StreamResponse]]:
    """Answer every request alike."""
    return statuses(status, **kwargs)


def statuses(*codes: int, **kwargs: Any) -> Callable[[web.Request, int], Awaitable[web.StreamResponse]]:
    """Answer with the statuses given, then with the last one for ever."""

    async def answer(_request: web.Request, count: int) -> web.StreamResponse:
        return web.Response(status=codes[min(count, len(codes)) - 1], **kwargs)

    return answer


@asynccontextmanager
async def receiver(
    answer: Callable[[web.Request, int], Awaitable[web.StreamResponse]] | None = None, port: int = 0
) -> AsyncIterator[Receiver]:
    """Run a receiver at a free port (or at ``port``); its path is /hooks."""
    made = Receiver(answer or always())
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks"
        yield made
    finally:
        await runner.cleanup()
