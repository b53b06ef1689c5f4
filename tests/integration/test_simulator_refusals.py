"""What is wrong with a connection is said in the signaling's own words, in the log, and as a hook, and hurts nobody else."""

from __future__ import annotations

import asyncio
import json
import logging
from urllib.parse import quote

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from proxy.simulator import Simulator
from proxy.testing import PublishRejected, WebhookReceiver
from tests.helpers import eventually, scaled
from tests.integration.conftest import MakePublisher, StartSimulator, published
from tests.integration.lives import last, story

REJECTED = {"data": {"type": "status", "code": "NetConnection.Connect.Rejected"}}
FAILED = {"data": {"type": "error", "code": "NetConnection.Connect.Failed"}}

GOOD = "id=s&customerScope=acme&password=hunter2"


async def refused(simulator: Simulator, query: str) -> tuple[object, int, str]:
    """Connect as a page does and return the first message, the close code and the reason."""
    async with connect(f"{simulator.url}?{query}") as socket:
        async with asyncio.timeout(scaled(10)):
            first = json.loads(await socket.recv())
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        return first, socket.close_code or 0, socket.close_reason or ""


def assert_no_password(caplog: pytest.LogCaptureFixture) -> None:
    """Fail if a log line of this process holds the password, other than of the client that the test itself is."""
    records = [record for record in caplog.records if record.name != "websockets.client"]
    assert records
    assert [record for record in records if "hunter2" in record.getMessage()] == []


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("customerScope=acme&password=hunter2", "id"),
        ("id=s&password=hunter2", "customerScope"),
        (GOOD + "&recording=maybe", "recording"),
        (GOOD + "&meta=%5B1%5D", "meta"),
        (GOOD + "&meta=" + quote('{"k":"' + "x" * 4096 + '"}'), "meta"),
        (f"id={'x' * 256}&customerScope=acme&password=hunter2", "id"),
        (GOOD + f"&username={'x' * 256}", "username"),
        (GOOD + "&host=undefined&app=undefined", "host"),
        (GOOD + "&host=203.0.113.99", "host"),
        (GOOD + "&host=127.0.0.1:22", "host"),
        (GOOD + "&app=..%2F..", "app"),
    ],
)
async def test_bad_parameter(
    receiver: WebhookReceiver,
    start_simulator: StartSimulator,
    caplog: pytest.LogCaptureFixture,
    query: str,
    parameter: str,
) -> None:
    """A bad parameter gives a code-only ``Rejected``, close 1008 with its name, one log line and the hook, error 3."""
    simulator = await start_simulator(receiver)
    with caplog.at_level(logging.DEBUG):
        message, code, reason = await refused(simulator, query)
        await eventually(lambda: receiver.hooks)
    assert message == REJECTED
    assert code == 1008
    assert reason.startswith(parameter)
    assert story(receiver) == ["connect_error"]
    assert last(receiver)["error"] == 3
    lines = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert len(lines) == 1
    assert f"{parameter}=" in lines[0]
    assert_no_password(caplog)


