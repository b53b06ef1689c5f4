"""The splice: what one side sends is what the other side gets, to the last byte and the last close code."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from smproxy.manager.relay import RelayEnd, RelayLimits
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CONT, PING, PONG, TEXT, Frame

from tests.helpers import eventually, scaled
from tests.integration.relay_rig import accept_raw, echo, handshake, on_both_loops, origin, raw_origin, rig

MASK_BIT = True


@on_both_loops
async def test_messages_go_both_ways_and_are_heard() -> None:
    """Text passes both ways and the observer hears it; binary and unreadable messages pass, and count as unreadable."""
    async with origin(echo) as port, rig(port) as running, connect(running.url) as client:
        for message in ('{"isAvailable":"s","bundle":true}', "no JSON", b"\x00\x01", "", "ä" * 40_000):
            await client.send(message)
            assert await client.recv() == message
        heard, session = running.heard[0], running.connections[0]
        await eventually(lambda: len(heard.origin) == 5)
        assert heard.events[0] == "dialed"
        assert heard.client[0] is not None
        assert heard.client[0].is_available == "s"
        assert heard.client[1:] == heard.origin[1:] == [None] * 4
        assert session.unreadable == 8
        assert session.client_connected
        assert session.origin_connected
        assert session.client_bytes > 80_000
        assert session.origin_bytes > 80_000


@on_both_loops
async def test_bytes_pass_unchanged_in_both_directions() -> None:
    """Fragments, pings, pongs and length encodings arrive as they were sent, also one byte at a time."""
    from_client = b"".join(
        [
            Frame(TEXT, b"frag", fin=False).serialize(mask=MASK_BIT),
            Frame(PING, b"in the middle").serialize(mask=MASK_BIT),
            Frame(CONT, b"ment").serialize(mask=MASK_BIT),
            Frame(PONG, b"").serialize(mask=MASK_BIT),
            Frame(TEXT, b"x" * 70_000).serialize(mask=MASK_BIT),
        ]
    )
    from_origin = b"".join(
        [
            Frame(TEXT, b"frag", fin=False).serialize(mask=False),
            Frame(PING, b"in the middle").serialize(mask=False),
            Frame(CONT, b"ment").serialize(mask=False),
            Frame(TEXT, b"x" * 300).serialize(mask=False),
        ]
    )
    received = bytearray()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_raw(reader, writer)
        for byte in from_origin:
            writer.write(bytes((byte,)))
            await writer.drain()
        received.extend(await reader.readexactly(len(from_client)))
        await reader.read()

    async with raw_origin(talk) as port, rig(port) as running:
        reader, writer = await running.connect()
        for byte in handshake() + from_client[:2000]:
            writer.write(bytes((byte,)))
            await writer.drain()
        writer.write(from_client[2000:])
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(len(from_origin)) == from_origin
        await eventually(lambda: bytes(received) == from_client)
        writer.close()
        await running.end()


async def closing(running_url: str, close: int | None) -> ClientConnection:
    client = await connect(running_url)
    await client.send("hello")
    await client.recv()
    if close is None:
        client.transport.abort()
    else:
        await client.close(close, "bye")
    return client


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
@on_both_loops
async def test_close_code_of_the_client_reaches_the_origin(code: int) -> None:
    """The origin sees the code and the reason of the client, and so does the observer."""
    seen: list[tuple[int | None, str | None]] = []

    async def handler(connection: ServerConnection) -> None:
        await echo(connection)
        seen.append((connection.close_code, connection.close_reason))

    async with origin(handler) as port, rig(port) as running:
        client = await closing(running.url, code)
        assert (client.close_code, client.close_reason) == (code, "bye")
        assert await running.end() == RelayEnd("client", code, True, "bye")
        await eventually(lambda: seen == [(code, "bye")])


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
@on_both_loops
async def test_close_code_of_the_origin_reaches_the_client(code: int) -> None:
    """The client sees the code and the reason of the origin, and so does the observer."""

    async def handler(connection: ServerConnection) -> None:
        await connection.send("last words")
        await connection.close(code, "enough")

    async with origin(handler) as port, rig(port) as running, connect(running.url) as client:
        assert await client.recv() == "last words"
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert (client.close_code, client.close_reason) == (code, "enough")
        assert await running.end() == RelayEnd("origin", code, True, "enough")


@on_both_loops
async def test_close_without_a_code_stays_without_one() -> None:
    """An empty Close frame is 1005 on the other side."""
    seen: list[int | None] = []

    async def handler(connection: ServerConnection) -> None:
        await connection.wait_closed()
        seen.append(connection.close_code)

    async with origin(handler) as port, rig(port) as running:
        reader, writer = await running.connect()
        writer.write(handshake() + b"\x88\x80\x00\x00\x00\x00")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.read() == b"\x88\x00"
        assert await running.end() == RelayEnd("client", 1005, True, "")
        await eventually(lambda: seen == [1005])
        writer.close()


@on_both_loops
async def test_lost_client_is_1006_for_the_origin() -> None:
    """A client that vanishes without a Close frame is not given one."""
    seen: list[int | None] = []

    async def handler(connection: ServerConnection) -> None:
        await echo(connection)
        seen.append(connection.close_code)

    async with origin(handler) as port, rig(port) as running:
        await closing(running.url, None)
        end = await running.end()
        assert (end.by, end.code, end.clean) == ("client", None, False)
        await eventually(lambda: seen == [1006])


@on_both_loops
async def test_lost_origin_is_1006_for_the_client() -> None:
    """An origin that dies without a Close frame is no clean end for the client."""

    async def handler(connection: ServerConnection) -> None:
        await connection.recv()
        connection.transport.abort()

    async with origin(handler) as port, rig(port) as running, connect(running.url) as client:
        await client.send("hello")
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1006
        end = await running.end()
        assert (end.by, end.code, end.clean) == ("origin", None, False)


@on_both_loops
async def test_what_was_said_before_the_socket_closed_reaches_the_origin() -> None:
    """A client that says ``switchChannel`` and is gone the next moment is heard, while the origin talks all the time."""
    got = bytearray()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_raw(reader, writer)
        writer.write(b"\x81\x7e\x10\x00" + b"n" * 4096)
        got.extend(await reader.read(1))
        for _ in range(20):
            writer.write(b"\x81\x05noise")
            await asyncio.wait_for(writer.drain(), 5)
        got.extend(await reader.read())

    message = Frame(TEXT, b'{"switchChannel":"red5pro"}').serialize(mask=True)
    close = Frame(8, b"\x03\xe8").serialize(mask=True)
    async with raw_origin(talk) as port, rig(port) as running:
        reader, writer = await running.connect()
        writer.write(handshake())
        await reader.readuntil(b"\r\n\r\n")
        await eventually(lambda: running.connections[0].origin_bytes > 0)
        writer.write(message + close)
        writer.close()
        end = await running.end()
        assert (end.by, end.code) == ("client", 1000)
        assert running.heard[0].client[-1] is not None
        await eventually(lambda: bytes(got) == message + close)


@on_both_loops
async def test_half_closed_client_still_gets_the_answer() -> None:
    """A FIN ends one direction only, for as long as closing may take."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_raw(reader, writer)
        await reader.read()
        writer.write(b"\x81\x06answer")

    async with raw_origin(talk) as port, rig(port) as running:
        reader, writer = await running.connect()
        writer.write(handshake())
        await reader.readuntil(b"\r\n\r\n")
        await eventually(lambda: running.heard[0].events == ["dialed"])
        writer.write_eof()
        assert await reader.read() == b"\x81\x06answer"
        writer.close()
        assert (await running.end()).by == "client"


