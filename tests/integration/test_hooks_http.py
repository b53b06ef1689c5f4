"""The hook sinks' HTTP client takes every answer that HTTP/1.1 allows, and nothing else for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from smproxy.hooks.sinks.http import BrokenError, HttpPoster, ReceiverAnswer
from yarl import URL

from tests.helpers import eventually, scaled


class Server:
    """A server on a bare socket; ``requests`` holds what came, ``connections`` how many there were."""

    def __init__(self) -> None:
        self.url = URL()
        self.requests: list[bytes] = []
        self.connections = 0


@asynccontextmanager
async def serving(*answers: bytes, close: bool = False) -> AsyncIterator[Server]:
    """Serve: the requests of a connection get ``answers`` in turn; then, or after each with ``close``, it is closed."""
    server = Server()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            for answer in answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                server.requests.append(head + await reader.readexactly(length))
                writer.write(answer)
                await writer.drain()
                if close:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    server.url = URL(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/a%20b?c=x")
    try:
        yield server
    finally:
        listening.close()


@asynccontextmanager
async def posting(url: URL, timeout: float = 5.0) -> AsyncIterator[HttpPoster]:
    poster = HttpPoster(url, {"X-Always": "1"}, timeout=scaled(timeout))
    try:
        yield poster
    finally:
        poster.close()


INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX: y\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_request() -> None:
    """A request has the URL's path and query as written, its host with the port, both kinds of headers, and the body."""
    async with serving(OK) as server, posting(server.url) as poster:
        assert await poster.post(b"{}", {"webhook-id": "x"}) == ReceiverAnswer(200, None)
        head, body = server.requests[0].split(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert lines[0] == "POST /a%20b?c=x HTTP/1.1"
        assert f"Host: 127.0.0.1:{server.url.port}" in lines
        assert {"X-Always: 1", "webhook-id: x", "Content-Length: 2"} <= set(lines)
        assert body == b"{}"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (OK, 200),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200),
        (INTERIM + b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 201),
    ],
    ids=["length", "no content", "chunked", "interim answers first"],
)
async def test_answers_that_keep_the_connection(answer: bytes, status: int) -> None:
    """An answer whose end is known leaves its connection for the next request."""
    async with serving(answer, answer, answer) as server, posting(server.url) as poster:
        for _ in range(3):
            assert (await poster.post(b"x", {})).status == status
        assert server.connections == 1


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", 200),
        (b"HTTP/1.0 503 Busy\r\nRetry-After: 7\r\n\r\n", 503),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 70_000, 200),
        (OK + b"HTTP/1.1 200 OK\r\n", 200),
    ],
    ids=["until the end", "HTTP/1.0", "connection: close", "endless", "more than was asked for"],
)
async def test_answers_that_end_the_connection(answer: bytes, status: int) -> None:
    """An answer that ends with its connection, or goes on for too long, counts; the next request has a new connection."""
    async with serving(answer, close=True) as server, posting(server.url) as poster:
        for _ in range(2):
            assert (await poster.post(b"x", {})).status == status
        assert server.connections == 2


async def test_retry_after() -> None:
    """The header is passed on, of the final answer only and whatever its case."""
    answer = (
        b"HTTP/1.1 100 Continue\r\nRetry-After: 1\r\n\r\nHTTP/1.1 429 No\r\nRETRY-AFTER: 9\r\nContent-Length: 0\r\n\r\n"
    )
    async with serving(answer) as server, posting(server.url) as poster:
        assert await poster.post(b"x", {}) == ReceiverAnswer(429, "9")


async def test_kept_connection_that_was_closed() -> None:
    """A kept connection that the receiver has closed is replaced, and the request is sent on the new one."""
    async with (
        serving(OK) as server,
        posting(server.url) as poster,
    ):  # each connection takes one request, then is closed
        for _ in range(5):
            assert (await poster.post(b"x", {})).status == 200
        assert len(server.requests) == 5


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ncut",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ncut",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
    ids=["nothing", "cut body", "cut chunk", "not HTTP", "interim only"],
)
async def test_no_answer(answer: bytes) -> None:
    """What is not a whole answer is none, and is not asked for twice: the receiver may have had the event."""
    async with serving(answer, close=True) as server, posting(server.url) as poster:
        with pytest.raises(BrokenError):
            await poster.post(b"x", {})
        assert len(server.requests) == 1


async def test_given_up_request_leaves_no_answer_behind() -> None:
    """After a time-out the connection is not used again, so a late answer is never taken for the next one's."""
    release = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            if b"slow" in request:
                await release.wait()
            writer.write(b"HTTP/1.1 500 Late\r\nContent-Length: 0\r\n\r\n" if b"slow" in request else OK)
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    url = URL(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/")
    async with listening, posting(url, timeout=0.2) as poster:
        with pytest.raises(TimeoutError):
            await poster.post(b"", {"x": "slow"})
        release.set()
        assert (await poster.post(b"", {"x": "quick"})).status == 200
        poster.close()


async def test_idle_connections_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is not used for some time is closed; the next request opens another."""
    monkeypatch.setattr("smproxy.hooks.sinks.http._KEEP_ALIVE", 0.1)
    async with serving(OK, OK) as server, posting(server.url) as poster:
        await poster.post(b"x", {})
        await eventually(lambda: not poster._idle)
        assert (await poster.post(b"x", {})).status == 200
        assert server.connections == 2


async def test_close_with_a_request_under_way() -> None:
    """Closing ends what is under way; nobody waits for an answer for ever."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    url = URL(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/")
    async with listening, posting(url) as poster:
        post = asyncio.ensure_future(poster.post(b"x", {}))
        while not poster._busy:
            await asyncio.wait((post,), timeout=0.01)
        poster.close()
        with pytest.raises(BrokenError):
            await post


async def test_each_request_has_its_own_time() -> None:
    """Of requests under way at a time each ends when its own time is up, also one that is sent after another was answered."""
    async with serving(OK, OK) as quick, posting(quick.url, timeout=0.2) as poster:
        silent: list[asyncio.StreamWriter] = []
        hanging = await asyncio.start_server(lambda _, writer: silent.append(writer), "127.0.0.1", 0)
        port = hanging.sockets[0].getsockname()[1]
        assert (await poster.post(b"x", {})).status == 200
        async with posting(URL(f"http://127.0.0.1:{port}"), timeout=0.2) as waiting:
            several = [asyncio.create_task(waiting.post(b"x", {})) for _ in range(3)]
            await eventually(lambda: len(silent) == 3)
            late = asyncio.create_task(waiting.post(b"x", {}))
            for outcome in await asyncio.gather(*several, late, return_exceptions=True):
                assert isinstance(outcome, TimeoutError)
        assert (await poster.post(b"x", {})).status == 200
        for writer in silent:
            writer.close()
        hanging.close()
