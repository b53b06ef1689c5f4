"""Secrets of clients: wherever one puts them, they are in nothing that is logged, kept or shown (A8, A9)."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from smproxy.settings import Settings
from smproxy.simulator import Simulator
from smproxy.testing import WebhookReceiver
from websockets.asyncio.client import connect
from yarl import URL

from tests.helpers import eventually, scaled

#: What a secret may consist of: a word, one that every way of writing escapes differently, one that looks like structure.
KINDS = {"word": "hunter2", "escaped": 'h"\\n é+/=%&2', "structure": '{"x":"h2'}


class Secrets:
    """Makes secrets, each unlike the others, and finds them in texts however they are written."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._numbers = itertools.count(7_310_000)
        self._made: list[tuple[str, str]] = []

    def __call__(self, place: str) -> str:
        secret = f"{KINDS[self._kind]}-{next(self._numbers)}"
        self._made.append((place, secret))
        return secret

    def number(self, place: str) -> int:
        number = next(self._numbers)
        self._made.append((place, str(number)))
        return number

    def found_in(self, text: str) -> list[str]:
        """Return the places whose secrets are in a text: the number in each is the same in every way of writing."""
        return [place for place, secret in self._made if secret[-7:] in text]


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture
async def simulator(receiver: WebhookReceiver) -> AsyncIterator[Simulator]:
    settings = Settings(port=0, tls_port=0, data_dir=":memory:", hook_uri=(receiver.url,))
    async with Simulator(settings) as simulator:
        yield simulator


def escaped(text: str) -> str:
    return quote(text, safe="")


def query(**parameters: str) -> str:
    return "&".join(f"{key}={escaped(value)}" for key, value in parameters.items())


def secret_parameters(secret: Secrets) -> dict[str, str]:
    """Return parameters with secrets at all documented places, and at places that look like them."""
    meta = {
        "room": "A",
        "password": [secret("list in meta"), {"x": secret("object in meta")}, secret.number("number in meta")],
        "deep": [{"access_token": {"y": [[secret("deep in meta")]]}}],
        "callback": f"https://ann:{escaped(secret('userinfo in meta'))}@example.org/?api_key={escaped(secret('URL in meta'))}",
        "text": json.dumps({"jwt": secret("JSON in JSON in meta")}),
    }
    return {
        "customerScope": "acme",
        "password": secret("password"),
        "accessToken": secret("accessToken"),
        "X-Api-Key": secret("X-Api-Key"),
        "p%61sswd": secret("escaped name"),
        "pin": str(secret.number("pin")),
        "meta": json.dumps(meta),
        "endpoint": f"https://ann:{escaped(secret('userinfo'))}@example.org/",
        "extra": json.dumps({"auth": {"user": secret("object")}}),
    }