@on_both_loops
async def test_peer_that_does_not_finish_closing_is_cut() -> None:
    """An origin that ignores the end of its client is aborted after the close time-out."""
    hold = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_raw(reader, writer)
        await hold.wait()

    async with raw_origin(talk) as port, rig(port, limits=RelayLimits(close_timeout=0.1)) as running:
        client = await connect(running.url, close_timeout=0.01)
        await eventually(lambda: running.heard[0].events == ["dialed"])
        client.transport.abort()
        assert (await running.end()).by == "client"
        hold.set()


@pytest.mark.parametrize("stalled", ["client", "origin"])
@on_both_loops
async def test_stalled_reader_stops_the_sender(stalled: str) -> None:
    """When one side does not read, the other is soon not read from either: what the relay keeps is bounded."""
    go = asyncio.Event()
    total = 24 * 1024 * 1024
    piece = b"\x82\x7e\x40\x00" + b"b" * 16384
    masked = b"\x82\xfe\x40\x00\x00\x00\x00\x00" + b"b" * 16384
    sent = {"bytes": 0}
    got = {"bytes": 0}

    async def pour(writer: asyncio.StreamWriter, frame: bytes) -> None:
        while sent["bytes"] < total:
            writer.write(frame)
            sent["bytes"] += len(frame)
            await writer.drain()

    async def drink(reader: asyncio.StreamReader) -> None:
        await go.wait()
        while got["bytes"] < sent["bytes"] or sent["bytes"] < total:
            got["bytes"] += len(await reader.read(1 << 16))

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_raw(reader, writer)
        await (drink(reader) if stalled == "origin" else pour(writer, piece))
        await reader.read()

    async with raw_origin(talk) as port, rig(port) as running:
        reader, writer = await running.connect()
        writer.write(handshake())
        await reader.readuntil(b"\r\n\r\n")
        await eventually(lambda: bool(running.heard and running.heard[0].events))
        mine = asyncio.create_task(pour(writer, masked) if stalled == "origin" else drink(reader))
        session = running.connections[0]
        legs = {"client": session._client, "origin": session._origin}
        sender = legs["origin" if stalled == "client" else "client"]
        await eventually(lambda: sender.read_paused, 20)
        seen = sender.received
        assert legs[stalled].transport.get_write_buffer_size() <= 64 * 1024 + 256 * 1024
        assert sent["bytes"] < total
        go.set()
        await eventually(lambda: got["bytes"] >= total, 60)
        await mine
        assert seen < sender.received
        assert not sender.read_paused
        writer.close()
        await running.end()


