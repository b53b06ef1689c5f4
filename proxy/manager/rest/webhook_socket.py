"""The webhook socket ``/{app}/webhook[?customerScope=…]``: lifecycle events as text frames, for a page that wants to watch."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import WSCloseCode, web
from aiohttp.typedefs import Handler

from proxy.hooks.interceptor import Interceptor, Subscription, TooManyListenersError

#: Bytes of one incoming message. Nothing that comes in is used; more than this ends the connection with 1009.
MAX_INCOMING = 4 * 1024

#: Seconds that a listener that was dropped has to read what is on its way and the close, before the connection is aborted.
DROPPED_TIMEOUT = 5.0

#: Seconds that a listener has, when the interceptor is closed, to take what is queued, and again to answer the close.
CLOSED_TIMEOUT = 1.0


def webhook_socket(interceptor: Interceptor, *, heartbeat: float = 20.0) -> Handler:
    """Make the request handler. ``heartbeat``: seconds between pings; a peer that misses one is gone.

    A listener that cannot keep up is closed with 1013. ``await interceptor.close()`` lets every listener have what is queued
    for it, closes it with 1001, and returns when all have gone. Its place is before the server's shutdown: from then on
    aiohttp reads nothing more, so that each closing handshake would run into its time-out of a second.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            # Before the 101, so that a listener misses nothing from the moment on that it is connected.
            subscription = interceptor.subscribe(request.query.get("customerScope") or None)
        except TooManyListenersError as error:
            raise web.HTTPServiceUnavailable(text=f"{error}\n") from None
        with contextlib.closing(subscription):
            socket = web.WebSocketResponse(heartbeat=heartbeat, max_msg_size=MAX_INCOMING, compress=False)
            await socket.prepare(request)
            try:
                await _serve(socket, subscription)
            finally:
                if socket.close_code == WSCloseCode.ABNORMAL_CLOSURE and request.transport is not None:
                    # What a peer does not read would keep the connection open for ever.
                    request.transport.abort()
            return socket

    return handle


async def _serve(socket: web.WebSocketResponse, subscription: Subscription) -> None:
    """Send events until the peer leaves or the subscription ends; then close the socket."""
    reading = asyncio.create_task(_ignore_incoming(socket))
    sending = asyncio.create_task(_send_events(socket, subscription))
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
        await asyncio.gather(*tasks, return_exceptions=True)
        if subscription.dropped:
            code, patience = WSCloseCode.TRY_AGAIN_LATER, DROPPED_TIMEOUT
        else:
            code, patience = WSCloseCode.GOING_AWAY, CLOSED_TIMEOUT
        # Not drained: a listener that was dropped has a full buffer. After a close from the peer this does nothing.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await socket.close(code=code, drain=False)


async def _ignore_incoming(socket: web.WebSocketResponse) -> None:
    """Read, so that pings, pongs and the close are seen; returns when the connection ends."""
    async for _ in socket:
        pass


async def _send_events(socket: web.WebSocketResponse, subscription: Subscription) -> None:
    with contextlib.suppress(ConnectionError):
        async for text in subscription:
            await socket.send_str(text)
