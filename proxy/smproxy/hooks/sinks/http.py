"""An HTTP/1.1 client for many small POSTs to one URL, over connections that are kept alive.

General clients spend most of a POST on what hooks do not need: aiohttp alone costs more than the journal and the delivery
together (``bench/hooks.py``). Answers are parsed by llhttp (``httptools``).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import cast

import msgspec
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from yarl import URL

#: Bytes of an answer's body that are read, so that the connection can be used again; beyond, it is dropped.
MAX_ANSWER = 64 * 1024

#: Bytes of an answer's head, interim answers included.
MAX_HEAD = 64 * 1024

# Common servers close an idle connection after 5 s. Letting go first avoids sending into a connection that is being closed.
_KEEP_ALIVE = 4.0


class BrokenError(ConnectionError):
    """There is no answer, and why.

    ``unread`` says that the connection was lost before anything came on it.
    """

    def __init__(self, why: str, *, unread: bool = False) -> None:
        self.unread = unread
        super().__init__(why)


class ReceiverAnswer(msgspec.Struct, frozen=True, gc=False):
    """What a sink needs to know of an answer; its body is read and forgotten."""

    status: int
    retry_after: str | None


class _KeptConnection(asyncio.Protocol):
    """One connection: a request at a time. The methods ``on_…`` are called by the parser.

    The parser stays for all answers: one that does not end cleanly ends the connection.
    """

    def __init__(self) -> None:
        self.idle_since = 0.0
        self.usable = False
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[ReceiverAnswer] | None = None
        self._parser = HttpResponseParser(self)
        self._new_answer()

    def _new_answer(self) -> None:
        self._retry_after: str | None = None
        self._status = self._read = self._head = self._body = 0
        self._has_head = self._has_length = self._complete = self._keep = False

    def send(self, request: bytes) -> asyncio.Future[ReceiverAnswer]:
        """Send a request; the future gives its answer, or a ``BrokenError``."""
        assert self._transport is not None
        self.usable = False
        self._new_answer()
        self._waiter = waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return waiter

    def time_out(self) -> None:
        """Close at once; a request under way has taken too long."""
        waiter, self._waiter = self._waiter, None
        self.close()
        if waiter is not None and not waiter.done():
            waiter.set_exception(TimeoutError())

    def close(self) -> None:
        """Close at once; a request under way fails."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()
        self._fail("closed")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.usable = True

    def data_received(self, data: bytes) -> None:
        if self._waiter is None or self._complete:  # nobody asked
            self.close()
            return
        self._read += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._break("the answer switches protocols, which was not asked for (101)")
            return
        except HttpParserError:
            if not self._complete:  # else it is what follows an answer, and ends the connection only
                self._break("the answer is not HTTP/1.1, or its head is too long")
                return
            self._keep = False
        if self._complete:
            self._succeed(self._keep)
        elif self._has_head and self._body > MAX_ANSWER:
            self._succeed(keep=False)
        elif not self._has_head and self._read > MAX_HEAD:
            self._break("the answer's head is too long")

    def on_message_begin(self) -> None:
        if self._complete:  # nobody asked for another answer
            self._keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head += len(name) + len(value)
        if self._head > MAX_HEAD:
            raise ValueError  # ends the parsing
        key = name.lower()
        if self._complete:
            return
        if key == b"retry-after":
            self._retry_after = value.decode("latin-1")
        elif key in (b"content-length", b"transfer-encoding"):
            self._has_length = True

    def on_headers_complete(self) -> None:
        if not self._complete:
            self._status = self._parser.get_status_code()
            self._has_head = self._status >= 200

    def on_body(self, body: bytes) -> None:
        self._body += len(body)

    def on_message_complete(self) -> None:
        if self._complete:
            return
        if self._has_head:
            self._complete = True
            self._keep = self._parser.should_keep_alive()  # known only here
        else:  # an interim answer (RFC 9110, section 15.2): the real one follows
            self._retry_after, self._has_length = None, False

    def eof_received(self) -> bool:
        if self._has_head and not self._has_length and not self._complete:
            self._succeed(keep=False)  # the end of the connection is the end of this body (RFC 9112, section 6.3)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._transport = None
        self._fail("the connection broke before the answer was complete")

    def _succeed(self, keep: bool) -> None:
        waiter, self._waiter = self._waiter, None
        self.usable = keep
        if not keep and self._transport is not None:
            self._transport.abort()
        if waiter is not None and not waiter.done():
            waiter.set_result(ReceiverAnswer(self._status, self._retry_after))

    def _break(self, why: str) -> None:
        self._fail(why)
        self.close()

    def _fail(self, why: str) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(BrokenError(why, unread=self._read == 0))


