"""``smproxy listen`` as its users meet it: a process that receives, prints, verifies and passes on."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time

import aiohttp
import pytest
from aiohttp import web
from smproxy.hooks.broadcast import HookBroadcast
from smproxy.hooks.sink import DELIVERED, Dead, Retry
from smproxy.hooks.sinks.signature import Signer
from smproxy.hooks.sinks.webhook import WebhookSink
from smproxy.manager.rest.webhook_socket import webhook_socket
from smproxy.testing import Answer, WebhookReceiver
from yarl import URL

from tests.helpers import eventually, scaled
from tests.hooks_support import encoded
from tests.integration.commands import finish, listening, run, start

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def deliver(url: str, *events: object, secret: str | None = None) -> list[object]:
    """Deliver events with the real sink; return what came of each."""
    sink = WebhookSink(URL(url), signer=None if secret is None else Signer(secret))
    await sink.start()
    try:
        return [await sink.deliver(event) for event in events]  # type: ignore[arg-type]
    finally:
        await sink.stop()


async def test_events_are_printed() -> None:
    """Each event is one line with session, number, scope, id and what happened; after ``--count`` it ends with 0."""
    async with listening("--count", "3") as (process, url):
        assert await deliver(url, encoded(7, 1), encoded(7, 2), encoded(7, 2)) == [DELIVERED] * 3
        done = await finish(process)
    assert done.code == 0, done.err
    assert len(done.lines) == 3
    for part in ("acme", "cam-1", "7 #1", "connecting", "remote_ip=127.0.0.1"):
        assert part in done.lines[0]
    assert "(again)" not in done.lines[1]
    assert done.lines[2] == done.lines[1] + " (again)"


async def test_json_is_the_bytes_that_came() -> None:
    """With ``--json`` each line of stdout is the event as it was sent, and nothing else is there."""
    async with listening("--json", "--count", "2") as (process, url):
        await deliver(url, encoded(7, 1), encoded(8, 1))
        done = await finish(process)
    assert done.lines == [encoded(7, 1).body.decode(), encoded(8, 1).body.decode()]


@pytest.mark.parametrize("secret", [SECRET, "a-plain-secret"])
async def test_good_signatures(secret: str) -> None:
    """What the sink signs verifies, with both kinds of secret, from the option or the environment."""
    async with listening("--secret", secret, "--count", "1") as (process, url):
        assert await deliver(url, encoded(), secret=secret) == [DELIVERED]
        assert (await finish(process)).code == 0
    async with listening("--count", "1", SMPROXY_HOOK_SECRET=secret) as (process, url):
        assert await deliver(url, encoded(), secret=secret) == [DELIVERED]
        assert (await finish(process)).code == 0


async def test_several_secrets() -> None:
    """The variable of ``smproxy serve`` can hold several secrets; one is to be chosen then."""
    done = await run("listen", SMPROXY_HOOK_SECRET="hush hushhush")
    assert (done.code, "--secret" in done.err, "hush" in done.err) == (2, True, False)


async def test_bad_signatures() -> None:
    """Wrong, missing and unreadable signatures get 401 and a line; the exit code is 1; the secret is not shown."""
    async with listening("--secret", SECRET, "--count", "1") as (process, url):
        assert await deliver(url, encoded(7, 1), secret="another") == [Dead("HTTP 401")]
        assert await deliver(url, encoded(7, 2)) == [Dead("HTTP 401")]
        async with aiohttp.ClientSession() as http:
            headers = {"webhook-id": "x\x1b", "webhook-timestamp": "1", "webhook-signature": "nonsense"}
            async with http.post(url, data=b"\xff", headers={**headers, "webhook-id": "x"}) as response:
                assert response.status == 401
        assert await deliver(url, encoded(7, 3), secret=SECRET) == [DELIVERED]
        done = await finish(process)
    assert done.code == 1
    assert [line.split()[:2] for line in done.lines[:3]] == [["BAD", "SIGNATURE"]] * 3
    assert encoded(7, 1).uuid in done.lines[0]
    assert "3 bad signatures" in done.err
    assert SECRET not in done.out + done.err


async def test_one_changed_byte_is_a_bad_signature() -> None:
    """A body that was changed on its way is not taken."""
    event = encoded()
    headers = {"webhook-id": event.uuid, "webhook-timestamp": str(int(time.time()))}
    headers |= Signer(SECRET).headers(event.uuid, int(headers["webhook-timestamp"]), event.body)
    async with listening("--secret", SECRET, "--count", "1") as (process, url), aiohttp.ClientSession() as http:
        for body, status in ((event.body.replace(b"acme", b"acmf"), 401), (event.body, 204)):
            async with http.post(url, data=body, headers=headers) as response:
                assert response.status == status
        assert (await finish(process)).code == 1


async def test_forward() -> None:
    """Forwarded are the same bytes and headers; the sender gets the other receiver's answer, or 502."""
    async with WebhookReceiver([204, Answer(429, {"Retry-After": "7"}), 204]) as behind:
        behind_url = behind.url
        async with listening("--forward", behind.url, "--secret", SECRET, "--count", "3") as (process, url):
            events = [encoded(7, seq) for seq in (1, 2, 3)]
            outcomes = await deliver(url, *events, secret=SECRET)
            assert outcomes == [DELIVERED, Retry(7.0, "HTTP 429"), DELIVERED]
            assert (await finish(process)).code == 0
        assert [hook.body for hook in behind.hooks] == [event.body for event in events]
        from standardwebhooks import Webhook

        for hook in behind.hooks:
            Webhook(SECRET).verify(hook.body, dict(hook.headers))
            assert hook.headers["Content-Type"] == "application/json"
    async with listening("--forward", behind_url.replace("//", "//ann:hush@"), "--count", "1") as (process, url):
        assert await deliver(url, encoded()) == [Retry(None, "HTTP 502")]
        done = await finish(process)
    assert "hush" not in done.err
    assert "127.0.0.1" in done.err


