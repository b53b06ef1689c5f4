"""The one port, on real sockets: HTTP, upgrades, and clients that are neither."""

from __future__ import annotations

import asyncio
import contextlib
import json

import aiohttp
import pytest
from smproxy.manager.deadlines import HttpTimes
from smproxy.manager.upgrade import UpgradeRequest
from websockets.asyncio.client import connect

from tests.helpers import eventually
from tests.integration.relay_rig import HANDSHAKE, Heard, Rig, echo, handshake, on_both_loops, origin, rig


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Read one HTTP response with a Content-Length."""
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode()
    status, *rows = head[:-4].split("\r\n")
    headers = {name.lower(): value for name, _, value in (row.partition(": ") for row in rows)}
    return int(status.split()[1]), headers, await reader.readexactly(int(headers.get("content-length", 0)))


async def refused(running: Rig, data: bytes) -> tuple[int, dict[str, str]]:
    """Send ``data``; expect an error in JSON and the end of the connection."""
    reader, writer = await running.connect()
    writer.write(data)
    status, headers, body = await answer(reader)
    assert headers["content-type"].startswith("application/json")
    error = json.loads(body)
    assert error["errorMessage"]
    assert error["timestamp"] > 1_600_000_000_000
    assert headers["connection"] == "close"
    assert await reader.read() == b""
    writer.close()
    return status, headers


@on_both_loops
async def test_http_upgrade_and_other_websockets_on_one_port() -> None:
    """An aiohttp session posts, posts again and upgrades on the same connection; other WebSockets are aiohttp's."""
    async with origin(echo) as port, rig(port) as running:
        base = f"http://127.0.0.1:{running.port}"
        async with aiohttp.ClientSession() as http:
            for number in range(3):
                async with http.post(f"{base}/rest?n={number}", data="b" * 100_000) as response:
                    assert await response.json() == {"got": "b" * 100_000, "query": f"n={number}"}
            assert running.listener.connections == 1
            async with http.ws_connect(f"{base}/streammanager?id=s", compress=0) as socket:
                assert running.listener.connections == 1
                await socket.send_str("spliced")
                assert await socket.receive_str() == "spliced"
                await socket.close(code=4000)
            async with http.ws_connect(f"{base}/ws") as socket:
                await socket.send_str("hello")
                assert await socket.receive_str() == "aiohttp: hello"
            async with http.get(f"{base}/nothing") as response:
                assert response.status == 404
        assert (await running.end()).code == 4000


