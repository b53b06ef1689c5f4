"""HTTP as a client writes it that no library would write."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.helpers import scaled

WEBSOCKET = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


def request(method: str, target: str, *lines: str, host: str = "localhost", body: bytes = b"") -> bytes:
    """Write a request; with a body comes its ``Content-Length``."""
    length = [f"Content-Length: {len(body)}"] if body else []
    head = "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, *length, "", ""])
    return head.encode() + body


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Read the status, the headers and the body of an answer that has a length."""
    async with asyncio.timeout(scaled(10)):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *rows = head[:-4].split("\r\n")
        headers = {name.lower(): value for name, _, value in (row.partition(": ") for row in rows)}
        return int(status.split()[1]), headers, await reader.readexactly(int(headers.get("content-length", 0)))


async def ask(port: int, data: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send a request on a connection of its own and return the answer."""
    async with connected(port) as (reader, writer):
        writer.write(data)
        return await answer(reader)


async def status_of(port: int, data: bytes) -> int:
    """Return the status of an answer; one that has no length may go on for ever."""
    async with connected(port) as (reader, writer):
        writer.write(data)
        async with asyncio.timeout(scaled(10)):
            return int((await reader.readline()).split()[1])


def refusal(headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """Return the error that an answer has, which must be in the one form of all errors."""
    assert headers["content-type"].startswith("application/json"), headers
    error = json.loads(body)
    assert set(error) == {"errorMessage", "timestamp"}
    assert error["errorMessage"].isprintable()
    return dict(error)
