"""One port for WebSocket and HTTP: the first request head decides."""

from __future__ import annotations

import asyncio

import pytest

from tests.helpers import scaled
from tests.integration.origin_client import running

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
UPGRADE = f"GET /live/?id=s1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nupgrade:WebSocket\r\n{KEY}\r\n".encode()
GET = b"GET /live/whip/endpoint/s1 HTTP/1.1\r\nHost: x\r\n\r\n"
OPTIONS = b"OPTIONS /live/whip/endpoint/s1 HTTP/1.1\r\nHost: x\r\n\r\n"


async def exchange(port: int, *parts: bytes, until: bytes) -> bytes:
    """Send bytes part by part and read until some bytes came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)  # the origin, which runs on this loop, reads each part by itself
        async with asyncio.timeout(scaled(5)):
            return await reader.readuntil(until)
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("request_", "until"),
    [(UPGRADE, b"Connect.Success"), (GET, b"204 No Content"), (OPTIONS, b"Accept-Post: application/sdp")],
)
async def test_both_are_served(request_: bytes, until: bytes) -> None:
    """A request is served the same whether its head comes as a whole or byte by byte."""
    async with running(open_to_all=True) as (origin, _):
        port = origin.hello.port
        await exchange(port, request_, until=until)
        await exchange(port, *(request_[index : index + 1] for index in range(len(request_))), until=until)


async def test_a_connection_serves_several_requests() -> None:
    """HTTP requests may follow each other on one connection, sent ahead even."""
    async with running(open_to_all=True) as (origin, _):
        answers = await exchange(origin.hello.port, GET + OPTIONS + GET, until=b"Accept-Post")
        assert answers.count(b"HTTP/1.1") == 2


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
        (b"NONSENSE\r\n\r\n", b"400"),
        (b"POST /live/whip/endpoint/s1 HTTP/1.1\r\nHost: x\r\nContent-Length: nine\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 70_000, b"400"),
        # A head without an end is no request, even if it asks for a WebSocket.
        (UPGRADE[:-2] + b"X: " + b"y" * 70_000, b"400"),
    ],
)
async def test_nonsense(sent: bytes, status: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """What is no request, or names nothing, gets its status, and nothing is logged."""
    async with running(open_to_all=True) as (origin, _):
        answer = await exchange(origin.hello.port, sent, until=b"\r\n")
        assert status in answer
    assert caplog.records == []
