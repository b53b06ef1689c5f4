"""The public hook receiver: what it records, and how it misbehaves on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from smproxy.testing import Answer, ReceivedHook, WebhookReceiver

from tests.helpers import scaled

BODY = b'{"uuid": "u1", "event": "session",  "payload": {"session": 7, "state": "connected"}}'


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(scaled(5))) as session:
        yield session


async def post(http: aiohttp.ClientSession, receiver: WebhookReceiver, body: bytes = BODY) -> int:
    async with http.post(receiver.url, data=body, headers={"webhook-id": "u1"}, allow_redirects=False) as response:
        await response.read()
        return response.status


async def test_records_what_arrives(http: aiohttp.ClientSession) -> None:
    """A hook is kept with its exact bytes and headers, and answered with 204."""
    async with WebhookReceiver() as receiver:
        assert await post(http, receiver) == 204
        [hook] = receiver.hooks
        assert hook.body == BODY
        assert hook.headers["Webhook-Id"] == "u1"
        assert (hook.uuid, hook.name, hook.state, hook.session) == ("u1", "session", "connected", 7)


async def test_repeated_attempts_are_one_event(http: aiohttp.ClientSession) -> None:
    """Each attempt is a hook; ``events`` has the event once, in the order of first arrival."""
    async with WebhookReceiver([500, 200]) as receiver:
        assert [await post(http, receiver) for _ in range(3)] == [500, 200, 204]
        await post(http, receiver, b'{"uuid": "u2"}')
        assert len(receiver.hooks) == 4
        assert [event["uuid"] for event in receiver.events] == ["u1", "u2"]


async def test_wait_for(http: aiohttp.ClientSession) -> None:
    """wait_for returns a hook of the past or the future, and says what came when it gives up."""
    async with WebhookReceiver() as receiver:
        waiting = asyncio.create_task(receiver.wait_for(lambda hook: hook.state == "connected"))
        await post(http, receiver)
        assert await waiting is await receiver.wait_for(lambda hook: hook.uuid == "u1")
        with pytest.raises(TimeoutError, match="received: connected"):
            await receiver.wait_for(lambda hook: hook.uuid == "u9", timeout=0.01)
        assert len(await receiver.wait_for_count(1)) == 1


@pytest.mark.parametrize("how", ["drop", "cut"])
async def test_breaks_the_connection(http: aiohttp.ClientSession, how: Any) -> None:
    """With drop there is no answer, with cut half of one."""
    async with WebhookReceiver(how) as receiver:
        with pytest.raises(aiohttp.ClientError):
            await post(http, receiver)
        assert len(receiver.hooks) == 1


async def test_hangs_until_it_is_stopped(http: aiohttp.ClientSession) -> None:
    """With hang nothing is answered, and stopping the receiver does not wait for the client."""
    async with WebhookReceiver("hang") as receiver:
        request = asyncio.create_task(post(http, receiver))
        await receiver.wait_for_count(1)
        assert not request.done()
    with pytest.raises((aiohttp.ClientError, AssertionError)):
        assert await request == 204


async def test_full_answers_and_callables(http: aiohttp.ClientSession) -> None:
    """An Answer has headers, such as of a redirect; a callable, plain or async, sees the hook."""
    async with WebhookReceiver(Answer(302, {"Location": "http://127.0.0.1:1/"})) as receiver:
        assert await post(http, receiver) == 302

        async def later(hook: ReceivedHook) -> int:
            return 410 if hook.uuid == "u1" else 200

        receiver.respond = lambda hook: 418
        assert await post(http, receiver) == 418
        receiver.respond = later
        assert await post(http, receiver) == 410


async def test_restarts_on_its_port(http: aiohttp.ClientSession) -> None:
    """A stopped receiver refuses connections; started again, it has the same URL and remembers what came."""
    receiver = WebhookReceiver()
    await receiver.start()
    url = receiver.url
    await post(http, receiver)
    await receiver.stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await post(http, receiver)
    await receiver.start()
    assert receiver.url == url
    await post(http, receiver)
    assert len(receiver.hooks) == 2
    await receiver.stop()


async def test_malformed_bodies_are_kept_apart(http: aiohttp.ClientSession) -> None:
    """What is no JSON object is refused and not taken for a hook."""
    async with WebhookReceiver() as receiver:
        assert await post(http, receiver, b"[]") == 400
        assert receiver.hooks == []
        assert receiver.malformed == [b"[]"]
