"""Receivers of hooks that answer with what nobody asked for: the documented outcome, and never a traceback (A10, A14)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from smproxy.hooks.sink import DELIVERED, Dead, Disabled, Outcome, Retry
from smproxy.hooks.sinks.nats import NatsSink
from smproxy.hooks.sinks.webhook import WebhookSink
from yarl import URL

from tests.helpers import eventually, scaled
from tests.hooks_support import encoded

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
ERROR = b"HTTP/1.1 500 Error\r\nContent-Length: 0\r\nRetry-After: 9\r\n\r\n"


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[int]:
    """Answer whatever comes with the same bytes, on a port of its own."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(65_536):
                writer.write(answer)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", Retry),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n\x81\x05hello", Retry),
        (b"HTTP/1.1 101 Odd\r\n\r\n" + NO_CONTENT, None),
        (NO_CONTENT * 2, DELIVERED),
        (NO_CONTENT + ERROR, DELIVERED),
        (ERROR + NO_CONTENT, Retry(9.0, "HTTP 500")),
        (NO_CONTENT * 1_000, DELIVERED),
        (NO_CONTENT + b"\x00\xff garbage", DELIVERED),
        (b"\x00\xff garbage\r\n\r\n", Retry),
        (b"HTTP/1.1 \xb2\xb2 odd\r\n\r\n", Retry),
        (b"HTTP/1.1 99999999999999999999 odd\r\n\r\n", Retry),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Retry),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", Retry),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Retry),
        (b"HTTP/1.1 503 Busy\r\nRetry-After: \xff\xff\r\nContent-Length: 0\r\n\r\n", Retry(None, "HTTP 503")),
        (b"HTTP/1.1 503 Busy\r\nRetry-After: " + b"9" * 5_000 + b"\r\nContent-Length: 0\r\n\r\n", Retry),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000, Retry),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, Retry),
        (b"HTTP/2.0 200 OK\r\n\r\n", Retry),
    ],
)
async def test_an_odd_answer(answer: bytes, outcome: Outcome | type | None, caplog: pytest.LogCaptureFixture) -> None:
    """Each answer is an outcome that the documentation knows, within a second, the first one counts, and the next attempt is
    answered by the next answer only."""
    async with answering(answer) as port:
        sink = WebhookSink(URL(f"http://127.0.0.1:{port}/"), timeout=scaled(0.7))
        await sink.start()
        outcomes = [await sink.deliver(encoded(1, seq)) for seq in (1, 2, 3)]
        await sink.stop()
    for one in outcomes:
        if outcome is None:
            assert isinstance(one, Retry | Dead | Disabled) or one is DELIVERED
        elif isinstance(outcome, type):
            assert isinstance(one, outcome)
        else:
            assert one == outcome
        if not isinstance(one, type(DELIVERED)):
            assert "\n" not in one.why
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info]


INFO = b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"headers":true,"jetstream":true}\r\n'


@pytest.mark.parametrize(
    "greeting",
    [
        b"INFO 5\r\n",
        b"INFO [1, 2]\r\n",
        b'INFO "text"\r\n',
        b"INFO null\r\n",
        b"INFO {not json\r\n",
        b"INFO " + b"[" * 100_000 + b"\r\n",
        b"INFO \xff\xfe\r\n",
        b"\xff\xfe\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        INFO.replace(b"1048576", b'"many"'),
        INFO.replace(b'"x"', b'{"a": 1}'),
        INFO + b"PONG\r\nMSG\r\n",
        INFO + b"PONG\r\n-ERR '\xff'\r\n",
        INFO + b"PONG\r\nINFO 5\r\n",
    ],
)
async def test_a_nats_server_that_speaks_nonsense(greeting: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a server sends in place of NATS, the event is tried again, with one line of reason and no traceback."""
    async with answering_at_once(greeting) as (port, _):
        sink = NatsSink(URL(f"nats://127.0.0.1:{port}"), timeout=scaled(0.2))
        await sink.start()
        outcome = await sink.deliver(encoded(1, 1))
        await sink.stop()
    assert isinstance(outcome, Retry)
    assert "\n" not in outcome.why
    assert len(outcome.why) < 400
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info]


@asynccontextmanager
async def answering_at_once(greeting: bytes, flood: bytes = b"") -> AsyncIterator[tuple[int, list[int]]]:
    """Greet who connects, then send ``flood`` for as long as it is taken; count its bytes."""
    sent = [0]

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(greeting)
            await writer.drain()
            while flood:
                writer.write(flood)
                await writer.drain()
                sent[0] += len(flood)
            await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], sent


@pytest.mark.parametrize(
    "start",
    [
        b"MSG _INBOX.x 1 4000000000\r\n",
        b"HMSG _INBOX.x 1 10 4000000000\r\n",
        b"",
        b"INFO {",
        b"+OK ",
    ],
)
async def test_what_a_nats_server_announces_is_not_buffered(start: bytes) -> None:
    """A message, or a line, that does not end is refused after a bounded number of bytes, and the event is tried again."""
    async with answering_at_once(INFO + b"PONG\r\n" + start, flood=b"x" * 65_536) as (port, sent):
        sink = NatsSink(URL(f"nats://127.0.0.1:{port}"), timeout=scaled(0.7))
        await sink.start()
        delivering = asyncio.ensure_future(sink.deliver(encoded(1, 1)))
        await eventually(delivering.done, 30)
        assert isinstance(delivering.result(), Retry)
        before = sent[0]
        await sink.stop()
    # What the sockets of both ends hold is sent and never read.
    assert before < 16 * 1024 * 1024