async def test_status() -> None:
    """``--status`` is the answer to every delivery."""
    async with listening("--status", "503", "--count", "1") as (process, url):
        assert await deliver(url, encoded()) == [Retry(None, "HTTP 503")]
        assert (await finish(process)).code == 0


async def test_other_requests() -> None:
    """What is no JSON object gets 400 and a GET 405; neither is counted."""
    async with listening("--count", "1") as (process, url), aiohttp.ClientSession() as http:
        for body in (b"{", b"[]", b"\xff\xfe", b"[" * 100_000):
            async with http.post(url, data=body) as response:
                assert response.status == 400
        async with http.get(url) as response:
            assert response.status == 405
        await deliver(url, encoded())
        done = await finish(process)
    assert (done.code, len(done.lines)) == (0, 1)


async def test_other_formats() -> None:
    """A CloudEvent and a Red5 webhook are readable lines too; any other object is shown as it is, on one line."""
    cloud = {
        "specversion": "1.0",
        "id": "u",
        "type": "t",
        "source": "s",
        "time": "2026-01-01T00:00:00Z",
        "subject": "x",
    }
    red5 = {"event": "stream-published", "guid": "live/cam-1", "timestamp": 1_790_000_000_123}
    other = {"hello": "\x1b[31mred\n"}
    async with listening("--count", "4") as (process, url), aiohttp.ClientSession() as http:
        for body in (cloud, {**cloud, "data": json.loads(encoded().body)}, red5, other):
            async with http.post(url, json=body) as response:
                assert response.status == 204
        done = await finish(process)
    assert len(done.lines) == 4
    assert "t x u" in done.lines[0]
    assert "cam-1" in done.lines[1]
    assert "connecting" in done.lines[1]
    assert "stream-published" in done.lines[2]
    assert "guid=live/cam-1" in done.lines[2]
    assert "hello" in done.lines[3]
    assert "\x1b" not in done.out


