"""Simulated clients of the manager: a signaling WebSocket that says what pages say, and HTTP requests."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from smproxy.signaling.http_exchange import HttpResponse
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from tests.simulation.manager.network import connect
from tests.simulation.manager.traffic import Traffic

#: Seconds after the handshake from which both legs are there.
SETTLED = 1.0


class SocketClient(asyncio.Protocol):
    """A page with a signaling WebSocket. What it says and when, its own chances decide."""

    def __init__(self, traffic: Traffic, target: str, seed: int) -> None:
        self.traffic = traffic
        self._rng = random.Random(seed)
        self._protocol = ClientProtocol(parse_uri(f"ws://manager{target}"))
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Ask for the WebSocket."""
        self._transport = transport
        request = self._protocol.connect()
        request.headers["User-Agent"] = f"client-{self.traffic.number}"
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Take what comes."""
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Response) and event.status_code == 101:
                self._begin()
            elif isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY):
                self.traffic.down_got.append((self._loop.time(), bytes(event.data)))
        self._flush()

    def eof_received(self) -> None:
        """Take the end."""
        self._protocol.receive_eof()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        """Take that the connection is gone."""
        self.traffic.over = True

    def leave(self, how: str) -> None:
        """Go, with a goodbye or without."""
        if self._transport is None or self.traffic.over:
            return
        self.traffic.broken = True
        if how == "goodbye" and self._protocol.state.name == "OPEN":
            self._protocol.send_close(1000, "bye")
            self._flush()
        else:
            self._transport.abort()

    def _begin(self) -> None:
        name, at = self.traffic.id, SETTLED
        sdp = {"type": "offer", "sdp": "v=0\r\n" + "a=x\r\n" * self._rng.choice((1, 3000))}
        candidate = {"candidate": "candidate:1 1 udp 1 10.0.0.9 9 typ host", "sdpMLineIndex": 0}
        for said in (
            {"isAvailable": name},
            {"handleOffer": name, "data": {"sdp": sdp}},
            *({"handleCandidate": name, "data": {"candidate": candidate}} for _ in range(self._rng.randrange(3))),
            {"handleCandidate": name, "data": {"candidate": {"candidate": ""}}},
            {"publish": name},
            *({"log": f"line {number}"} for number in range(self._rng.randrange(5))),
            {"unpublish": name},
        ):
            at += self._rng.choice((0.0, 0.01, 0.3, 2.0))
            self._loop.call_later(at, self._say, json.dumps(said).encode())

    def _say(self, text: bytes) -> None:
        if self._protocol.state.name == "OPEN" and not self.traffic.over:
            self.traffic.up.append((self._loop.time(), text))
            self._protocol.send_text(text)
            self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)


class _Exchange(asyncio.Protocol):
    def __init__(self, request: bytes) -> None:
        self._request = request
        self._read = b""
        self.answer: asyncio.Future[HttpResponse | None] = asyncio.get_running_loop().create_future()
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = tuple((name, value) for name, _, value in (line.partition(": ") for line in lines[1:]))
        lengths = {name.lower(): value for name, value in headers}
        if found and len(body) >= int(lengths.get("content-length", "0")):
            self._done(HttpResponse(int(lines[0].split()[1]), headers, body))

    def connection_lost(self, error: Exception | None) -> None:
        self._done(None)

    def _done(self, answer: HttpResponse | None) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)
            self._transport.close()


async def ask(
    listener: Callable[[], Any],
    delay: float,
    agent: str,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
) -> HttpResponse | None:
    """Send an HTTP request to the manager; return its answer, ``None`` when there is none within 30 s."""
    lines = [f"{method} {target} HTTP/1.1", "Host: manager", f"User-Agent: {agent}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value]
    exchange = _Exchange("\r\n".join([*lines, "", ""]).encode() + body)
    transport = connect(exchange, listener(), delay)
    try:
        async with asyncio.timeout(30.0):
            return await exchange.answer
    except TimeoutError:
        transport.abort()
        return None
