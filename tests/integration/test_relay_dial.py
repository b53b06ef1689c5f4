"""Reaching the origin: what it is told, what the client is told, and how both handshakes fit together."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable

import pytest
from smproxy.manager.relay import RelayEnd, RelayLimits
from smproxy.manager.upgrade import UpgradeRequest
from smproxy.signaling import messages
from smproxy.signaling.messages import CONNECT_FAILED, CONNECT_REJECTED, connect_error
from smproxy.signaling.payloads import RouteError
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import TEXT, Frame
from websockets.typing import Subprotocol

from tests.helpers import eventually
from tests.integration.relay_rig import (
    Heard,
    Rig,
    Talk,
    accept_raw,
    echo,
    handshake,
    on_both_loops,
    origin,
    raw_origin,
    rig,
)

FAILED = {"data": {"type": "error", "code": CONNECT_FAILED}}


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def refused(client: ClientConnection) -> tuple[int | None, str | None]:
    """Expect the refusal of an origin that cannot be had; return code and reason of the close."""
    assert json.loads(await client.recv()) == FAILED
    with pytest.raises(ConnectionClosed):
        await client.recv()
    return client.close_code, client.close_reason


@on_both_loops
async def test_origin_is_told_about_the_client() -> None:
    """The origin gets the target, what the vendor's proxy says of a client, and our headers; nothing else of the client's."""
    heads: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await accept_raw(reader, writer)).decode())
        await reader.read()

    sent = (
        "User-Agent: Browser/1",
        "Origin: https://page",
        "Cookie: secret",
        "Authorization: secret",
        "X-Forwarded-For: 6.6.6.6",
        "X-Stream-Manager-Attempt: forged",
        "Sec-WebSocket-Extensions: permessage-deflate",
    )
    options = {"target": "/live/room/?id=s&a=%20+", "headers": {"X-Stream-Manager-Attempt": "real"}}
    async with raw_origin(talk) as port, rig(port, **options) as running:  # type: ignore[arg-type]
        reader, writer = await running.connect()
        own_port = writer.get_extra_info("sockname")[1]
        writer.write(handshake("/streammanager?x", *sent))
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        await eventually(lambda: heads)
        writer.close()
        await running.end()
    assert heads[0].split("\r\n") == [
        "GET /live/room/?id=s&a=%20+ HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: json",
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-For-Meta-Secure: false",
        "X-Forwarded-For-Meta-Type: WEB",
        "User-Agent: Browser/1",
        f"X-Forwarded-For-Meta-Port: {own_port}",
        "X-Stream-Manager-Attempt: real",
        "",
        "",
    ]
    assert answer.split("\r\n") == [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "",
        "",
    ]


@on_both_loops
async def test_client_without_origin_header_is_direct() -> None:
    """A client that is no page counts as DIRECT."""
    seen: list[str] = []

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request.headers["X-Forwarded-For-Meta-Type"])
        await echo(connection)

    async with origin(handler) as port, rig(port) as running:
        async with connect(running.url):
            await eventually(lambda: seen == ["DIRECT"])
        await running.end()


@on_both_loops
async def test_compression_is_declined_on_both_legs() -> None:
    """Neither leg compresses, though both peers offer or could."""
    legs: list[ServerConnection] = []

    async def handler(connection: ServerConnection) -> None:
        legs.append(connection)
        await echo(connection)

    async with origin(handler) as port, rig(port) as running:
        async with connect(running.url, compression="deflate") as client:
            assert client.protocol.extensions == []
            await client.send("x" * 1000)
            assert await client.recv() == "x" * 1000
            assert legs[0].protocol.extensions == []
        await running.end()


SUBPROTOCOLS: list[tuple[list[str], list[str] | None, str | None]] = [
    ([], ["json"], None),
    ([], None, None),
    (["a", "b"], ["b", "a"], "b"),
    (["a", "b"], ["json"], None),
    (["a", "json"], ["json"], "json"),
    (["a"], None, None),
]


@pytest.mark.parametrize(("offered", "spoken", "expected"), SUBPROTOCOLS)
@on_both_loops
async def test_subprotocol(offered: list[str], spoken: list[str] | None, expected: str | None) -> None:
    """The client gets the origin's choice if it is one of its own; ``json`` is offered to the origin always, and not echoed."""
    seen: list[str] = []

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request.headers["Sec-WebSocket-Protocol"])
        await echo(connection)

    def select(_: ServerConnection, names: object) -> Subprotocol | None:
        assert isinstance(names, list)
        return next((Subprotocol(name) for name in spoken or [] if name in names), None)

    async with origin(handler, select_subprotocol=select) as port, rig(port) as running:
        async with connect(running.url, subprotocols=[Subprotocol(name) for name in offered] or None) as client:
            assert client.subprotocol == expected
            await client.send("hello")
            assert await client.recv() == "hello"
        assert seen == [", ".join([*offered, *([] if "json" in offered else ["json"])])]
        await running.end()