@on_both_loops
async def test_three_hundred_sessions_at_once() -> None:
    """Many sessions at the same time each get their own bytes back."""
    sessions, rounds = 300, 4

    async def one(number: int, url: str) -> None:
        async with connect(url, open_timeout=scaled(30), compression=None) as client:
            for round_ in range(rounds):
                message = f'{{"log":"{number}/{round_}"}}' + " " * (number * 7)
                await client.send(message)
                assert await client.recv() == message

    async with origin(echo, compression=None) as port, rig(port) as running:
        await asyncio.gather(*(one(number, running.url) for number in range(sessions)))
        for index in range(sessions):
            assert (await running.end(index)).code == 1000
        assert all(len(heard.client) == rounds for heard in running.heard)
        assert len(running.heard) == sessions


@on_both_loops
async def test_tls_client(tmp_path: Path) -> None:
    """Over TLS the same holds: messages, close codes, a plain origin, and the origin is told that the client is secure."""
    server, client_context = certificates(tmp_path)
    heads: list[str] = []

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        heads.append(connection.request.headers["X-Forwarded-For-Meta-Secure"])
        await echo(connection)

    async with origin(handler) as port, rig(port, server_ssl=server) as running:
        url = running.url.replace("ws:", "wss:").replace("127.0.0.1", "localhost")
        async with connect(url, ssl=client_context) as client:
            for message in ("hello", "x" * 300_000):
                await client.send(message)
                assert await client.recv() == message
            await client.close(4001, "done")
        assert await running.end() == RelayEnd("client", 4001, True, "done")
        assert heads == ["true"]
        lost = await connect(url, ssl=client_context)
        lost.transport.abort()
        assert (await running.end(1)).by == "client"


def certificates(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate of its own, and a client's that trusts it."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    client = ssl.create_default_context()
    client.load_verify_locations(pem)
    client.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return server, client
