"""One client's WebSocket: websockets' sans-I/O core on an asyncio transport.

websockets has a server for asyncio, too. That takes six tasks for each connection, and a context manager for each message: a
sixth of the CPU time of a whole publish.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol, Side, State

from smproxy.origin.settings import OriginSettings

#: The library's own log: its lines hold whole request URLs, and so passwords; what matters the origin logs itself.
_quiet = logging.getLogger("smproxy.origin.websocket")
_quiet.setLevel(logging.CRITICAL)

#: Seconds that a client has to answer a close.
CLOSE_TIMEOUT = 0.4
#: Messages that wait for the session before the client is not read from, and at how many it is read from again.
_PAUSE_AT, _RESUME_AT = 16, 4
#: Bytes that wait for a client that does not read, before its session waits, too.
_HIGH_WATER = 32_768


class ClientSocket(asyncio.Protocol):
    """An open WebSocket. Iterating gives the client's messages until the connection is gone.

    Made when the handshake is done: its first data is what came behind the request, and it is the transport's protocol from
    then on.
    """

    def __init__(self, transport: asyncio.Transport, settings: OriginSettings) -> None:
        self._transport = transport
        self._settings = settings
        self._core = Protocol(Side.SERVER, state=State.OPEN, max_size=settings.max_message, logger=_quiet)
        self._loop = asyncio.get_running_loop()
        self._messages: deque[str | bytes] = deque()
        #: Set when there is a message or the end.
        self._arrived: asyncio.Future[None] | None = None
        self._reading = True
        #: The message whose fragments come, and whether it is a text.
        self._fragments, self._is_text = b"", False
        self._drained: asyncio.Future[None] | None = None
        self._gone: asyncio.Future[None] = self._loop.create_future()
        #: When to abort a close that is not answered; when to send a ping, or to give up waiting for the answer.
        self._deadline: asyncio.TimerHandle | None = None
        self._keep_alive: asyncio.TimerHandle | None = None
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        transport.set_protocol(self)
        self._ping_later()

    @property
    def close_code(self) -> int | None:
        """The code with which the client closed, 1006 when it did not; ``None`` while it is there."""
        return self._core.close_code

    # messages ---------------------------------------------------------------------------------------------------------

    def __aiter__(self) -> ClientSocket:
        return self

    async def __anext__(self) -> str | bytes:
        while not self._messages:
            if self._gone.done():
                raise StopAsyncIteration
            self._arrived = self._loop.create_future()
            await self._arrived
        message = self._messages.popleft()
        if not self._reading and len(self._messages) <= _RESUME_AT and not self._gone.done():
            self._reading = True
            self._transport.resume_reading()
        return message

    async def send(self, text: str) -> None:
        """Send a text, and wait while the client does not read; drop it when the socket is closed."""
        if self._core.state is State.OPEN:
            self._core.send_text(text.encode())
            self._write()
            if self._drained is not None:
                await asyncio.wait((self._drained,))

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE) -> None:
        """Close, and return when the connection is gone."""
        if self._core.state is State.OPEN:
            self._core.send_close(code)
            self._write()
        self._expect_end()
        await asyncio.wait((self._gone,))

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    # the connection ---------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        self._core.receive_data(data)
        frames = self._core.events_received()
        self._write()
        for frame in frames:
            if isinstance(frame, Frame):
                self._take(frame)

    def _take(self, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY:
                self._is_text = frame.opcode is Opcode.TEXT
                self._fragments = bytes(frame.data)
            case Opcode.CONT:
                self._fragments += frame.data
            case Opcode.PONG:
                self._ping_later()
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT) and frame.fin:
            self._complete()

    def _complete(self) -> None:
        message, self._fragments = self._fragments, b""
        try:
            self._messages.append(message.decode() if self._is_text else message)
        except UnicodeDecodeError as exc:
            self._fail(CloseCode.INVALID_DATA, f"{exc.reason} at position {exc.start}")
            return
        if self._reading and len(self._messages) >= _PAUSE_AT:
            self._reading = False
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Note the end of what the client sends."""
        self._core.receive_eof()
        self._write()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._core.receive_eof()
        for timer in (self._deadline, self._keep_alive):
            if timer is not None:
                timer.cancel()
        self._gone.set_result(None)
        self.resume_writing()
        self._wake()

    def pause_writing(self) -> None:
        """Have who sends wait."""
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let who sends go on."""
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _write(self) -> None:
        for data in self._core.data_to_send():
            if data:
                self._transport.write(data)
            else:  # all is said
                self._expect_end()
                if self._transport.can_write_eof() and not self._transport.is_closing():
                    self._transport.write_eof()

    def _fail(self, code: CloseCode, reason: str) -> None:
        self._core.fail(code, reason)
        self._write()

    def _expect_end(self) -> None:
        if self._deadline is None and not self._gone.done():
            self._deadline = self._loop.call_later(CLOSE_TIMEOUT, self._transport.abort)

    # keep-alive -------------------------------------------------------------------------------------------------------

    def _ping_later(self) -> None:
        if self._keep_alive is not None:
            self._keep_alive.cancel()
        if self._settings.ping_interval is not None:
            self._keep_alive = self._loop.call_later(self._settings.ping_interval, self._ping)

    def _ping(self) -> None:
        if self._core.state is not State.OPEN:
            return
        self._core.send_ping(b"")
        self._write()
        if self._settings.ping_timeout is not None:
            self._keep_alive = self._loop.call_later(self._settings.ping_timeout, self._give_up)

    def _give_up(self) -> None:
        self._fail(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
