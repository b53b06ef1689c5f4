"""What ends a session besides its two sides: broken frames, silence, the proxy; and what must not end it."""

from __future__ import annotations

import asyncio
import json
import struct

import pytest
from smproxy.manager.relay import RelayEnd, RelayLimits
from smproxy.signaling.messages import DATA_CHANNEL_AVAILABLE, ServerMessage, data_channel_available
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import BINARY, CONT, PING, PONG, TEXT, Close, Frame

from tests.helpers import eventually
from tests.integration.relay_rig import (
    Heard,
    Rig,
    accept_raw,
    echo,
    handshake,
    on_both_loops,
    origin,
    raw_origin,
    rig,
)

SMALL = RelayLimits(max_message=1000, close_timeout=60)


async def raw_client(running: Rig) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A raw client whose session is up."""
    reader, writer = await running.connect()
    writer.write(handshake())
    await reader.readuntil(b"\r\n\r\n")
    await eventually(lambda: running.heard[0].events[:1] == ["dialed"])
    return reader, writer


def code_of(close: bytes) -> int:
    """The code of an unmasked Close frame."""
    assert close[0] == 0x88, close
    return int(struct.unpack("!H", close[2:4])[0])


VIOLATIONS = {
    "reserved bit": (b"\xc1\x80\0\0\0\0", 1002),
    "unmasked": (b"\x81\x01a", 1002),
    "fragmented ping": (b"\x09\x80\0\0\0\0", 1002),
    "too large": (b"\x81\xfe\x03\xe9\0\0\0\0", 1009),
    "far too large": (b"\x82\xff\x7f" + b"\xff" * 7 + b"\0\0\0\0", 1009),
    "not UTF-8": (b"\x81\x81\0\0\0\0\xff", 1007),
    "bad close": (b"\x88\x81\0\0\0\0\x03", 1002),
}


@pytest.mark.parametrize(("bad", "code"), VIOLATIONS.values(), ids=VIOLATIONS.keys())
@on_both_loops
async def test_client_that_breaks_the_protocol(bad: bytes, code: int) -> None:
    """A broken frame of the client ends both legs with the same code, and not a byte of it reaches the origin."""
    seen: list[int | None] = []
    messages: list[object] = []

    async def handler(connection: ServerConnection) -> None:
        try:
            messages.append(await connection.recv())
            messages.append(await connection.recv())
        except ConnectionClosed:
            seen.append(connection.close_code)

    async with origin(handler) as port, rig(port, limits=SMALL) as running:
        reader, writer = await raw_client(running)
        writer.write(Frame(TEXT, b"good").serialize(mask=True) + bad + Frame(TEXT, b"never").serialize(mask=True))
        assert code_of(await reader.read()) == code
        writer.close()
        await eventually(lambda: seen == [code])
        end = await running.end()
        assert messages == ["good"]
        assert (end.by, end.code, end.clean) == ("proxy", code, False)
        assert end.detail.startswith("client: ")


@on_both_loops
async def test_origin_that_breaks_the_protocol() -> None:
    """A masked frame of the origin ends both legs with 1002; the client is none the wiser about its content."""
    got = bytearray()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_raw(reader, writer)
        writer.write(b"\x81\x02ok" + b"\x81\x82\0\0\0\0xx")
        got.extend(await reader.read())

    async with raw_origin(talk) as port, rig(port) as running:
        async with connect(running.url) as client:
            assert await client.recv() == "ok"
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 1002
        assert (await running.end()).detail == "origin: frame is masked"
        await eventually(lambda: got[:1] == b"\x88" and got[1] & 0x80)


@on_both_loops
async def test_close_waits_for_the_end_of_a_frame_on_its_way() -> None:
    """When the client breaks the protocol while a frame of the origin is half delivered, the frame is finished first."""
    go, frame = asyncio.Event(), b"\x81\x7e\x01\x00" + b"o" * 256

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_raw(reader, writer)
        writer.write(frame[:100])
        await go.wait()
        writer.write(frame[100:] + b"\x81\x05never")
        await reader.read()

    async with raw_origin(talk) as port, rig(port) as running:
        reader, writer = await raw_client(running)
        assert await reader.readexactly(100) == frame[:100]
        writer.write(b"\xff\xff")
        await eventually(lambda: running.connections[0]._end is not None)
        go.set()
        rest = await reader.read()
        assert rest[:160] == frame[100:]
        assert code_of(rest[160:]) == 1002
        writer.close()
        await running.end()


@on_both_loops
async def test_frame_that_never_ends_does_not_hold_up_the_end() -> None:
    """A Close frame that cannot go out at a boundary in time gives way to an abort."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_raw(reader, writer)
        writer.write(b"\x81\x7e\x01\x00half")
        await reader.read()

    async with (
        raw_origin(talk) as port,
        rig(port, limits=RelayLimits(boundary_timeout=0.1, close_timeout=60)) as running,
    ):
        reader, _ = await raw_client(running)
        assert await reader.readexactly(8) == b"\x81\x7e\x01\x00half"
        running.connections[0].close(1001, "stop")
        assert await reader.read() == b""
        assert await running.end() == RelayEnd("proxy", 1001, False, "stop")