async def test_scope_may_be_optional(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """Started with ``--customer-scope optional``, a page without a scope publishes."""
    simulator = await start_simulator(customer_scope="optional")
    stream = publisher(simulator, params={"customerScope": "undefined"})
    await published(simulator, stream)
    await stream.unpublish()


async def test_refusal_log_names_the_switch(start_simulator: StartSimulator, caplog: pytest.LogCaptureFixture) -> None:
    """The log line of a missing scope names the switch that makes it optional."""
    simulator = await start_simulator()
    await refused(simulator, "id=s")
    assert "--customer-scope optional" in caplog.text


async def test_any_host(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """With ``--any-host`` a page with a production address in it publishes to the origin that there is."""
    simulator = await start_simulator(any_host=True)
    stream = publisher(simulator, params={"host": "203.0.113.99"})
    await published(simulator, stream)
    await stream.unpublish()


async def test_unreachable_origin(
    receiver: WebhookReceiver, start_simulator: StartSimulator, unused_tcp_port: int
) -> None:
    """An origin that cannot be reached gives a code-only ``Failed``, close 1014, and the hook, error 2."""
    from proxy.options import Address

    simulator = await start_simulator(receiver, local_origin=False, origin=(Address("127.0.0.1", unused_tcp_port),))
    message, code, _ = await refused(simulator, GOOD)
    assert (message, code) == (FAILED, 1014)
    await eventually(lambda: len(receiver.hooks) == 2)
    assert story(receiver) == ["connecting", "connect_error"]
    assert last(receiver)["error"] == 2


async def test_client_leaves_before_connected(receiver: WebhookReceiver, start_simulator: StartSimulator) -> None:
    """A client that leaves before it is connected ends its attempt with error 1."""
    simulator = await start_simulator(receiver)
    async with connect(f"{simulator.url}?{GOOD}") as socket:
        assert "Success" in str(await socket.recv())
    await eventually(lambda: len(receiver.hooks) == 2)
    assert story(receiver) == ["connecting", "connect_error"]
    assert last(receiver)["error"] == 1


async def test_invalid_offer(receiver: WebhookReceiver, start_simulator: StartSimulator) -> None:
    """An offer that cannot be used ends the attempt with error 0, and the page gets an error with a reason."""
    simulator = await start_simulator(receiver)
    async with connect(f"{simulator.url}?{GOOD}") as socket:
        await socket.recv()
        offer = {"handleOffer": "s", "transport": "udp", "data": {"sdp": {"type": "offer", "sdp": "v=0\r\nnonsense"}}}
        await socket.send(json.dumps(offer))
        async with asyncio.timeout(scaled(5)):
            data = json.loads(await socket.recv())["data"]
        assert data["type"] == "error"
        assert data["message"]
        await eventually(lambda: len(receiver.hooks) == 2)
    assert last(receiver)["error"] == 0


async def test_proxy_disabled(start_simulator: StartSimulator, caplog: pytest.LogCaptureFixture) -> None:
    """With ``proxy.enabled=false`` the upgrade gets HTTP 403 and one log line that names the key; REST goes on."""
    simulator = await start_simulator(proxy_enabled=False)
    with pytest.raises(InvalidStatus) as refusal:
        async with connect(f"{simulator.url}?{GOOD}"):
            pass
    assert refusal.value.response.status_code == 403
    assert caplog.text.count("proxy.enabled") == 1
    async with aiohttp.ClientSession() as http:
        assert (await http.get(f"{simulator.rest_url}/healthz")).status == 200


async def test_noise_hurts_nobody(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """Unknown messages, binary frames and nonsense are no end of their own session, let alone of another's."""
    simulator = await start_simulator(receiver)
    stream = publisher(simulator, "other", data_channel=False)
    await published(simulator, stream)
    async with connect(f"{simulator.url}?{GOOD}") as socket:
        await socket.recv()
        for noise in ["", "null", "[]", "{", '{"x":1}', '{"publish":5}', '{"mute":{"muteAudio":true}}', b"\x00\xff"]:
            await socket.send(noise)
        await socket.send('{"isAvailable":"s","bundle":true}')
        async with asyncio.timeout(scaled(5)):
            assert json.loads(await socket.recv()) == {"isAvailable": False}
    assert not stream.closed.is_set()
    await stream.unpublish()


async def test_oversized_message(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """A message over 1 MiB ends its session with 1009, and no other."""
    simulator = await start_simulator()
    stream = publisher(simulator, "other", data_channel=False)
    await published(simulator, stream)
    async with connect(f"{simulator.url}?{GOOD}") as socket:
        await socket.recv()
        await socket.send("x" * (2**20 + 1))
        async with asyncio.timeout(scaled(5)):
            await socket.wait_closed()
        assert socket.close_code == 1009
    assert not stream.closed.is_set()


async def test_password_is_nowhere(
    receiver: WebhookReceiver,
    start_simulator: StartSimulator,
    publisher: MakePublisher,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A password is in no log line of any level, no hook and no REST answer, though the origin gets it."""
    simulator = await start_simulator(receiver)
    with caplog.at_level(logging.DEBUG):
        stream = publisher(simulator, params={"password": "hunter2"})
        await published(simulator, stream)
        async with aiohttp.ClientSession() as http:
            for path in ("event/list/stats", "event/live/s/stats", "admin/proxy/clients"):
                text = await (await http.get(f"{simulator.rest_url}/streammanager/api/4.0/{path}")).text()
                assert "hunter2" not in text
        with pytest.raises(PublishRejected):
            await publisher(simulator, params={"password": "hunter2"}).publish()
        await stream.unpublish()
        await simulator.stop()
    assert_no_password(caplog)
    assert not any(b"hunter2" in hook.body for hook in receiver.hooks)
