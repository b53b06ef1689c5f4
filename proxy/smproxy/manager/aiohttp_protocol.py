"""aiohttp's server protocol with our form of errors and a report of connection phases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from smproxy.http_head import HEAD_LIMIT
from smproxy.manager.upgrade import error_body
from smproxy.signaling.clock import Clock


class BodyTooSlowError(Exception):
    """A request body did not come in time."""


class HttpPhases(Protocol):
    """Takes what an HTTP connection is at, so that its deadlines are the right ones."""

    def busy(self) -> None:
        """A request is being answered."""

    def body(self, too_slow: Callable[[], None]) -> None:
        """The body of a request is being read; ``too_slow`` is called when that takes too long."""

    def idle(self) -> None:
        """A request has been answered."""

    def on_close(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back once the client is gone; return what undoes that."""


class HttpProtocol(RequestHandler):
    """Serve one connection.

    What is no HTTP at all gets its error in JSON, like everything else.
    """

    __slots__ = ("_clock", "phases")

    def __init__(self, server: web.Server, phases: HttpPhases, *, clock: Clock, linger: float) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]
            lingering_time=linger,
            max_line_size=HEAD_LIMIT,
            max_field_size=HEAD_LIMIT,
        )
        self.phases = phases
        self._clock = clock

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what aiohttp cannot parse."""
        if status >= 500:
            super().handle_error(request, status, exc, message)  # logs it
        reason = " ".join((message or "this is not HTTP").split())[:200]
        return self._error(431 if isinstance(exc, LineTooLong) else status, reason)

    def _error(self, status: int, reason: str) -> web.Response:
        response = web.Response(
            status=status,
            body=error_body(reason, self._clock.wall_ms()),
            content_type="application/json",
            headers={"Access-Control-Allow-Origin": "*"},
        )
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer to a request; then the connection is idle."""
        if isinstance(resp, web.HTTPException):  # raised before any middleware, as for an unknown Expect
            resp = self._error(resp.status, resp.reason)
        finished = await super().finish_response(request, resp, start_time)
        self.phases.idle()
        return finished


def begun(request: web.BaseRequest) -> None:
    """Report that a request is being answered."""
    if isinstance(request.protocol, HttpProtocol):
        request.protocol.phases.busy()


@contextmanager
def timed_body(request: web.BaseRequest) -> Iterator[None]:
    """Limit the time for reading the body inside; raises :class:`BodyTooSlowError` there."""
    protocol = request.protocol
    if not isinstance(protocol, HttpProtocol):
        yield
        return
    protocol.phases.body(lambda: request.content.set_exception(BodyTooSlowError()))
    yield
    protocol.phases.busy()


@contextmanager
def until_client_leaves(request: web.BaseRequest) -> Iterator[None]:
    """Cancel what is done inside when the client's connection is gone.

    Raises ``ConnectionResetError`` then.
    """
    task = asyncio.current_task()
    protocol = request.protocol
    if not isinstance(protocol, HttpProtocol) or task is None:
        yield
        return
    left = False

    def cancel() -> None:
        nonlocal left
        left = True
        task.cancel()

    undo = protocol.phases.on_close(cancel)
    try:
        yield
    except asyncio.CancelledError:
        if left and task.uncancel() == 0:
            raise ConnectionResetError("the client has left") from None
        raise
    finally:
        undo()
