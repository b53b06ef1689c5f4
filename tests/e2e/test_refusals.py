"""What is wrong with a connection is said in the signaling's own words, in the log, and as a hook, and hurts nobody else."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from urllib.parse import quote

import aiohttp
import pytest
from smproxy.embedded import EmbeddedSimulator
from smproxy.simulator import Simulator
from smproxy.testing import Hooks, Publisher, PublishRejected
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.helpers import scaled

MakePublisher = Callable[..., Publisher]

T = scaled(10)

REJECTED = {"data": {"type": "status", "code": "NetConnection.Connect.Rejected"}}
FAILED = {"data": {"type": "error", "code": "NetConnection.Connect.Failed"}}

GOOD = "id=s&customerScope=acme&password=hunter2"


async def refused(url: str, query: str) -> tuple[object, int, str]:
    """Connect as a page does and return the first message, the close code and the reason."""
    async with connect(f"{url}?{query}") as socket:
        async with asyncio.timeout(T):
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
    stream_manager: EmbeddedSimulator, hooks: Hooks, caplog: pytest.LogCaptureFixture, query: str, parameter: str
) -> None:
    """A bad parameter gives a code-only ``Rejected``, close 1008 with its name, one log line and the hook, error 3."""
    with caplog.at_level(logging.DEBUG):
        message, code, reason = await refused(stream_manager.url, query)
        await hooks.expect("connect_error", error=3, seq=1, timeout=T)
    assert message == REJECTED
    assert code == 1008
    assert reason.startswith(parameter)
    assert len(hooks.all()) == 1
    lines = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert len(lines) == 1
    assert f"{parameter}=" in lines[0]
    assert_no_password(caplog)


@pytest.mark.stream_manager(customer_scope="optional")
async def test_scope_may_be_optional(publisher: MakePublisher, hooks: Hooks) -> None:
    """Started with ``--customer-scope optional``, a page without a scope publishes."""
    async with publisher("s1", customerScope="undefined"):
        await hooks.expect("peer_joined", id="s1", customerScope=None, timeout=T)


@pytest.mark.stream_manager(customer_scope="required")
async def test_scope_may_be_required(
    stream_manager: EmbeddedSimulator, hooks: Hooks, caplog: pytest.LogCaptureFixture
) -> None:
    """Started with ``--customer-scope required``, a page without a scope is refused, and the log names the switch."""
    message, code, reason = await refused(stream_manager.url, "id=s&password=hunter2")
    await hooks.expect("connect_error", error=3, seq=1, customerScope=None, timeout=T)
    assert (message, code, reason) == (REJECTED, 1008, "customerScope is missing")
    assert "--customer-scope required" in caplog.text
    assert_no_password(caplog)


@pytest.mark.parametrize("transport", ["websocket", "whip"])
async def test_a_page_without_a_scope(
    publisher: MakePublisher, hooks: Hooks, caplog: pytest.LogCaptureFixture, transport: str
) -> None:
    """An ordinary page sends no scope: its hooks have the default one, and the log says so once for all."""
    with caplog.at_level(logging.INFO):
        async with publisher("s1", customerScope="", transport=transport):
            await hooks.expect("peer_joined", id="s1", customerScope="default", timeout=T)
        async with publisher("s2", customerScope="undefined", transport=transport):
            await hooks.expect("peer_joined", id="s2", customerScope="default", timeout=T)
        async with publisher("s3", customerScope="acme", transport=transport):
            await hooks.expect("peer_joined", id="s3", customerScope="acme", timeout=T)
    assert sum("sends no customerScope" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.stream_manager(customer_scope="Studio 1")
async def test_the_default_scope_has_a_name(publisher: MakePublisher, hooks: Hooks) -> None:
    """``--customer-scope NAME`` is the scope of who sends none."""
    async with publisher("s1", customerScope=""):
        await hooks.expect("peer_joined", id="s1", customerScope="Studio 1", timeout=T)


@pytest.mark.stream_manager(any_host=True)
async def test_any_host(publisher: MakePublisher, hooks: Hooks) -> None:
    """With ``--any-host`` a page with a production address in it publishes to the origin that there is."""
    async with publisher("s1", host="203.0.113.99"):
        await hooks.expect("peer_joined", id="s1", timeout=T)


async def test_unreachable_origin(unused_tcp_port: int) -> None:
    """An origin that cannot be reached gives a code-only ``Failed``, close 1014, and the hook, error 2."""
    async with Simulator(local_origin=False, origin=f"127.0.0.1:{unused_tcp_port}") as simulator:
        message, code, _ = await refused(simulator.url, GOOD)
        assert (message, code) == (FAILED, 1014)
        await simulator.hooks.expect_order("connecting", {"state": "connect_error", "error": 2, "seq": 2}, timeout=T)


async def test_client_leaves_before_connected(stream_manager: EmbeddedSimulator, hooks: Hooks) -> None:
    """A client that leaves before it is connected ends its attempt with error 1."""
    async with connect(f"{stream_manager.url}?{GOOD}") as socket:
        assert "Success" in str(await socket.recv())
    await hooks.expect_order("connecting", {"state": "connect_error", "error": 1, "seq": 2}, timeout=T)


async def test_invalid_offer(stream_manager: EmbeddedSimulator, hooks: Hooks) -> None:
    """An offer that cannot be used ends the attempt with error 0, and the page gets an error with a reason."""
    async with connect(f"{stream_manager.url}?{GOOD}") as socket:
        await socket.recv()
        offer = {"handleOffer": "s", "transport": "udp", "data": {"sdp": {"type": "offer", "sdp": "v=0\r\nnonsense"}}}
        await socket.send(json.dumps(offer))
        async with asyncio.timeout(T):
            data = json.loads(await socket.recv())["data"]
        assert data["type"] == "error"
        assert data["message"]
        await hooks.expect("connect_error", error=0, seq=2, timeout=T)


@pytest.mark.stream_manager(proxy_enabled=False)
async def test_proxy_disabled(stream_manager: EmbeddedSimulator, caplog: pytest.LogCaptureFixture) -> None:
    """With ``proxy.enabled=false`` the upgrade gets HTTP 403 and one log line that names the key; REST goes on."""
    with pytest.raises(InvalidStatus) as refusal:
        async with connect(f"{stream_manager.url}?{GOOD}"):
            pass
    assert refusal.value.response.status_code == 403
    assert caplog.text.count("proxy.enabled") == 1
    async with aiohttp.ClientSession() as http:
        assert (await http.get(f"{stream_manager.rest_url}/healthz")).status == 200


async def test_noise_hurts_nobody(stream_manager: EmbeddedSimulator, publisher: MakePublisher, hooks: Hooks) -> None:
    """Unknown messages, binary frames and nonsense are no end of their own session, let alone of another's."""
    async with publisher("other", data_channel=False) as stream:
        async with connect(f"{stream_manager.url}?{GOOD}") as socket:
            await socket.recv()
            for noise in [
                "",
                "null",
                "[]",
                "{",
                '{"x":1}',
                '{"publish":5}',
                '{"mute":{"muteAudio":true}}',
                b"\x00\xff",
            ]:
                await socket.send(noise)
            await socket.send('{"isAvailable":"s","bundle":true}')
            async with asyncio.timeout(T):
                # What looks like a message and cannot be one is answered; all else is passed over.
                assert json.loads(await socket.recv())["data"]["code"] == "NetStream.Publish.Failed"
                assert json.loads(await socket.recv()) == {"isAvailable": False}
        assert not stream.closed.is_set()
    await hooks.expect("disconnected", id="other", reason=0, timeout=T)