class HttpPoster:
    """Posts to one URL. ``headers`` go with every request.

    ``timeout`` is seconds, from connecting to the end of the answer.
    """

    def __init__(
        self, url: URL, headers: Mapping[str, str], *, timeout: float, context: ssl.SSLContext | None = None
    ) -> None:
        assert url.raw_host is not None
        self._host = url.raw_host
        self._port = url.port or 80
        self._timeout = timeout
        self._context = context
        lines = [f"POST {url.raw_path_qs} HTTP/1.1", f"Host: {url.host_port_subcomponent}", "Accept: */*"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._head = "\r\n".join(lines)
        self._idle: list[_KeptConnection] = []
        #: The requests under way, and when each has taken too long.
        self._busy: dict[_KeptConnection, float] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        #: For the request that is the first to take too long. One timer for all: one for each took a sixth of a request.
        self._timer: asyncio.TimerHandle | None = None

    async def post(self, body: bytes, headers: Mapping[str, str]) -> ReceiverAnswer:
        """Post once.

        Raises:
            TimeoutError: there was no whole answer in time.
            OSError: the connection cannot be made, or broke.
        """
        extra = "".join(f"\r\n{name}: {value}" for name, value in headers.items())
        request = f"{self._head}{extra}\r\nContent-Length: {len(body)}\r\n\r\n".encode("latin-1") + body
        due = asyncio.get_running_loop().time() + self._timeout
        while (connection := self._take()) is not None:
            try:
                return await self._ask(connection, request, due, kept=True)
            except _StaleError:
                # A receiver may close an idle connection at the moment it is used: that says nothing about this request.
                continue
        async with asyncio.timeout_at(due):
            connection = await self._connect()
        return await self._ask(connection, request, due, kept=False)

    def close(self) -> None:
        """Close every connection."""
        for timer in (self._sweeper, self._timer):
            if timer is not None:
                timer.cancel()
        for connection in (*self._idle, *self._busy):
            connection.close()
        self._idle.clear()

    def _take(self) -> _KeptConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    def _keep(self, connection: _KeptConnection) -> None:
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(_KEEP_ALIVE / 2, self._sweep)

    def _sweep(self) -> None:
        """Drop what has been idle for long; the connection used last is the last of the list."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - _KEEP_ALIVE / 2
        for connection in [each for each in self._idle if each.idle_since <= oldest]:
            self._idle.remove(connection)
            connection.close()
        self._sweeper = loop.call_later(_KEEP_ALIVE / 2, self._sweep) if self._idle else None

    async def _connect(self) -> _KeptConnection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_KeptConnection, self._host, self._port, ssl=self._context)
        return connection

    def _watch(self, connection: _KeptConnection, due: float) -> None:
        """Note when a request has taken too long."""
        self._busy[connection] = due
        if self._timer is None or due < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_at(due, self._expire)

    def _expire(self) -> None:
        """End what has taken too long; wait for the next."""
        loop = asyncio.get_running_loop()
        now, self._timer = loop.time(), None
        for connection in [each for each, due in self._busy.items() if due <= now]:
            connection.time_out()
            del self._busy[connection]
        if self._busy:
            self._timer = loop.call_at(min(self._busy.values()), self._expire)

    async def _ask(self, connection: _KeptConnection, request: bytes, due: float, *, kept: bool) -> ReceiverAnswer:
        self._watch(connection, due)
        try:
            answer = await connection.send(request)
        except BrokenError as error:
            if kept and error.unread:
                raise _StaleError from None
            raise
        except BaseException:  # given up: what comes on it now would be taken for the next answer
            connection.close()
            raise
        finally:
            self._busy.pop(connection, None)
        if connection.usable:
            self._keep(connection)
        return answer


class _StaleError(Exception):
    """A kept connection was gone when it was used."""