@pytest.mark.parametrize("subprotocols", [[], ["a", "b"]])
@on_both_loops
async def test_unreachable_origin(subprotocols: list[str]) -> None:
    """A page is told in the signaling's words that there is no origin, then 1014; with subprotocols it gets its first."""
    async with rig(unused_port()) as running:
        async with connect(running.url, subprotocols=[Subprotocol(name) for name in subprotocols] or None) as client:
            assert client.subprotocol == (subprotocols[0] if subprotocols else None)
            code, reason = await refused(client)
        assert code == 1014
        assert reason is not None
        assert "cannot be reached" in reason
        assert running.heard[0].events == ["dial_failed"]
        assert running.heard[0].failure.startswith(reason)
        assert not running.connections[0].client_connected


@on_both_loops
async def test_origin_name_that_does_not_resolve() -> None:
    """A bad name is a failed dial, not an error."""
    async with rig(80, origin_host="nowhere.invalid") as running, connect(running.url) as client:
        assert (await refused(client))[0] == 1014


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def say(answer: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await reader.read()

    return talk


def accept_with(*lines: str) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_raw(reader, writer, *lines)
        await reader.read()

    return talk


async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


BAD_ORIGINS: dict[str, tuple[Talk, str]] = {
    "hangs": (hang, "did not answer within 0.2 s"),
    "closes": (leave, "closed the connection"),
    "404": (say(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "answered HTTP 404"),
    "garbage": (say(b"\x00\x01 nothing like HTTP"), "not HTTP/1.1"),
    "HTTP/1.0": (say(b"HTTP/1.0 101 Switching\r\n\r\n"), "not HTTP/1.1"),
    "endless head": (say(b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"x" * 20_000), "longer than"),
    "large head": (say(b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"x" * 20_000 + b"\r\n\r\n"), "longer than"),
    "bad header": (say(b"HTTP/1.1 101 Switching Protocols\r\nno colon\r\n\r\n"), "malformed header"),
    "no upgrade": (say(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), "no upgrade"),
    "wrong key": (
        say(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        ),
        "does not fit the key",
    ),
    "extension": (accept_with("Sec-WebSocket-Extensions: permessage-deflate"), "extension"),
    "subprotocol": (accept_with("Sec-WebSocket-Protocol: other"), "subprotocol"),
}


@pytest.mark.parametrize(("talk", "why"), BAD_ORIGINS.values(), ids=BAD_ORIGINS.keys())
@on_both_loops
async def test_origin_that_does_not_accept(talk: Talk, why: str) -> None:
    """Whatever an origin answers but a valid acceptance is a failed dial with a reason of one line."""
    async with raw_origin(talk) as port, rig(port, limits=RelayLimits(dial_timeout=0.2)) as running:
        async with connect(running.url) as client:
            code, reason = await refused(client)
        heard = running.heard[0]
        assert code == 1014
        assert heard.events == ["dial_failed"]
        assert heard.error is (RouteError.TIMEOUT if talk is hang else RouteError.MEDIA_ERROR)
        assert why in heard.failure
        assert "\n" not in heard.failure
        assert reason is not None
        assert heard.failure.startswith(reason)


@on_both_loops
async def test_what_the_client_says_early_waits_for_the_origin() -> None:
    """Messages that come with the handshake or during the dial are delivered and heard after ``dialed``, however many."""
    go = asyncio.Event()
    message = Frame(TEXT, b'{"log":"%s"}' % (b"e" * 1000)).serialize(mask=True)
    got = bytearray()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        await accept_raw(reader, writer)
        while len(got) < 400 * len(message):
            got.extend(await reader.read(1 << 16))
        await reader.read()

    async with raw_origin(talk) as port, rig(port) as running:
        reader, writer = await running.connect()
        writer.write(handshake() + message * 400)
        await reader.readuntil(b"\r\n\r\n")
        await eventually(lambda: running.connections[0]._client.read_paused)
        assert running.heard[0].events == []
        assert running.connections[0].client_bytes < 400 * len(message)
        go.set()
        await eventually(lambda: len(running.heard[0].client) == 400)
        assert running.heard[0].events[0] == "dialed"
        await eventually(lambda: len(got) >= 400 * len(message))
        assert bytes(got) == message * 400
        writer.close()
        await running.end()


@pytest.mark.parametrize("how", ["abort", "fin"])
@pytest.mark.parametrize("lines", [(), ("Sec-WebSocket-Protocol: a",)])
@on_both_loops
async def test_client_leaves_during_the_dial(how: str, lines: tuple[str, ...]) -> None:
    """The dial is given up at once, and the observer is told that the client ended it."""
    dialed: list[bytes] = []
    closed: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dialed.append(await reader.readuntil(b"\r\n\r\n"))
        closed.append(await reader.read())

    async with raw_origin(talk) as port, rig(port) as running:
        _, writer = await running.connect()
        writer.write(handshake("/streammanager", *lines))
        await eventually(lambda: dialed)
        if how == "abort":
            writer.transport.abort()
        else:
            writer.write_eof()
        end = await running.end()
        assert (end.by, end.code, running.heard[0].events) == ("client", None, ["ended"])
        await eventually(lambda: not running.relay._dials)
        writer.close()


@on_both_loops
async def test_client_resets_at_once() -> None:
    """Clients that reset their connection with the upgrade still on its way leave no dial behind, on either event loop."""
    limits = RelayLimits(close_timeout=60, dial_timeout=60)
    async with raw_origin(hang) as port, rig(port, limits=limits) as running:
        for _ in range(20):
            _, writer = await running.connect()
            writer.write(handshake("/streammanager"))
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()
        async with connect(running.url) as client:  # the others were seen by now
            await eventually(lambda: len(running.relay._dials) == 1)
            client.transport.abort()
        await eventually(lambda: not running.relay._dials and not running.relay.connections)


@on_both_loops
async def test_proxy_closes_during_the_dial() -> None:
    """A session that is closed before the origin answered says so to the page, closes with that code, and is told once."""
    async with raw_origin(hang) as port, rig(port) as running, connect(running.url) as client:
        await eventually(lambda: running.relay._dials)
        running.connections[0].close(4002, "kicked")
        running.connections[0].close(4003, "again")
        assert await client.recv() == messages.connect_error(messages.CONNECT_FAILED)
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert (client.close_code, client.close_reason) == (4002, "kicked")
        assert await running.end() == RelayEnd("proxy", 4002, False, "kicked")
        assert running.heard[0].events == ["ended"]


async def decide_later(running: Rig, requests: list[UpgradeRequest]) -> UpgradeRequest:
    await eventually(lambda: requests)
    return requests[0]


def keep(requests: list[UpgradeRequest]) -> Callable[[UpgradeRequest], None]:
    return requests.append


@on_both_loops
async def test_refusal_in_words() -> None:
    """A refused client gets its 101, the text, the code and as much of the reason as fits."""
    requests: list[UpgradeRequest] = []
    async with rig(1, upgrade=keep(requests)) as running:
        opening = asyncio.create_task(connect(running.url).__aenter__())
        request = await decide_later(running, requests)
        running.relay.refuse(request, connect_error(CONNECT_REJECTED), 1008, "ä" * 100)
        client = await opening
        assert json.loads(await client.recv())["data"]["code"] == CONNECT_REJECTED
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert (client.close_code, client.close_reason) == (1008, "ä" * 61)
        with pytest.raises(RuntimeError):
            request.reject(500, "twice")


@on_both_loops
async def test_refused_client_that_never_answers_is_cut() -> None:
    """A client that ignores the Close frame is aborted after the refuse time-out."""
    requests: list[UpgradeRequest] = []
    async with rig(1, upgrade=keep(requests), limits=RelayLimits(refuse_timeout=0.1)) as running:
        reader, writer = await running.connect()
        writer.write(handshake())
        running.relay.refuse(await decide_later(running, requests), "no", 1008, "")
        await reader.readuntil(b"\x88\x02\x03\xf0")
        assert await reader.read() == b""


@on_both_loops
async def test_rejection_over_http() -> None:
    """A request may be rejected with a plain HTTP error, now or later."""
    requests: list[UpgradeRequest] = []
    async with rig(1, upgrade=keep(requests)) as running:
        opening = asyncio.create_task(connect(running.url).__aenter__())
        (await decide_later(running, requests)).reject(404, "proxy is disabled")
        with pytest.raises(InvalidStatus) as caught:
            await opening
        assert caught.value.response.status_code == 404
        assert json.loads(caught.value.response.body)["errorMessage"] == "proxy is disabled"


@on_both_loops
async def test_request_whose_client_has_left_can_still_be_answered() -> None:
    """Answering a client that is gone does no harm; an opened session ends at once."""
    requests: list[UpgradeRequest] = []
    async with rig(1, upgrade=keep(requests)) as running:
        for answer in ("open", "refuse", "reject"):
            requests.clear()
            _, writer = await running.connect()
            writer.write(handshake())
            request = await decide_later(running, requests)
            request.transport.abort()
            await eventually(lambda request=request: request.closed)  # type: ignore[misc]
            if answer == "reject":
                request.reject(403, "no")
            elif answer == "refuse":
                running.relay.refuse(request, "no", 1008, "")
            else:
                heard = Heard()
                running.heard.append(heard)
                running.relay.open(request, host="127.0.0.1", port=1, target="/", headers={}, observer=heard)
                await running.end()
                assert heard.events == ["ended"]


@on_both_loops
async def test_bad_target_or_header_is_the_callers_mistake() -> None:
    """Characters that would split the origin's request raise, and the request can still be answered."""
    requests: list[UpgradeRequest] = []
    async with rig(1, upgrade=keep(requests)) as running:
        opening = asyncio.create_task(connect(running.url).__aenter__())
        request = await decide_later(running, requests)
        bad = [("/a b", {}), ("/a\r\nX: y", {}), ("/", {"X": "a\r\nY: b"}), ("/", {"X: y": "z"})]
        for target, headers in bad:
            with pytest.raises(ValueError, match="invalid character"):
                running.relay.open(request, host="h", port=1, target=target, headers=headers, observer=object())  # type: ignore[arg-type]
        request.reject(400, "bad")
        with pytest.raises(InvalidStatus):
            await opening
