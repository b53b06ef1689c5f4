"""The webhook socket ``/{app}/webhook``: lifecycle events as text frames.

It is for pages and commands that watch.

``?customerScope=S`` and ``?event=session,peer_joined`` narrow, ``?since=UUID`` or ``?since=MILLISECONDS`` replays first.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.typedefs import Handler

from smproxy.hooks.broadcast import ALL, Filter, HookBroadcast, HookListener
from smproxy.hooks.journal import Journal, JournalError
from smproxy.hooks.replay import SinceError, Start, find_start, replayed
from smproxy.manager.rest.client_limit import ClientLimit
from smproxy.manager.rest.errors import ApiError
from smproxy.manager.rest.query import Parameters
from smproxy.signaling.hook_names import NAMES

#: Bytes of one incoming message. Nothing that comes in is used; more than this ends the connection with 1009.
MAX_INCOMING = 4 * 1024

#: Seconds that a listener that was dropped has to read what is on its way and the close, before the connection is aborted.
DROPPED_TIMEOUT = 5.0

#: Seconds that a listener has, when the broadcast is closed, to take what is queued, and again to answer the close.
CLOSED_TIMEOUT = 1.0


FILTERS = ("customerScope", "event", "since")


class _RefusedError(Exception):
    """The socket is closed with this code and reason: a page sees these, but no HTTP status."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        super().__init__(reason)

    @property
    def reason(self) -> bytes:
        """As much of the reason as a Close frame may have: 123 bytes of UTF-8 (RFC 6455, 5.5)."""
        return str(self).encode(errors="replace")[:123].decode(errors="ignore").encode()


def _unreadable() -> _RefusedError:
    return _RefusedError(WSCloseCode.INTERNAL_ERROR, "the journal cannot be read")


def webhook_socket(
    broadcast: HookBroadcast,
    journal: Journal | None = None,
    *,
    places: ClientLimit | None = None,
    heartbeat: float = 20.0,
) -> Handler:
    """Make the request handler.

    ``heartbeat``: seconds between pings; a peer that misses one is gone.

    A listener that cannot keep up is closed with 1013, one whose parameters make no sense with 1008. During a replay the
    listener sets the pace. ``await broadcast.close()`` lets every listener have what is queued for it, closes it with 1001,
    and returns when all have gone. Its place is before the server's shutdown: from then on aiohttp reads nothing more, so
    that each closing handshake would run into its time-out of a second.
    """

    taken = places or ClientLimit("listeners on the webhook socket")

    async def handle(request: web.Request) -> web.StreamResponse:
        refusal: _RefusedError | None = None
        wanted, start = ALL, None
        try:
            wanted, since = _asked(request)
            start = None if since is None else await _start(journal, since)
        except _RefusedError as error:
            refusal = error
        # Before the 101, so that a listener misses nothing from the moment on that it is connected.
        with taken.take(), contextlib.closing(broadcast.listen(wanted, held=start is not None)) as listener:
            socket = web.WebSocketResponse(heartbeat=heartbeat, max_msg_size=MAX_INCOMING, compress=False)
            await socket.prepare(request)
            try:
                if refusal is not None:
                    await socket.close(code=refusal.code, message=refusal.reason)
                else:
                    await _serve(socket, listener, _texts(journal, listener, start, wanted))
            finally:
                if socket.close_code == WSCloseCode.ABNORMAL_CLOSURE and request.transport is not None:
                    # What a peer does not read would keep the connection open for ever.
                    request.transport.abort()
            return socket

    return handle


def _asked(request: web.Request) -> tuple[Filter, str | None]:
    """Read the parameters: what, and from where on.

    Raises:
        _RefusedError: one of them makes no sense.
    """
    try:
        parameters = Parameters(request.query, FILTERS)
        names = parameters.choices("event", NAMES)
    except ApiError as error:
        raise _RefusedError(WSCloseCode.POLICY_VIOLATION, str(error)) from None
    return Filter(parameters.text("customerScope"), names), parameters.text("since")


async def _start(journal: Journal | None, since: str) -> Start:
    """Find where a replay begins.

    Raises:
        _RefusedError: there is no such point, or it cannot be looked up.
    """
    try:
        return await find_start(journal, since)
    except SinceError as error:
        raise _RefusedError(WSCloseCode.POLICY_VIOLATION, str(error)) from None
    except JournalError:
        raise _unreadable() from None


async def _texts(
    journal: Journal | None, listener: HookListener, start: Start | None, wanted: Filter
) -> AsyncGenerator[bytes, None]:
    """Yield what the listener is to be sent, first from the journal, then as it happens."""
    if start is not None:
        assert journal is not None
        try:
            async with contextlib.aclosing(replayed(journal, listener, start, wanted)) as past:
                async for text in past:
                    yield text
        except JournalError:
            raise _unreadable() from None
    async for event in listener:
        yield event.body


async def _serve(socket: web.WebSocketResponse, listener: HookListener, texts: AsyncGenerator[bytes, None]) -> None:
    """Send events until the peer leaves or the broadcast ends; then close the socket."""
    reading = asyncio.create_task(_ignore_incoming(socket))
    sending = asyncio.create_task(_send_events(socket, texts))
    ending = asyncio.create_task(listener.ended.wait())
    try:
        await asyncio.wait((reading, sending, ending), return_when=asyncio.FIRST_COMPLETED)
        if ending.done() and not listener.dropped:
            await asyncio.wait((reading, sending), timeout=CLOSED_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # All ended before the close: it waits for the peer's answer only when nobody else is reading.
        tasks = (reading, sending, ending)
        for task in tasks:
            task.cancel()
        _, sent, _ = await asyncio.gather(*tasks, return_exceptions=True)
        reason = b""
        if listener.dropped:
            code, patience = WSCloseCode.TRY_AGAIN_LATER.value, DROPPED_TIMEOUT
        elif isinstance(sent, _RefusedError):
            code, patience, reason = sent.code, CLOSED_TIMEOUT, sent.reason
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


async def _send_events(socket: web.WebSocketResponse, texts: AsyncGenerator[bytes, None]) -> None:
    with contextlib.suppress(ConnectionError):
        async with contextlib.aclosing(texts):
            async for text in texts:
                await socket.send_frame(text, WSMsgType.TEXT)