def log_lines(secret: Secrets) -> list[Any]:
    """Return what an SDK may send as lines of its log."""
    value = secret("log: text")
    return [
        f"connecting with password={escaped(value)}",
        f"Authorization: Bearer {escaped(secret('log: header'))}",
        json.dumps({"connectionParams": {"password": secret("log: JSON")}}),
        json.dumps({"connectionParams": {"password": secret("log: broken JSON")}})[:-2],
        {"connectionParams": {"token": [secret("log: object"), secret.number("log: number")]}},
        f"wss://ann:{escaped(secret('log: userinfo'))}@example.org/",
        "x" * 450 + json.dumps({"secret": secret("log: where it is cut")}),
    ]


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Return the simulator's log, without that of the test's own client."""
    return "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("smproxy"))


async def everything(simulator: Simulator, session: int, feed: str) -> dict[str, str]:
    """Return all that is shown of a session."""
    paths = {
        "frames": f"/api/v1/sessions/{session}/frames",
        "export": f"/api/v1/sessions/{session}/frames?header=true",
        "timeline": f"/api/v1/sessions/{session}/timeline",
        "session": f"/api/v1/sessions/{session}",
        "sessions": "/api/v1/sessions",
    }
    shown = {"feed": feed}
    async with aiohttp.ClientSession(simulator.rest_url) as http:
        for name, path in paths.items():
            async with http.get(path) as response:
                assert response.status == 200
                shown[name] = await response.text()
    return shown


class Feed:
    """What the dashboard of somebody is told meanwhile."""

    def __init__(self) -> None:
        self.text = ""
        self._task: asyncio.Task[None] | None = None

    async def start(self, simulator: Simulator) -> None:
        connected = asyncio.Event()

        async def follow() -> None:
            async with aiohttp.ClientSession() as http, http.get(f"{simulator.rest_url}/api/v1/feed") as response:
                async for line in response.content:
                    self.text += line.decode()
                    connected.set()

        self._task = asyncio.create_task(follow())
        await asyncio.wait_for(connected.wait(), scaled(5))

    async def stop(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture
async def feed(simulator: Simulator) -> AsyncIterator[Feed]:
    feed = Feed()
    await feed.start(simulator)
    yield feed
    await feed.stop()


@pytest.mark.parametrize("kind", KINDS)
async def test_secrets_of_a_session(
    simulator: Simulator, receiver: WebhookReceiver, feed: Feed, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """What a client sends under secret names, in its URL, messages or log, is in no log, record, export, answer or feed."""
    caplog.set_level(logging.DEBUG)
    secret = Secrets(kind)
    parameters = secret_parameters(secret)
    url = f"{simulator.url}?id=cam-1&" + query(**parameters)
    async with connect(url) as socket:
        await socket.recv()
        messages: list[Any] = [{"log": "WARN", "message": line} for line in log_lines(secret)]
        messages += [
            {
                "isAvailable": "cam-1",
                "bundle": True,
                "password": secret("message"),
                "data": {"token": [secret("list")]},
            },
            {"handleOffer": "cam-1", "data": {"sdp": {"type": "offer", "sdp": "v=0"}, "jwt": secret.number("number")}},
        ]
        for message in messages:
            await socket.send(json.dumps(message))
        await socket.send(json.dumps({"apiKey": secret("broken message")})[:-1])
        await socket.send(json.dumps({"room": "A" * 40_000, "password": secret("after the cut")}))
        await socket.send('{"password": "' + "S" * 40_000)
        await socket.send("x" * (32 * 1024 - 5) + parameters["password"])
    await receiver.wait_for(lambda hook: hook.event["connection"]["id"] == "cam-1", scaled(10))
    await eventually(lambda: "session" in feed.text and "cam-1" in feed.text)
    shown = await everything(simulator, receiver.hooks[0].session, feed.text)
    shown["log"] = logged(caplog)
    assert "client log WARN" in shown["log"]
    assert '"log"' in shown["frames"]
    for name, text in shown.items():
        assert secret.found_in(text) == [], name
        assert "SSSSSS" not in text, name
        assert "xxx" + parameters["password"][:3] not in text, name


@pytest.mark.parametrize("kind", KINDS)
async def test_secrets_of_an_exchange(
    simulator: Simulator, receiver: WebhookReceiver, feed: Feed, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """What a WHIP client sends under secret names, in its URL, headers or bodies, is shown nowhere either."""
    caplog.set_level(logging.DEBUG)
    secret = Secrets(kind)
    parameters = secret_parameters(secret)
    offer = f"v=0\r\na=note:password={escaped(secret('offer'))}\r\n".ljust(24_000 - 5, "x") + parameters["password"]
    headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {escaped(secret('bearer'))}"}
    async with aiohttp.ClientSession() as http:
        url = f"{simulator.rest_url}/live/whip/endpoint/cam-3?" + query(**parameters)
        async with http.post(URL(url, encoded=True), data=offer, headers=headers) as response:
            assert response.status >= 400
            answer = await response.text()
        hook = await receiver.wait_for(lambda hook: hook.state == "connect_error", scaled(10))
        shown = await everything(simulator, hook.session, feed.text)
        parameters["host"] = f"ann:{secret('userinfo of host')}@10.0.0.1"
        url = f"{simulator.rest_url}/live/whip/endpoint/cam-4?" + query(**parameters)
        async with http.post(URL(url, encoded=True), data=offer, headers=headers) as response:
            assert response.status == 400
            answer += await response.text()
    shown |= {"log": logged(caplog), "answers": answer}
    assert "POST /live/whip/endpoint/cam-3" in shown["frames"]
    for name, text in shown.items():
        assert secret.found_in(text) == [], name
        assert "xxx" + parameters["password"][:3] not in text, name


@pytest.mark.parametrize("refused", ["meta", "host", "recording", "customerScope"])
@pytest.mark.parametrize("kind", KINDS)
async def test_secrets_of_a_refusal(
    simulator: Simulator,
    receiver: WebhookReceiver,
    feed: Feed,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    refused: str,
) -> None:
    """A parameter that is refused is logged without the secrets in it, and without the rest of one that was cut."""
    caplog.set_level(logging.DEBUG)
    secret = Secrets(kind)
    parameters = secret_parameters(secret)
    parameters[refused] = {
        "meta": '{"password": ' + json.dumps([secret("broken meta"), {"x": secret("object in broken meta")}])[:-1],
        "host": f"ann:{secret('userinfo of host')}@10.0.0.1",
        "recording": "y" * 90 + f" password={escaped(secret('where the value is cut'))}",
        "customerScope": f"https://ann:{escaped(secret('userinfo of a name'))}@x/\n",
    }[refused]
    async with connect(f"{simulator.url}?id=cam-2&" + query(**parameters)) as socket:
        refusal = str(await socket.recv())
        await socket.wait_closed()
        reason = socket.close_reason or ""
    hook = await receiver.wait_for(lambda hook: hook.state == "connect_error", scaled(10))
    shown = await everything(simulator, hook.session, feed.text)
    shown |= {"log": logged(caplog), "refusal": refusal + reason}
    assert f"refused 127.0.0.1: {refused}=" in shown["log"]
    for name, text in shown.items():
        assert secret.found_in(text) == [], name
