"""The load of the relay benches: an echo origin and clients, in Python on uvloop, checking every byte.

python bench/traffic.py PORT         the origin by itself
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import cast

from websockets.utils import accept_key

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = (
    b"GET /streammanager/?id=stream-%d&customerScope=acme&username=ann&app=live HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
    + KEY.encode()
    + b"\r\nSec-WebSocket-Version: 13\r\n"
    b"Origin: http://localhost\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n"
    b"Accept-Language: en\r\nCache-Control: no-cache\r\n\r\n"
)


def handshake(stream: int) -> bytes:
    """Write the request of a client whose stream has this number: hooks of one stream would wait for each other."""
    return HANDSHAKE % stream


CLOSE, CLOSED = b"\x88\x82\0\0\0\0\x03\xe8", b"\x88\x02\x03\xe8"


def text_of(size: int) -> bytes:
    """Make a message of the signaling of ``size`` bytes."""
    line = "candidate:1 1 UDP 2122252543 192.0.2.1 50000 typ host"
    empty = json.dumps({"handleCandidate": "stream", "data": {"candidate": {"candidate": "", "sdpMLineIndex": 0}}})
    filled = (line * (size // len(line) + 1))[: size - len(empty)]
    message = {"handleCandidate": "stream", "data": {"candidate": {"candidate": filled, "sdpMLineIndex": 0}}}
    return json.dumps(message).encode().ljust(size)


def framed(payload: bytes, *, masked: bool) -> bytes:
    """Write a text frame; the masking key is zeros, which leaves the payload as it is."""
    size = len(payload)
    mask = 0x80 if masked else 0
    head = bytes([0x81, mask | size]) if size < 126 else bytes([0x81, mask | 126, size >> 8, size & 0xFF])
    return head + (b"\0\0\0\0" if masked else b"") + payload


def unmasked(frame: bytes, payload: int) -> bytes:
    """Return the payload of a masked frame of a known length."""
    key, text = frame[-payload - 4 : -payload], frame[-payload:]
    if key == b"\0\0\0\0":
        return text
    repeated = (key * (payload // 4 + 1))[:payload]
    return (int.from_bytes(text, "big") ^ int.from_bytes(repeated, "big")).to_bytes(payload, "big")


class Origin(asyncio.Protocol):
    """Accepts; answers every message, which it checks, with itself, and a Close frame with a Close frame."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.buffer = b""
        self.open = False

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.open:
            head, found, self.buffer = self.buffer.partition(b"\r\n\r\n")
            if not found:
                self.buffer = head
                return
            self.open = True
            rows = dict(row.partition(": ")[::2] for row in head.decode().lower().split("\r\n"))
            key = next(row[19:] for row in head.decode().split("\r\n") if row.lower().startswith("sec-websocket-key"))
            chosen = b"Sec-WebSocket-Protocol: json\r\n" if "json" in rows.get("sec-websocket-protocol", "") else b""
            self.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + chosen
                + b"Sec-WebSocket-Accept: " + accept_key(key.strip()).encode() + b"\r\n\r\n"
            )  # fmt: skip
        while len(self.buffer) >= 6 and self.buffer[0] == 0x81:
            size = self.buffer[1] & 0x7F
            start = 2
            if size == 126:
                size, start = int.from_bytes(self.buffer[2:4], "big"), 4
            end = start + 4 + size
            if len(self.buffer) < end:
                return
            payload = unmasked(self.buffer[:end], size)
            assert payload.rstrip().endswith(b"}"), "the relay has changed a message"
            self.buffer = self.buffer[end:]
            self.transport.write(framed(payload, masked=False))
        if len(self.buffer) >= len(CLOSE) and self.buffer[0] == 0x88:
            self.transport.write(CLOSED)
            self.transport.close()