@on_both_loops
async def test_invalid_text_whose_frame_was_under_way() -> None:
    """Text that turns out invalid at the end of a half delivered frame: the rest goes on, then Close 1007 on both legs."""
    frame = Frame(TEXT, b"a" * 200 + b"\xff").serialize(mask=True)
    got = bytearray()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_raw(reader, writer)
        while part := await reader.read(1000):
            got.extend(part)

    async with raw_origin(talk) as port, rig(port) as running:
        reader, writer = await raw_client(running)
        writer.write(frame[:100])
        await eventually(lambda: len(got) == 100)
        writer.write(frame[100:])
        assert code_of(await reader.read()) == 1007
        writer.close()
        await running.end()
        assert got[: len(frame)] == frame
        assert got[len(frame)] == 0x88


@on_both_loops
async def test_session_closed_by_the_proxy() -> None:
    """``close`` gives both sides the same code and reason."""
    seen: list[tuple[int | None, str | None]] = []

    async def handler(connection: ServerConnection) -> None:
        await connection.wait_closed()
        seen.append((connection.close_code, connection.close_reason))

    async with origin(handler) as port, rig(port) as running, connect(running.url) as client:
        await eventually(lambda: running.heard[0].events == ["dialed"])
        running.connections[0].close(4003, "kicked")
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert (client.close_code, client.close_reason) == (4003, "kicked")
        await eventually(lambda: seen == [(4003, "kicked")])
        assert await running.end() == RelayEnd("proxy", 4003, False, "kicked")
        running.connections[0].close(1000, "too late")


@on_both_loops
async def test_stop_with_live_sessions() -> None:
    """``stop`` says 1001 to everybody, ends dials and refusals, aborts who does not go, and leaves nothing."""
    async with origin(echo) as port, rig(port) as running:
        clients = [await connect(running.url) for _ in range(5)]
        await eventually(lambda: all(heard.events == ["dialed"] for heard in running.heard))
        stubborn_reader, stubborn = await running.connect()
        stubborn.write(handshake())
        await stubborn_reader.readuntil(b"\r\n\r\n")
        await eventually(lambda: running.heard[5].events == ["dialed"])
        await running.relay.stop(1001, "maintenance", timeout=0.2)
        assert not running.relay.connections
        for client in clients:
            await client.wait_closed()
            assert (client.close_code, client.close_reason) == (1001, "maintenance")
        for index in range(6):
            assert await running.end(index) == RelayEnd("proxy", 1001, False, "maintenance")
        with pytest.raises(InvalidStatus) as caught:
            await connect(running.url)
        assert caught.value.response.status_code == 503
        assert (await running.end(6)).by == "proxy"


class Broken(Heard):
    """An observer that raises at every call."""

    def dialed(self) -> None:
        super().dialed()
        raise RuntimeError("dialed")

    def client_message(self, message: object) -> None:
        raise RuntimeError("client_message")

    def origin_message(self, message: object) -> None:
        raise RuntimeError("origin_message")

    def ended(self, end: RelayEnd) -> None:
        super().ended(end)
        raise RuntimeError("ended")


@on_both_loops
async def test_broken_observer_hurts_no_traffic() -> None:
    """What an observer raises is counted, and the messages pass."""
    async with origin(echo) as port, rig(port, observer=Broken) as running:
        async with connect(running.url) as client:
            for number in range(3):
                await client.send(f'{{"log":"{number}"}}')
                assert await client.recv() == f'{{"log":"{number}"}}'
        assert (await running.end()).code == 1000
        await eventually(lambda: running.connections[0].observer_failures == 8)


@on_both_loops
async def test_broken_transcript_hurts_no_traffic() -> None:
    """What a transcript raises is counted, and the messages pass and are passed to the observer."""

    class BrokenTranscript:
        now = staticmethod(lambda: 0.0)

        def from_client(self, noted: object) -> None:
            raise RuntimeError("from_client")

        def from_origin(self, noted: object) -> None:
            raise RuntimeError("from_origin")

        def trim(self, came: int) -> int:
            raise RuntimeError("trim")

        def add_proxy_message(self, text: str) -> None:
            raise RuntimeError("add_proxy_message")

        def add_close(self, *how: object) -> None:
            raise RuntimeError("add_close")

    async with origin(echo) as port, rig(port, record=BrokenTranscript()) as running:
        async with connect(running.url) as client:
            for number in range(3):
                await client.send(f'{{"log":"{number}"}}')
                assert await client.recv() == f'{{"log":"{number}"}}'
        assert (await running.end()).code == 1000
        await eventually(lambda: running.connections[0].observer_failures == 7)
        assert running.heard[0].events[-1] == "ended"