@pytest.mark.parametrize("early", [b"", b"\x81\x82\0\0\0\0hi"])
@on_both_loops
async def test_upgrade_on_a_connection_that_served_http(early: bytes) -> None:
    """After a POST on the same connection an upgrade is handed to the relay, together with what came right behind it."""
    async with origin(echo) as port, rig(port) as running:
        reader, writer = await running.connect()
        for _ in range(2):
            writer.write(b"POST /rest HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
            assert (await answer(reader))[0] == 200
        writer.write(handshake("/streammanager?id=s") + early)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        if not early:
            writer.write(b"\x81\x82\0\0\0\0hi")
        assert await reader.readexactly(4) == b"\x81\x02hi"
        assert running.targets == ["/streammanager?id=s"]
        writer.close()
        await running.end()


@on_both_loops
async def test_bad_upgrade_on_a_connection_that_served_http() -> None:
    """What the front refuses is refused with the same status there; the connection goes on if it can."""
    async with rig(1) as running:
        reader, writer = await running.connect()
        writer.write(b"GET /rest HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await answer(reader))[0] == 200
        writer.write(handshake().replace(b"Version: 13", b"Version: 8"))
        status, headers, body = await answer(reader)
        assert (status, headers["sec-websocket-version"]) == (426, "13")
        assert json.loads(body)["errorMessage"]
        writer.write(b"GET /rest HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await answer(reader))[0] == 200


@on_both_loops
async def test_proxy_path_without_upgrade() -> None:
    """A plain request for a proxy path is told to upgrade; so is one for another protocol."""
    async with rig(1) as running:
        for data in (
            b"GET /streammanager HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /streammanager HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        ):
            reader, writer = await running.connect()
            writer.write(data)
            status, headers, body = await answer(reader)
            assert (status, headers["upgrade"]) == (426, "websocket")
            assert json.loads(body)["errorMessage"]


BAD = {
    "method": (handshake().replace(b"GET", b"POST"), 405),
    "HTTP/1.0": (handshake().replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
    "version": (handshake().replace(b"Version: 13", b"Version: 12"), 426),
    "key": (handshake().replace(b"Key: dGhl", b"Key: "), 400),
    "two keys": (handshake("/streammanager", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400),
    "body": (handshake("/streammanager", "Content-Length: 4") + b"body", 400),
    "header": (handshake("/streammanager", "broken line"), 400),
    "request line": (b"GET /\r\nHost: x\r\n\r\n", 400),
    "request line as long as a head": (b"GET /" + b"a" * 16_384 + b" HTTP/1.1\r\n\r\n", 414),
    "endless request line": (b"GET /" + b"a" * 20_000, 414),
    "large head": (handshake("/streammanager", "X: " + "x" * 20_000), 431),
    "endless head": (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 4000, 431),
    "TLS on a plain port": (b"\x16\x03\x01\x02\x00\x01\x00", 400),
}


@pytest.mark.parametrize(("data", "expected"), BAD.values(), ids=BAD.keys())
@on_both_loops
async def test_bad_request(data: bytes, expected: int) -> None:
    """What is no valid request gets its status, a JSON body and the end of the connection."""
    async with rig(1) as running:
        status, headers = await refused(running, data)
        assert status == expected
        if expected == 426:
            assert headers["sec-websocket-version"] == "13"
        if expected == 405:
            assert headers["allow"] == "GET"
        assert running.heard == []


@on_both_loops
async def test_slow_head() -> None:
    """A head that does not come in time gets 408, also when a byte comes now and then."""
    async with rig(1, times=HttpTimes(head=0.15)) as running:
        assert (await refused(running, b""))[0] == 408
        assert (await refused(running, b"GET / HTTP/1.1\r\nX: "))[0] == 408


@on_both_loops
async def test_head_in_pieces() -> None:
    """A head may come byte by byte, after empty lines, with the first frame behind it."""
    async with origin(echo) as port, rig(port) as running:
        reader, writer = await running.connect()
        for byte in b"\r\n" + handshake() + b"\x81\x82\0\0\0\0hi":
            writer.write(bytes((byte,)))
            await writer.drain()
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert await reader.readexactly(4) == b"\x81\x02hi"


@on_both_loops
async def test_keep_alive_http_with_pipelined_requests() -> None:
    """The HTTP server gets every byte, also of requests that follow at once."""
    async with rig(1) as running:
        reader, writer = await running.connect()
        writer.write(
            b"GET /rest?1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /rest?2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na"
        )
        assert json.loads((await answer(reader))[2])["query"] == "1"
        writer.write(b"bc")
        assert json.loads((await answer(reader))[2]) == {"got": "abc", "query": "2"}


@on_both_loops
async def test_connection_limit() -> None:
    """Above the limit a client gets 503, until another one has left."""
    async with origin(echo) as port, rig(port, max_connections=2) as running, connect(running.url):
        async with connect(running.url) as client:
            await client.send("in")
            assert await client.recv() == "in"
            assert (await refused(running, b""))[0] == 503
        await running.end(1)
        await eventually(lambda: running.listener.connections == 1)
        async with connect(running.url) as client:
            await client.send("in again")
            assert await client.recv() == "in again"
        await running.end(2)


@on_both_loops
async def test_the_slowest_gives_way() -> None:
    """At the limit a new client takes the place of the one that has been waited for longest, whatever for."""
    request = b"GET /rest HTTP/1.1\r\nHost: x\r\n\r\n"
    starts = {
        "nothing": b"",
        "head": b"GET /",
        "body": b"POST /rest HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\na",
        "idle": request,
    }
    async with rig(1, max_connections=len(starts)) as running:
        waiting = []
        for start in starts.values():
            reader, writer = await running.connect()
            writer.write(start)
            waiting.append(reader)
            if start is request:
                assert (await answer(reader))[0] == 200
        deadlines = running.listener.deadlines
        await eventually(lambda: (len(deadlines.heads), len(deadlines.bodies), len(deadlines.idle)) == (2, 1, 1))
        for number, slow in enumerate(waiting):
            reader, writer = await running.connect()
            writer.write(request)
            assert (await answer(reader))[0] == 200
            with contextlib.suppress(ConnectionError):
                assert await slow.read() == b"", list(starts)[number]


@on_both_loops
async def test_deadlines_of_later_requests() -> None:
    """A second head, a body, however it is dribbled, and an idle connection have their time; then the connection ends."""
    request = b"GET /rest HTTP/1.1\r\nHost: x\r\n\r\n"
    chunked = b"POST /rest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    times = HttpTimes(head=0.3, body=0.3, idle=0.3, linger=0.1)
    async with rig(1, times=times) as running:
        for start, drip, status in (
            (request, b"", 200),
            (request, b"GET / HTTP/1.1\r\nX: y", 200),
            (b"POST /rest HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n", b"a", 408),
            (chunked, b"1\r\na\r\n", 408),
        ):
            reader, writer = await running.connect()
            writer.write(start)
            if status == 200:
                assert (await answer(reader))[0] == 200
            reading = asyncio.ensure_future(reader.read())
            while not reading.done():
                with contextlib.suppress(ConnectionError):
                    writer.write(drip[:1] if status == 200 else drip)
                drip = drip[1:] if status == 200 else drip
                await asyncio.wait((reading,), timeout=0.02)
            with contextlib.suppress(ConnectionError):
                assert (await reading).startswith(b"HTTP/1.1 408" if status == 408 else b"")
        await eventually(lambda: running.listener.connections == 0)


@on_both_loops
async def test_target_in_absolute_form() -> None:
    """``GET http://host/path`` is as good as ``GET /path``: HTTP, an upgrade, and a connection that served HTTP (S2)."""
    async with origin(echo) as port, rig(port) as running:
        reader, writer = await running.connect()
        for target in ("http://localhost/rest?a=1", "HTTP://localhost:80/rest?a=1"):
            writer.write(f"GET {target} HTTP/1.1\r\nHost: other.example\r\n\r\n".encode())
            status, _, body = await answer(reader)
            assert (status, json.loads(body)["query"]) == (200, "a=1")
        writer.write(handshake("http://localhost/streammanager?id=s"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        first, writer = await running.connect()
        writer.write(handshake("ws://proxy.example/streammanager?id=t"))
        assert (await first.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert running.targets == ["/streammanager?id=s", "/streammanager?id=t"]


@on_both_loops
async def test_long_request_line() -> None:
    """A request line has the room that a head has, for HTTP and for an upgrade (S3)."""
    async with origin(echo) as port, rig(port) as running:
        reader, writer = await running.connect()
        for _ in range(2):
            writer.write(b"GET /rest?" + b"a" * 16_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await answer(reader))[0] == 200
        reader, writer = await running.connect()
        writer.write(handshake("/streammanager?id=" + "a" * 15_000))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")


@on_both_loops
async def test_upgrade_handler_that_raises() -> None:
    """An error in the handler costs that client a 500 and nobody else anything."""

    def broken(_: UpgradeRequest) -> None:
        raise RuntimeError("no")

    async with rig(1, upgrade=broken) as running:
        assert (await refused(running, handshake()))[0] == 500


@on_both_loops
async def test_unanswered_upgrade_is_not_read_from() -> None:
    """Until someone answers, what the client sends waits in the network; then it arrives complete."""
    requests: list[UpgradeRequest] = []
    async with origin(echo) as port, rig(port, upgrade=requests.append) as running:
        reader, writer = await running.connect()
        writer.write(handshake())
        await eventually(lambda: requests)
        sent = b"\x81\x82\0\0\0\0hi" * 3 + b"\x82\xff\0\0\0\0\0\x0f\0\0\0\0\0\0" + b"b" * 0xF0000
        for _ in range(8):
            writer.write(sent)
        async with aiohttp.ClientSession() as other:  # time for the front to read, if it did
            for _ in range(5):
                async with other.get(f"http://127.0.0.1:{running.port}/rest") as response:
                    assert response.status == 200
        request, heard = requests[0], Heard()
        assert request.rest == b""
        assert repr(request) == "<UpgradeRequest /streammanager from 127.0.0.1>"
        running.relay.open(request, host="127.0.0.1", port=port, target="/", headers={}, observer=heard)
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(12) == b"\x81\x02hi" * 3
        reading = asyncio.create_task(reader.read())
        await eventually(lambda: len(heard.client) == 8 * 4)
        writer.transport.abort()
        await reading


@on_both_loops
async def test_stop_ends_what_nobody_owns() -> None:
    """``stop`` ends connections that are still to say what they want, and upgrades without an answer; new ones are cut."""
    requests: list[UpgradeRequest] = []
    async with rig(1, upgrade=requests.append) as running:
        silent, _ = await running.connect()
        pending, writer = await running.connect()
        writer.write(handshake())
        await eventually(lambda: requests and running.listener.connections == 2)
        await running.listener.stop()
        assert running.listener.connections == 0
        assert requests[0].closed
        assert await silent.read() == await pending.read() == b""
        late, _ = await running.connect()
        assert await late.read() == b""


def test_the_rig_sends_a_valid_handshake() -> None:
    """The requests above are wrong in one thing only."""
    assert HANDSHAKE.count("\r\n") == 6