class Client(asyncio.Protocol):
    """Sends the next request when the reply is there, and checks it; says goodbye after ``messages`` when there is a limit."""

    def __init__(
        self,
        size: int,
        messages: int,
        count: Callable[[], bool],
        again: Callable[[], None] | None,
        living: set[Client],
        stream: int,
    ) -> None:
        payload = text_of(size)
        self.request, self.reply = framed(payload, masked=True), framed(payload, masked=False)
        self.count = count
        self.again = again
        self.transport: asyncio.Transport | None = None
        self.buffer = b""
        self.left = messages
        self.open = False
        self.living = living
        self.handshake = handshake(stream)

    def cut(self) -> None:
        """End the connection at once."""
        self.again = None
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport = cast(asyncio.Transport, transport)
        transport.write(self.handshake)

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        self.buffer += data
        if not self.open:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self.open, self.buffer = True, rest
        elif len(self.buffer) < len(self.reply):
            if self.buffer[:1] == b"\x88":
                self.transport.close()
            return
        else:
            assert self.buffer == self.reply, "the relay has changed a message"
            self.buffer = b""
            self.left -= 1
            if self.again is None and not self.count():
                self.transport.close()
                return
        if self.again is None or self.left:
            self.transport.write(self.request)
        else:
            self.transport.write(CLOSE)

    def connection_lost(self, exc: Exception | None) -> None:
        self.living.discard(self)
        if self.again is not None and self.count():
            self.again()


class Load:
    """So many clients at once; ``messages`` each and then anew, or for ever with 0."""

    def __init__(self, port: int, connections: int, size: int, messages: int = 0) -> None:
        self.done = 0
        self._running = True
        self._port, self._size, self._messages = port, size, messages
        self._tasks: set[asyncio.Task[object]] = set()
        self._connections = connections
        self._clients: set[Client] = set()
        self._made = 0

    async def start(self) -> None:
        """Connect; gently, for there may be thousands."""
        for number in range(self._connections):
            self._connect()
            if number % 100 == 99:
                await asyncio.sleep(0.01)

    def _count(self) -> bool:
        self.done += 1
        return self._running

    def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        work = loop.create_connection(self._client, "127.0.0.1", self._port)
        task: asyncio.Task[object] = loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._connected)

    def _client(self) -> Client:
        again = self._connect if self._messages else None
        self._made += 1
        client = Client(self._size, self._messages, self._count, again, self._clients, self._made)
        self._clients.add(client)
        return client

    def _connected(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()

    @property
    def connected(self) -> bool:
        """Whether no connection is under way."""
        return not self._tasks

    async def stop(self) -> None:
        """Let what is under way end, and cut off what does not: a loop does not close before its connections."""
        self._running = False
        await asyncio.sleep(0.2)
        for task in self._tasks:
            task.cancel()
        for client in tuple(self._clients):
            client.cut()


class Idle(asyncio.Protocol):
    """A client that sends one message, has its reply, and stays."""

    def __init__(self) -> None:
        payload = text_of(200)
        self.request, self.reply = framed(payload, masked=True), framed(payload, masked=False)
        self.buffer = b""
        self.answered = asyncio.Event()

    @classmethod
    async def open(cls, port: int) -> Idle:
        """Connect, and return when the reply is there."""
        _, client = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        await asyncio.wait_for(client.answered.wait(), 20)
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(handshake(id(self)) + self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.buffer.endswith(self.reply):
            self.answered.set()

    def close(self) -> None:
        """Let go of the connection."""
        self.transport.abort()


async def latency(port: int, size: int, count: int, pause: float) -> list[float]:
    """Return the seconds that each of ``count`` round trips on one connection took, ``pause`` seconds apart."""
    payload = text_of(size)
    request, reply = framed(payload, masked=True), framed(payload, masked=False)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(handshake(0))
        await reader.readuntil(b"\r\n\r\n")
        took: list[float] = []
        for _ in range(count):
            began = time.perf_counter()
            writer.write(request)
            assert await reader.readexactly(len(reply)) == reply
            took.append(time.perf_counter() - began)
            await asyncio.sleep(pause)
        return took
    finally:
        writer.transport.abort()


async def serve(port: int) -> None:
    """Run the origin."""
    server = await asyncio.get_running_loop().create_server(Origin, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    import resource

    import uvloop

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(serve(int(sys.argv[1])))