async def test_oversized_message(stream_manager: EmbeddedSimulator, publisher: MakePublisher) -> None:
    """A message over 1 MiB ends its session with 1009, and no other."""
    async with publisher("other", data_channel=False) as stream:
        async with connect(f"{stream_manager.url}?{GOOD}") as socket:
            await socket.recv()
            await socket.send("x" * (2**20 + 1))
            async with asyncio.timeout(T):
                await socket.wait_closed()
            assert socket.close_code == 1009
        assert not stream.closed.is_set()


async def test_password_is_nowhere(
    stream_manager: EmbeddedSimulator, publisher: MakePublisher, hooks: Hooks, caplog: pytest.LogCaptureFixture
) -> None:
    """A password is in no log line of any level, no hook and no REST answer, though the origin gets it."""
    legacy = [
        f"streammanager/api/4.0/{path}" for path in ("event/list/stats", "event/live/s1/stats", "admin/proxy/clients")
    ]
    with caplog.at_level(logging.DEBUG):
        async with publisher("s1", password="hunter2"):
            session = (await hooks.expect("peer_joined", id="s1", timeout=T)).session
            ours = [
                f"api/v1/sessions{rest}" for rest in ("", f"/{session}", f"/{session}/frames", f"/{session}/timeline")
            ]
            async with aiohttp.ClientSession() as http:
                for path in [*legacy, *ours, "api/v1/hooks"]:
                    async with http.get(f"{stream_manager.rest_url}/{path}") as response:
                        assert response.status == 200, path
                        assert "hunter2" not in await response.text(), path
            with pytest.raises(PublishRejected):
                await publisher("s1", password="hunter2").publish()
        await hooks.expect("disconnected", session=session, timeout=T)
    assert_no_password(caplog)
    assert not any(b"hunter2" in hook.body for hook in hooks.all())