@on_both_loops
async def test_observer_that_closes_the_session_while_it_is_told() -> None:
    """An observer may end the session from within a call."""

    class Closing(Heard):
        def client_message(self, message: object) -> None:
            running.connections[0].close(1008, "that word")

    async with origin(swallow) as port, rig(port, observer=Closing) as running, connect(running.url) as client:
        await client.send("hello")
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1008
        await running.end()


async def swallow(connection: ServerConnection) -> None:
    await connection.wait_closed()


def no_data_channel(message: ServerMessage | None) -> bool:
    return not (message and message.data and message.data.code == DATA_CHANNEL_AVAILABLE)


@on_both_loops
async def test_filter_withholds_a_message() -> None:
    """What the filter does not want never reaches the client; the rest passes as it was sent, pings and fragments too."""
    notice = data_channel_available().encode()
    before = Frame(TEXT, b'{"isAvailable":', fin=False).serialize(mask=False) + Frame(CONT, b"true}").serialize(
        mask=False
    )
    after = Frame(BINARY, b"\x00").serialize(mask=False) + Frame(TEXT, b"x" * 70_000).serialize(mask=False)
    ping, close = Frame(PING, b"p").serialize(mask=False), Frame(8, Close(4000, "").serialize()).serialize(mask=False)
    pieces = [
        before,
        Frame(TEXT, notice).serialize(mask=False),
        ping,
        Frame(TEXT, notice[:10], fin=False).serialize(mask=False) + Frame(CONT, notice[10:]).serialize(mask=False),
        after,
        close,
    ]

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_raw(reader, writer)
        for byte in b"".join(pieces[:4]):
            writer.write(bytes((byte,)))
            await writer.drain()
        writer.write(after + close)
        await reader.read()

    async with raw_origin(talk) as port, rig(port, origin_filter=no_data_channel) as running:
        reader, writer = await raw_client(running)
        writer.write(Frame(8, Close(4000, "").serialize()).serialize(mask=True))
        assert await reader.read() == before + ping + after + close
        assert await running.end() is not None
        codes = [json.dumps(message.data.code) for message in running.heard[0].origin if message and message.data]
        assert codes == [json.dumps(DATA_CHANNEL_AVAILABLE)] * 2


@on_both_loops
async def test_broken_filter_lets_everything_pass() -> None:
    """A filter that raises withholds nothing."""

    def broken(_: ServerMessage | None) -> bool:
        raise RuntimeError("filter")

    async with origin(echo) as port, rig(port, origin_filter=broken) as running, connect(running.url) as client:
        await client.send("hello")
        assert await client.recv() == "hello"


QUICK = RelayLimits(idle_ping=0.2, idle_timeout=0.2)


@on_both_loops
async def test_silent_legs_get_a_ping_and_their_pongs_pass_through() -> None:
    """Both legs are pinged after a silence; whoever answers stays, and the other side gets to see the pong."""
    got = bytearray()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_raw(reader, writer)
        while part := await reader.read(100):
            got.extend(part)
            if part[0] == 0x89:
                writer.write(Frame(PONG, b"").serialize(mask=False))

    async with raw_origin(talk) as port, rig(port, limits=QUICK) as running:
        reader, writer = await raw_client(running)
        seen = bytearray()
        while seen.count(b"\x89\x00") < 3 or got.count(b"\x89\x80") < 3:
            part = await asyncio.wait_for(reader.read(100), 10)
            seen += part
            if b"\x89" in part:
                writer.write(Frame(PONG, b"").serialize(mask=True))
        assert b"\x8a\x00" in seen
        assert b"\x8a\x80" in got
        assert running.heard[0].events == ["dialed"]
        writer.close()
        await running.end()


@pytest.mark.parametrize("dead", ["client", "origin"])
@on_both_loops
async def test_leg_that_stays_silent_ends_the_session(dead: str) -> None:
    """A leg that does not answer a ping is taken for dead: the other gets 1011, the observer is told which it was."""
    codes: list[int] = []

    async def answer_pings(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mask: bool) -> None:
        while head := await reader.read(1):
            length = (await reader.readexactly(1))[0]
            key = await reader.readexactly(4) if length & 0x80 else b"\0\0\0\0"
            payload = bytes(byte ^ key[index % 4] for index, byte in enumerate(await reader.readexactly(length & 0x7F)))
            if head == b"\x89":
                writer.write(Frame(PONG, payload).serialize(mask=mask))
            if head == b"\x88":
                codes.append(int.from_bytes(payload[:2], "big"))
                return

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_raw(reader, writer)
        await (reader.read() if dead == "origin" else answer_pings(reader, writer, False))

    limits = RelayLimits(idle_ping=0.2, idle_timeout=0.2, close_timeout=0.2)
    async with raw_origin(talk) as port, rig(port, limits=limits) as running:
        reader, writer = await raw_client(running)
        await (reader.read() if dead == "client" else answer_pings(reader, writer, True))
        end = await running.end()
        assert (end.by, end.code, end.detail) == ("proxy", 1011, f"{dead}: silent after a ping")
        await eventually(lambda: codes == [1011])
