"""The webhook sink against receivers on real sockets that do everything receivers do."""

from __future__ import annotations

import asyncio
import base64
import logging
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate

import pytest
from aiohttp import web
from smproxy import __version__
from smproxy.hooks.delivery import Limits
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.retry import FAST, RetryProfile
from smproxy.hooks.sink import DELIVERED, Dead, Disabled, Outcome, Retry, Sink
from smproxy.hooks.sinks.http import MAX_ANSWER
from smproxy.hooks.sinks.uris import parse_hook_uri
from smproxy.signaling.clock import Clock

from tests.helpers import eventually, scaled
from tests.hooks_support import NOW, QUICK, always, encoded, hook_event, receiver, statuses

CLOCK = Clock(wall=lambda: NOW)


@asynccontextmanager
async def started(sink: Sink) -> AsyncIterator[Sink]:
    await sink.start()
    try:
        yield sink
    finally:
        await sink.stop()


@asynccontextmanager
async def hub_of(
    *urls: str, timeout: float = 5.0, flush: float = 0.0, profile: RetryProfile = QUICK, limits: Limits | None = None
) -> AsyncIterator[HookDispatcher]:
    sinks = [parse_hook_uri(url, timeout=timeout, clock=CLOCK) for url in urls]
    dispatcher = await HookDispatcher.start(sinks, clock=CLOCK, rng=random.Random(1), profile=profile, limits=limits)
    try:
        yield dispatcher
    finally:
        await dispatcher.stop(flush)


async def attempt(url: str, timeout: float = 5.0) -> Outcome:
    """Make one attempt at ``url``."""
    async with started(parse_hook_uri(url, timeout=timeout, clock=CLOCK)) as sink:
        return await sink.deliver(encoded())


async def test_what_is_sent() -> None:
    """An attempt is one POST of the event's bytes with the Standard Webhooks headers, and without a cookie or a redirect."""
    async with (
        receiver(always(200, headers={"Set-Cookie": "a=b"})) as made,
        started(parse_hook_uri(made.url, clock=CLOCK)) as sink,
    ):
        assert await sink.deliver(encoded(1, 1)) == DELIVERED
        assert await sink.deliver(encoded(1, 2)) == DELIVERED
        first, second = made.requests
        assert (first.body, second.body) == (encoded(1, 1).body, encoded(1, 2).body)
        assert first.headers["Content-Type"] == "application/json"
        assert first.headers["webhook-id"] == encoded(1, 1).uuid
        assert first.headers["webhook-timestamp"] == str(int(NOW))
        assert first.headers["User-Agent"] == f"stream-manager-proxy/{__version__}"
        assert first.headers["Content-Length"] == str(len(first.body))
        assert "Authorization" not in first.headers
        assert "Cookie" not in second.headers
        assert first.peer == second.peer, "the connection is kept alive"


async def test_credentials_are_sent_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """User and password of the URL arrive as basic authentication, decoded; no log line and no status shows them."""
    async with receiver(always(500)) as made:
        url = made.url.replace("://", "://ann:p%40ss%C3%A9@") + "?token=t0ken"
        with caplog.at_level(logging.DEBUG):
            async with hub_of(url) as dispatcher:
                dispatcher.publish(hook_event())
                await eventually(lambda: len(made.requests) > 1)
                status = dispatcher.status()[0]
        assert (
            base64.b64decode(made.requests[0].headers["Authorization"].removeprefix("Basic ")).decode() == "ann:p@ssé"
        )
        assert status.name == made.url.replace("://", "://***@") + "?***"
        assert re.search("p%40ss|p@ss|ann:|t0ken", caplog.text + repr(status)) is None


async def test_the_environments_proxy_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY, which is for a person's downloads, does not divert hooks."""
    async with receiver() as diverted, receiver() as made:
        monkeypatch.setenv("HTTP_PROXY", diverted.url)
        monkeypatch.setenv("http_proxy", diverted.url)
        assert await attempt(made.url) == DELIVERED
        assert (len(made.requests), len(diverted.requests)) == (1, 0)


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        (200, {}, DELIVERED),
        (204, {}, DELIVERED),
        (301, {"Location": "/elsewhere"}, Dead("HTTP 301: redirects are not followed")),
        (302, {"Location": "/elsewhere"}, Dead("HTTP 302: redirects are not followed")),
        (400, {}, Dead("HTTP 400")),
        (404, {}, Dead("HTTP 404")),
        (408, {}, Retry(None, "HTTP 408")),
        (410, {}, Disabled("HTTP 410 Gone")),
        (425, {}, Retry(None, "HTTP 425")),
        (429, {"Retry-After": "7"}, Retry(7.0, "HTTP 429")),
        (
            429,
            {"Retry-After": formatdate(int(NOW) + 90, usegmt=True)},
            Retry(float(int(NOW) + 90) - NOW, "HTTP 429"),
        ),
        (500, {}, Retry(None, "HTTP 500")),
        (503, {"Retry-After": "soon"}, Retry(None, "HTTP 503")),
    ],
)
async def test_outcome_of_each_status(status: int, headers: dict[str, str], outcome: Outcome) -> None:
    """What a receiver answers decides what becomes of the event; a redirect is not followed."""
    async with receiver(always(status, headers=headers)) as made:
        assert await attempt(made.url) == outcome
        assert len(made.requests) == 1