async def test_time_out() -> None:
    """``--timeout`` ends it with 0, or with 1 and one line when ``--count`` was not reached."""
    done = await run("listen", "--timeout", "0.2")
    assert (done.code, done.out) == (0, "")
    done = await run("listen", "--timeout", "0.2", "--count", "2")
    assert done.code == 1
    assert "2 of the 2 events" in done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signals(number: signal.Signals) -> None:
    """Ctrl-C and a termination end it in order."""
    async with listening() as (process, url):
        await deliver(url, encoded())
        process.send_signal(number)
        done = await finish(process)
    assert (done.code, done.err) == (0, "")
    assert len(done.lines) == 1


async def test_a_reader_that_leaves() -> None:
    """When nobody reads stdout any more, as with ``head``, it ends without a complaint."""
    async with listening() as (process, url):
        assert process.stdout is not None
        process.stdout._transport.close()  # type: ignore[attr-defined]
        for seq in range(1, 4):
            await deliver(url, encoded(7, seq))
        async with asyncio.timeout(scaled(10)):
            assert await process.wait() == 0
            assert process.stderr is not None
            assert await process.stderr.read() == b""


async def test_mistakes() -> None:
    """A mistake gives one line, or argparse's usage, and exit code 2, and shows no secret."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for arguments, part in (
            (["--port", str(taken.getsockname()[1])], "choose another --port"),
            (["--port", "x"], "a whole number from 0 to 65535"),
            (["--count", "0"], "--count"),
            (["--status", "99"], "--status"),
            (["--timeout", "-1"], "--timeout"),
            (["http://localhost/"], "ws://"),
            (["ws://localhost/", "--secret", "hush"], "--secret"),
            (["--secret", "whsec_hush!"], "base64"),
            (["--forward", "ftp://ann:hush@x"], "--forward"),
        ):
            done = await run("listen", *arguments)
            assert done.code == 2, done
            assert part in done.err
            assert "Traceback" not in done.err
            assert "hush" not in done.err


async def test_webhook_socket() -> None:
    """Given a webhook socket it prints what comes there, and passes it on; the server's close ends it with 1 and the code."""
    broadcast = HookBroadcast()
    app = web.Application()
    app.router.add_get("/{app}/webhook", webhook_socket(broadcast))
    runner = web.AppRunner(app, shutdown_timeout=scaled(5), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"ws://127.0.0.1:{runner.addresses[0][1]}/live/webhook?customerScope=acme"
    try:
        async with WebhookReceiver() as behind:
            process = await start("listen", url, "--json", "--count", "2", "--forward", behind.url)
            await eventually(lambda: broadcast.listeners == 1, 20)
            for seq, scope in ((1, "acme"), (1, "other"), (2, "acme")):
                broadcast.offer(encoded(7, seq, scope))
            done = await finish(process)
            assert (done.code, done.err) == (0, "")
            assert done.lines == [encoded(7, seq).body.decode() for seq in (1, 2)]
            assert [hook.body for hook in behind.hooks] == [encoded(7, seq).body for seq in (1, 2)]
            assert behind.hooks[0].headers["webhook-id"] == encoded(7, 1).uuid
        process = await start("listen", url, "--count", "2")
        await eventually(lambda: broadcast.listeners == 1, 20)
        broadcast.offer(encoded())
        await broadcast.close(scaled(5))
        done = await finish(process)
        assert (done.code, len(done.lines)) == (1, 1)
        assert "1001" in done.err
        done = await run("listen", url.replace("webhook", "nowhere"))
        assert done.code == 1
        assert "404" in done.err
        assert done.err.count("\n") == 1
    finally:
        await runner.cleanup()
    done = await run("listen", url.replace("?", "?secret=hush&"))
    assert done.code == 1
    assert "cannot connect" in done.err
    assert done.err.count("\n") == 1
    assert "hush" not in done.err
