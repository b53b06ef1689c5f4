"""A real HTTP server that receives lifecycle hooks, and misbehaves on request."""

from __future__ import annotations

import asyncio
import json
import ssl as tls
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from smproxy.signaling.clock import monotonic
from smproxy.testing.hook_log import HookLog
from smproxy.testing.hooks import Expectations
from smproxy.testing.local_server import LocalServer

Event: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReceivedHook:
    """One delivery as it arrived: ``body`` has the very bytes that a signature is made over."""

    body: bytes
    event: Event
    headers: CIMultiDictProxy[str] = field(repr=False)
    #: seconds of the monotonic clock when the body was complete.
    arrived: float

    @property
    def uuid(self) -> str:
        """Identity of the event: the same on every attempt to deliver it."""
        return str(self.event.get("uuid", ""))

    @property
    def name(self) -> str:
        """``session``, ``peer``, ``remote_track``, ``local_track`` or ``recording``."""
        return str(self.event.get("event", ""))

    @property
    def state(self) -> str:
        """What happened, whichever kind of event it is.

        ``connected``, ``peer_joined``, ``remote_track_started`` …
        """
        payload = self.event.get("payload") or {}
        return str(payload.get("state") or payload.get("event") or "")

    @property
    def session(self) -> int | None:
        """Number of the session that the event belongs to."""
        return (self.event.get("payload") or {}).get("session")


#: Special answers: never answer; drop the connection without an answer; drop it in the middle of one.
HANG: Final = "hang"
DROP: Final = "drop"
CUT: Final = "cut"


@dataclass(frozen=True, slots=True)
class Answer:
    """A full HTTP answer, for instance ``Answer(503, {"Retry-After": "1"})``."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


#: How to respond to one delivery. A number is a status.
Response: TypeAlias = int | Answer | Literal["hang", "drop", "cut"]
Responder: TypeAlias = Callable[[ReceivedHook], Response | Awaitable[Response]]


class WebhookReceiver(LocalServer, Expectations):
    """A hook receiver on a free loopback port, as an async context manager.

    ``expect``, ``expect_order`` and ``none`` are about what arrives here, each attempt by itself, refused ones included.

    ``respond`` decides what each delivery gets, refused ones included in ``hooks``:

    * a status, an ``Answer``, or ``"hang"``, ``"drop"``, ``"cut"``: for every delivery;
    * a sequence of these: one for each delivery in turn, 204 when it is used up;
    * a callable, plain or async, that is given the ``ReceivedHook``.
    """

    def __init__(
        self,
        respond: Response | Iterable[Response] | Responder = 204,
        *,
        path: str = "/hooks",
        host: str = "127.0.0.1",
        port: int = 0,
        ssl: tls.SSLContext | None = None,
    ) -> None:
        super().__init__(host, port, ssl)
        self.respond = respond
        #: Everything that came, in the order of arrival, repeated attempts included.
        self.hooks: list[ReceivedHook] = []
        #: Bodies that were not a JSON object.
        self.malformed: list[bytes] = []
        self._log = HookLog()
        self._path = path
        self._changed = asyncio.Event()

    @property
    def respond(self) -> object:
        """What deliveries get; assign to change it at any time."""
        return self._respond

    @respond.setter
    def respond(self, value: Response | Iterable[Response] | Responder) -> None:
        if isinstance(value, str | int | Answer) or callable(value):
            self._respond: Response | deque[Response] | Responder = value
        else:
            self._respond = deque(value)

    @property
    def url(self) -> str:
        """Where to send hooks."""
        return f"{self._base}{self._path}"

    @property
    def events(self) -> list[Event]:
        """The events, each once, in the order of first arrival."""
        return [hook.event for hook in {hook.uuid or str(id(hook)): hook for hook in reversed(self.hooks)}.values()][
            ::-1
        ]

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=2**20)
        app.router.add_post(self._path, self._receive)
        return app

    async def wait_for(self, predicate: Callable[[ReceivedHook], object], timeout: float = 5.0) -> ReceivedHook:
        """Return the first hook, past or future, for which ``predicate`` holds.

        Raises:
            TimeoutError: There was none within ``timeout`` seconds; the message lists what did come.
        """
        seen = 0
        try:
            async with asyncio.timeout(timeout):
                while True:
                    while seen < len(self.hooks):
                        hook = self.hooks[seen]
                        seen += 1
                        if predicate(hook):
                            return hook
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            came = ", ".join(hook.state for hook in self.hooks) or "none"
            raise TimeoutError(f"no such hook within {timeout:g} s; received: {came}") from None

    async def wait_for_count(self, count: int, timeout: float = 5.0) -> list[ReceivedHook]:
        """Wait until ``count`` deliveries have come and return them all.

        Raises ``TimeoutError`` like ``wait_for``.
        """
        if count > len(self.hooks):
            await self.wait_for(lambda _: len(self.hooks) >= count, timeout)
        return list(self.hooks)

    def reset(self) -> None:
        """Forget what came, and answer everything with 204 again."""
        self.hooks.clear()
        self.malformed.clear()
        self._start = self._log.count
        self.respond = 204

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        try:
            event = json.loads(body)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            self.malformed.append(body)
            return web.Response(status=400)
        headers = CIMultiDictProxy(CIMultiDict(request.headers))
        hook = ReceivedHook(body, event, headers, monotonic())
        self.hooks.append(hook)
        self._log.add(body, event)
        self._changed.set()
        response = await self._next_response(hook)
        if response == HANG:
            await self._released.wait()
            return web.Response(status=503)
        if response in (DROP, CUT):
            transport = request.transport
            if transport is not None:
                if response == CUT:
                    transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
                    transport.close()
                else:
                    transport.abort()
            return web.Response()
        if isinstance(response, Answer):
            return web.Response(status=response.status, headers=response.headers, text=response.body)
        return web.Response(status=int(response))

    async def _next_response(self, hook: ReceivedHook) -> Response:
        respond = self._respond
        if isinstance(respond, deque):
            return respond.popleft() if respond else 204
        if callable(respond):
            outcome = respond(hook)
            return await outcome if isinstance(outcome, Awaitable) else outcome
        return respond