@asynccontextmanager
async def raw_receiver(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """A server that reads one request head and body, then does what ``talk`` does."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            assert length is not None
            await reader.readexactly(int(length[1]))
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hooks"
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_every_status() -> None:
    """Each status from 200 to 599 has one of the four outcomes: taken, tried again, given up, or the end of the sink."""
    every = range(200, 600)
    async with receiver(statuses(*every)) as made, started(parse_hook_uri(made.url)) as sink:
        for status in every:
            outcome = await sink.deliver(encoded())
            if status < 300:
                assert outcome is DELIVERED
            elif status in {408, 425, 429} or status >= 500:
                assert isinstance(outcome, Retry), status
            elif status == 410:
                assert isinstance(outcome, Disabled)
            else:
                assert isinstance(outcome, Dead), status
        assert len(made.requests) == len(every)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
    ids=["nothing", "cut status line", "cut body", "cut chunk", "bad chunk", "not HTTP", "huge header"],
)
async def test_a_broken_answer_is_tried_again(answer: bytes) -> None:
    """A connection that ends, or says what is not HTTP, before the answer is whole counts as no answer."""

    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    async with raw_receiver(talk) as url:
        outcome = await attempt(url)
    assert isinstance(outcome, Retry)
    assert outcome.after is None
    assert outcome.why.isprintable()
    assert len(outcome.why) < 500


@pytest.mark.parametrize(
    "before", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"], ids=["silent", "stalls in body"]
)
async def test_a_hung_receiver_times_out(before: bytes) -> None:
    """An answer that is not complete within the time-out is tried again."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(before)
        await reader.read()

    async with raw_receiver(talk) as url:
        assert await attempt(url, timeout=0.1) == Retry(None, "no answer within 0.1 s")


async def test_a_huge_answer_is_not_read() -> None:
    """Of an endless body no more than 64 KiB are read; the status counts, the connection is dropped, the next one is new."""
    ended: list[int] = []

    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        sent = 0
        try:
            while True:
                writer.write(b"x" * 65536)
                sent += 65536
                await writer.drain()
        finally:
            ended.append(sent)

    async with raw_receiver(talk) as url, started(parse_hook_uri(url, clock=CLOCK)) as sink:
        for count in (1, 2):
            assert await sink.deliver(encoded()) == DELIVERED
            await eventually(lambda count=count: len(ended) == count)  # type: ignore[misc]


async def test_an_answer_of_the_permitted_size_keeps_the_connection() -> None:
    """A body of exactly the limit is read to its end, so that the connection is used again."""
    async with receiver(always(200, body=b"x" * MAX_ANSWER)) as made, started(parse_hook_uri(made.url)) as sink:
        assert [await sink.deliver(encoded()) for _ in range(3)] == [DELIVERED] * 3
        assert len({request.peer for request in made.requests}) == 1


async def test_down_then_up_again() -> None:
    """Events published while nobody listens at the port arrive, in order, when the receiver is back."""
    async with receiver() as gone:
        port = int(gone.url.split(":")[2].split("/")[0])
    async with hub_of(gone.url) as dispatcher:
        for seq in range(1, 6):
            dispatcher.publish(hook_event(1, seq))
        await eventually(lambda: dispatcher.status()[0].attempts >= 3)
        assert (
            "refused" in (dispatcher.status()[0].last_error or "")
            or "connect" in (dispatcher.status()[0].last_error or "").lower()
        )
        async with receiver(port=port) as back:
            await eventually(lambda: len(back.requests) == 5)
            assert back.bodies == [encoded(1, seq).body for seq in range(1, 6)]
            await eventually(lambda: dispatcher.status()[0].backlog == 0)


async def test_every_attempt_sends_the_same_bytes_and_identity() -> None:
    """Attempts at one event differ in nothing but their time stamp header."""
    async with receiver(statuses(500, 429, 503, 204)) as made, hub_of(made.url) as dispatcher:
        dispatcher.publish(hook_event(1, 1))
        await eventually(lambda: dispatcher.status()[0].delivered == 1)
        assert made.bodies == [encoded(1, 1).body] * 4
        assert {request.headers["webhook-id"] for request in made.requests} == {encoded(1, 1).uuid}
        assert dispatcher.status()[0].last_error == "HTTP 503"


async def test_retry_after_is_honoured() -> None:
    """After 429 with Retry-After: 1 the next attempt comes no earlier than a second later."""
    times: list[float] = []

    async def answer(_request: web.Request, count: int) -> web.StreamResponse:
        times.append(asyncio.get_running_loop().time())
        return web.Response(status=429, headers={"Retry-After": "1"}) if count == 1 else web.Response(status=204)

    async with receiver(answer) as made, hub_of(made.url, profile=FAST) as dispatcher:
        dispatcher.publish(hook_event(1, 1))
        await eventually(lambda: len(times) == 2)
        assert times[1] - times[0] >= 0.99


async def test_sessions_in_order_and_side_by_side() -> None:
    """With a receiver that fails at random, each session's events are taken in order and none is lost or taken twice."""
    rng = random.Random(11)
    taken: list[bytes] = []
    at_once = most = 0

    async def answer(request: web.Request, _count: int) -> web.StreamResponse:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.wait((asyncio.get_running_loop().create_future(),), timeout=rng.random() * 0.005)
        at_once -= 1
        if rng.random() < 0.3:
            return web.Response(status=503)
        taken.append(await request.read())
        return web.Response(status=204)

    async with receiver(answer) as made, hub_of(made.url) as dispatcher:
        for seq in range(1, 11):
            for session in range(1, 41):
                dispatcher.publish(hook_event(session, seq))
        await eventually(lambda: dispatcher.status()[0].delivered == 400, timeout=20)
        assert dispatcher.status()[0].dead == 0
    for session in range(1, 41):
        mine = [body for body in taken if f'"session":{session},'.encode() in body]
        assert mine == [encoded(session, seq).body for seq in range(1, 11)]
    assert 8 < most <= 32


async def test_gone_disables_only_that_sink() -> None:
    """After 410 a receiver gets nothing more, and the other one everything."""
    async with receiver(always(410)) as gone, receiver() as fine, hub_of(gone.url, fine.url) as dispatcher:
        dispatcher.publish(hook_event(1, 1))
        await eventually(lambda: dispatcher.status()[0].disabled)
        for seq in range(2, 11):
            dispatcher.publish(hook_event(1, seq))
        await eventually(lambda: dispatcher.status()[1].delivered == 10)
        assert len(gone.requests) == 1
        assert (dispatcher.status()[0].dead, dispatcher.status()[0].dropped) == (1, 9)
        assert [letter.why for letter in dispatcher.dead_letters()] == ["HTTP 410 Gone"]


async def test_a_hung_receiver_delays_only_itself() -> None:
    """While one receiver hangs with a full queue, the other gets every event in order, and stopping is not held up."""

    async def hang(request: web.Request, _count: int) -> web.StreamResponse:
        await asyncio.wait((asyncio.get_running_loop().create_future(),), timeout=scaled(30))
        return web.Response()

    limits = Limits(queue=50, in_flight=4)
    async with (
        asyncio.timeout(scaled(20)),
        receiver(hang) as stuck,
        receiver() as fine,
        hub_of(stuck.url, fine.url, timeout=60, limits=limits) as dispatcher,
    ):
        for seq in range(1, 101):
            dispatcher.publish(hook_event(seq % 5, seq))
            await eventually(lambda seq=seq: dispatcher.status()[1].delivered == seq)  # type: ignore[misc]
        assert fine.bodies == [encoded(seq % 5, seq).body for seq in range(1, 101)]
        assert len(stuck.requests) == 4
        assert (dispatcher.status()[0].delivered, dispatcher.status()[0].backlog, dispatcher.status()[0].dropped) == (
            0,
            50,
            50,
        )


async def test_a_slow_receiver_gets_everything_in_order() -> None:
    """A receiver that takes its time gets every event of a session, one at a time."""

    async def slow(_request: web.Request, _count: int) -> web.StreamResponse:
        await asyncio.wait((asyncio.get_running_loop().create_future(),), timeout=0.01)
        return web.Response()

    async with receiver(slow) as made, hub_of(made.url) as dispatcher:
        for seq in range(1, 31):
            dispatcher.publish(hook_event(1, seq))
        await eventually(lambda: dispatcher.status()[0].delivered == 30)
        assert made.bodies == [encoded(1, seq).body for seq in range(1, 31)]


async def test_stop_delivers_what_is_queued() -> None:
    """Events published right before the stop are delivered by it."""
    async with receiver() as made:
        async with hub_of(made.url, flush=10.0) as dispatcher:
            for seq in range(1, 201):
                dispatcher.publish(hook_event(seq % 7, seq))
        assert len(made.requests) == 200
        assert dispatcher.status()[0].delivered == 200


async def test_stop_gives_up_loudly(caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be delivered within the flush time is given up with one line that says how much for whom."""
    async with receiver(always(503)) as made:
        async with hub_of(made.url, flush=0.2) as dispatcher:
            for session in range(12):
                dispatcher.publish(hook_event(session, 1))
            caplog.clear()
        lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        assert lines == [f"hook events given up at stop after 0.2 s: 12 for {made.url}"]


async def test_nothing_is_left_of_a_hub() -> None:
    """After stop no task of the dispatcher remains, whatever was going on."""
    async with receiver(statuses(500, 200, 503)) as made:
        before = asyncio.all_tasks()
        async with hub_of(made.url, "http://127.0.0.1:9/nobody") as dispatcher:
            for session in range(100):
                dispatcher.publish(hook_event(session, 1))
            await eventually(lambda: len(made.requests) > 20)
        made_since = {task for task in asyncio.all_tasks() - before if "RequestHandler" not in repr(task)}
        assert not made_since
