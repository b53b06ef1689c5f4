"""A real HTTP server that decides who may publish and subscribe, and misbehaves on request."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from smproxy.testing.local_server import LocalServer


@dataclass(frozen=True, slots=True)
class AuthCall:
    """One question, or the end of a session."""

    kind: Literal["validate", "invalidate"]
    #: What came, with the credentials.
    body: dict[str, Any] = field(repr=False)

    @property
    def username(self) -> str:
        """The user that was asked about."""
        return str(self.body.get("username", ""))

    @property
    def stream(self) -> str:
        """The stream that was asked about."""
        return str(self.body.get("streamID", ""))


class AuthBackEnd(LocalServer):
    """An authentication back end on a free loopback port, as an async context manager.

    At first it allows everybody.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host, port)
        #: Everything that came, in the order of arrival.
        self.calls: list[AuthCall] = []
        self._changed = asyncio.Event()
        self.allow()

    @property
    def url(self) -> str:
        """The base URL, for ``auth_uri``."""
        return self._base

    def allow(self, **answer: Any) -> None:
        """Allow everybody, at once; ``answer`` are more keys of the answer, such as ``url``."""
        self._denied: frozenset[str] | None = frozenset()
        self._status = 200
        self._body: str | None = None
        self._delay = 0.0
        self._more = answer

    def deny(self, *usernames: str) -> None:
        """Deny these users, or everybody."""
        self._denied = frozenset(usernames) or None

    def answer(self, *, status: int = 200, body: str | None = None) -> None:
        """Answer every question with this status, and this body if there is one."""
        self._status, self._body = status, body

    def delay(self, seconds: float) -> None:
        """Answer later."""
        self._delay = seconds

    async def wait_for_count(self, count: int, timeout: float = 5.0) -> list[AuthCall]:
        """Wait until ``count`` calls have come and return them all.

        Raises:
            TimeoutError: fewer came within ``timeout`` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while len(self.calls) < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"{len(self.calls)} of {count} calls came within {timeout:g} s") from None
        return list(self.calls)

    def reset(self) -> None:
        """Forget the calls, and allow everybody again."""
        self.calls.clear()
        self.allow()

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/validateCredentials", self._validate)
        app.router.add_post("/invalidateCredentials", self._invalidate)
        return app

    async def _validate(self, request: web.Request) -> web.Response:
        call = await self._note("validate", request)
        if self._delay:
            try:
                async with asyncio.timeout(self._delay):
                    await self._released.wait()
            except TimeoutError:
                pass
        if self._body is not None or self._status != 200:
            return web.Response(status=self._status, text=self._body or "")
        allowed = self._denied is not None and call.username not in self._denied
        return web.json_response({"result": allowed} | (self._more if allowed else {}))

    async def _invalidate(self, request: web.Request) -> web.Response:
        await self._note("invalidate", request)
        return web.json_response({"result": True})

    async def _note(self, kind: Literal["validate", "invalidate"], request: web.Request) -> AuthCall:
        try:
            body = json.loads(await request.read())
        except ValueError:
            body = None
        call = AuthCall(kind, body if isinstance(body, dict) else {})
        self.calls.append(call)
        self._changed.set()
        return call
