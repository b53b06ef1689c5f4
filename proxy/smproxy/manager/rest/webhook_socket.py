"""The webhook socket ``/{app}/webhook``: lifecycle events as text frames, for a page or a command that wants to watch.

``?customerScope=S`` and ``?event=session,peer_joined`` narrow, ``?since=UUID`` or ``?since=MILLISECONDS`` replays first.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping

from aiohttp import WSCloseCode, web
from aiohttp.typedefs import Handler

from smproxy.hooks.broadcast import Filter, Interceptor, Subscription, TooManyListenersError
from smproxy.hooks.journal import Journal, JournalError
from smproxy.hooks.names import NAMES
from smproxy.hooks.replay import SinceError, find_start, replayed

#: Bytes of one incoming message. Nothing that comes in is used; more than this ends the connection with 1009.
MAX_INCOMING = 4 * 1024

#: Seconds that a listener that was dropped has to read what is on its way and the close, before the connection is aborted.
DROPPED_TIMEOUT = 5.0

#: Seconds that a listener has, when the interceptor is closed, to take what is queued, and again to answer the close.
CLOSED_TIMEOUT = 1.0


class _RefusedError(Exception):
    """The socket is closed with this code and reason: a page sees these, but no HTTP status."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        super().__init__(reason)


def webhook_socket(interceptor: Interceptor, journal: Journal | None = None, *, heartbeat: float = 20.0) -> Handler:
    """Make the request handler. ``heartbeat``: seconds between pings; a peer that misses one is gone.

    A listener that cannot keep up is closed with 1013, one whose parameters make no sense with 1008. During a replay the
    listener sets the pace. ``await interceptor.close()`` lets every listener have what is queued for it, closes it with 1001,
    and returns when all have gone. Its place is before the server's shutdown: from then on aiohttp reads nothing more, so
    that each closing handshake would run into its time-out of a second.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        since = request.query.get("since")
        wanted, problem = _wanted(request.query)
        try:
            # Before the 101, so that a listener misses nothing from the moment on that it is connected.
            subscription = interceptor.subscribe(wanted, held=since is not None)
        except TooManyListenersError as error:
            raise web.HTTPServiceUnavailable(text=f"{error}\n") from None
        with contextlib.closing(subscription):
            socket = web.WebSocketResponse(heartbeat=heartbeat, max_msg_size=MAX_INCOMING, compress=False)
            await socket.prepare(request)
            try:
                if problem:
                    await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=problem.encode())
                else:
                    await _serve(socket, subscription, _texts(journal, subscription, since))
            finally:
                if socket.close_code == WSCloseCode.ABNORMAL_CLOSURE and request.transport is not None:
                    # What a peer does not read would keep the connection open for ever.
                    request.transport.abort()
            return socket

    return handle


def _wanted(query: Mapping[str, str]) -> tuple[Filter, str]:
    """Read the filters; the second value says what is wrong with them."""
    names = frozenset(name.strip() for name in query.get("event", "").split(",") if name.strip())
    if unknown := names.difference(NAMES):
        return Filter(), f"event: unknown name {min(unknown)[:40]!r}"
    return Filter(query.get("customerScope") or None, names), ""


async def _texts(journal: Journal | None, subscription: Subscription, since: str | None) -> AsyncGenerator[str, None]:
    """Yield what the listener is to be sent, first from the journal, then as it happens."""
    if since is not None:
        try:
            start = await find_start(journal, since)
            assert journal is not None
            async with contextlib.aclosing(replayed(journal, subscription, start)) as past:
                async for text in past:
                    yield text
        except SinceError as error:
            raise _RefusedError(WSCloseCode.POLICY_VIOLATION, str(error)) from None
        except JournalError:
            raise _RefusedError(WSCloseCode.INTERNAL_ERROR, "the journal cannot be read") from None
    async for text in subscription:
        yield text


async def _serve(socket: web.WebSocketResponse, subscription: Subscription, texts: AsyncGenerator[str, None]) -> None:
    """Send events until the peer leaves or the subscription ends; then close the socket."""
    reading = asyncio.create_task(_ignore_incoming(socket))
    sending = asyncio.create_task(_send_events(socket, texts))
    ending = asyncio.create_task(subscription.ended.wait())
    try:
        await asyncio.wait((reading, sending, ending), return_when=asyncio.FIRST_COMPLETED)
        if ending.done() and not subscription.dropped:
            await asyncio.wait((reading, sending), timeout=CLOSED_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # All ended before the close: it waits for the peer's answer only when nobody else is reading.
        tasks = (reading, sending, ending)
        for task in tasks:
            task.cancel()
        _, sent, _ = await asyncio.gather(*tasks, return_exceptions=True)
        reason = b""
        if subscription.dropped:
            code, patience = WSCloseCode.TRY_AGAIN_LATER.value, DROPPED_TIMEOUT
        elif isinstance(sent, _RefusedError):
            code, patience, reason = sent.code, CLOSED_TIMEOUT, str(sent).encode()
        else:
            code, patience = WSCloseCode.GOING_AWAY.value, CLOSED_TIMEOUT
        # Not drained: a listener that was dropped has a full buffer. After a close from the peer this does nothing.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await socket.close(code=code, message=reason, drain=False)
    if isinstance(sent, Exception) and not isinstance(sent, _RefusedError):
        raise sent


async def _ignore_incoming(socket: web.WebSocketResponse) -> None:
    """Read, so that pings, pongs and the close are seen; returns when the connection ends."""
    async for _ in socket:
        pass


async def _send_events(socket: web.WebSocketResponse, texts: AsyncGenerator[str, None]) -> None:
    with contextlib.suppress(ConnectionError):
        async with contextlib.aclosing(texts):
            async for text in texts:
                await socket.send_str(text)
