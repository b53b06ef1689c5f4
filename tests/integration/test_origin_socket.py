"""The origin's WebSocket, byte by byte: what RFC 6455 asks of a server, and what a client may do to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from smproxy.origin.origin import Origin
from smproxy.signaling.node_channel import ATTEMPT_HEADER, Announce
from websockets.frames import Close, Frame, Opcode

from tests.helpers import eventually, scaled
from tests.integration.origin_client import running

HEAD = (
    "GET /live/?id=s1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
QUESTION = b'{"isAvailable":"s%d"}'


class RawSocket:
    """A client that says each byte itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> None:
        self._writer.write(Frame(opcode, data, fin).serialize(mask=True))

    async def frame(self) -> tuple[Opcode, bytes]:
        """Read the next frame."""
        async with asyncio.timeout(scaled(5)):
            first, length = await self._reader.readexactly(2)
            if length == 126:
                length = int.from_bytes(await self._reader.readexactly(2), "big")
            return Opcode(first & 0x0F), await self._reader.readexactly(length)

    async def close_code(self) -> int:
        """Read up to the close, and return its code."""
        while (frame := await self.frame())[0] is not Opcode.CLOSE:
            pass
        return Close.parse(frame[1]).code

    async def ended(self) -> bool:
        """Return whether the connection ends with nothing more."""
        async with asyncio.timeout(scaled(5)):
            return await self._reader.read() == b""


@asynccontextmanager
async def raw(origin: Origin, behind: bytes = b"") -> AsyncIterator[RawSocket]:
    """Connect; ``behind`` is sent with the request, before its answer."""
    origin.command(Announce("a1"))
    reader, writer = await asyncio.open_connection("127.0.0.1", origin.hello.port)
    writer.write(f"{HEAD}{ATTEMPT_HEADER}: a1\r\n\r\n".encode() + behind)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
    socket = RawSocket(reader, writer)
    assert b"NetConnection.Connect.Success" in (await socket.frame())[1]
    try:
        yield socket
    finally:
        writer.close()


async def test_a_message_in_fragments_is_one() -> None:
    """Fragments with a ping between them are one message, and what came with the request is not lost (RFC 6455, 5.4)."""
    early = Frame(Opcode.TEXT, b'{"isAvai', fin=False).serialize(mask=True)
    async with running() as (origin, _), raw(origin, early) as socket:
        socket.send(Opcode.PING, b"?")
        socket.send(Opcode.CONT, b'lable":"s1"', fin=False)
        socket.send(Opcode.CONT, b"}")
        assert await socket.frame() == (Opcode.PONG, b"?")
        assert json.loads((await socket.frame())[1]) == {"isAvailable": False}


@pytest.mark.parametrize(
    ("opcode", "data", "code"),
    [(Opcode.TEXT, b"\xff", 1007), (Opcode.CONT, b"x", 1002), (Opcode.CLOSE, b"\x03\xe9", 1001)],
)
async def test_a_broken_client_is_closed_with_its_code(opcode: Opcode, data: bytes, code: int) -> None:
    """No UTF-8 is 1007, a continuation of nothing 1002; a close is answered with its own code. Then the connection ends."""
    async with running() as (origin, reports), raw(origin) as socket:
        socket.send(opcode, data)
        assert await socket.close_code() == code
        assert await socket.ended()
        await reports.until("AttemptFailed")


async def test_a_client_that_answers_no_ping_is_closed() -> None:
    """Answered pings go on; the first that is not ends the connection with 1011 (RFC 6455, 5.5.2)."""
    async with running(ping_interval=0.02, ping_timeout=scaled(0.2)) as (origin, reports), raw(origin) as socket:
        for _ in range(3):
            assert (await socket.frame())[0] is Opcode.PING
            socket.send(Opcode.PONG)
        assert await socket.close_code() == 1011
        await reports.until("AttemptFailed")


async def test_each_of_many_messages_is_taken_in_order() -> None:
    """A client that sends faster than it is served is read from later; nothing is lost."""
    async with running() as (origin, _), raw(origin) as socket:
        for number in range(200):
            socket.send(Opcode.TEXT, QUESTION % number)
        socket.send(Opcode.TEXT, b'{"callAdapter":{"method":"getLiveStreams"},"id":"last"}')
        for _ in range(200):
            assert b"isAvailable" in (await socket.frame())[1]
        assert b"last" in (await socket.frame())[1]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (HEAD.replace("Connection: Upgrade\r\n", ""), b"400"),
        (HEAD.replace("Version: 13", "Version: 12"), b"426"),
        (HEAD.replace("/live/", "/"), b"404"),
        (HEAD + HEAD[-60:], b"400"),
    ],
)
async def test_a_broken_handshake_is_refused(head: str, status: bytes) -> None:
    """An upgrade that RFC 6455, 4.2.1, does not allow gets an HTTP error, and the connection ends."""
    async with running(open_to_all=True) as (origin, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", origin.hello.port)
        writer.write(f"{head}\r\n".encode())
        async with asyncio.timeout(scaled(5)):
            assert (await reader.read()).startswith(b"HTTP/1.1 " + status)
        writer.close()


async def test_stop_does_not_wait_for_a_client_that_is_not_admitted() -> None:
    """A client whose announcement has not come yet does not hold up the stop."""
    async with running(announce_wait=60) as (origin, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", origin.hello.port)
        writer.write(f"{HEAD}{ATTEMPT_HEADER}: a1\r\n\r\n".encode())
        listener = origin.front._listener
        assert listener is not None
        await eventually(lambda: any(each.serving for each in listener._heads))
        await asyncio.wait_for(origin.stop(), scaled(5))
        assert await reader.read() == b""
        writer.close()
