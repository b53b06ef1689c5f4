"""Simulated receivers of webhooks: slow, hanging, flapping, with every status, closing in the middle of an answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.node.loop import SimulatedLoop

#: What a receiver does: ``good``, a status, or one of these.
MISBEHAVIOURS = ("hang", "slow", "late", "cut", "close", "garbage", "interim", "refuse", "unreachable", "flap")
STATUSES = (200, 201, 204, 301, 400, 401, 404, 408, 413, 425, 429, 500, 502, 503)

#: Called with each request: the receiver, the uuid, and the body.
Requested = Callable[[str, str, bytes], None]


@dataclass
class SimulatedReceiver:
    """One receiver. It outlives the processes that send to it."""

    name: str
    rng: random.Random
    requested: Requested
    mode: str | int = "good"
    #: The events whose request came in whole, and those whose 2xx went out in whole.
    got: set[str] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)

    async def connect(self, loop: SimulatedLoop, factory: Callable[[], Any]) -> tuple[SimulatedConnection, Any]:
        """Take a connection."""
        await asyncio.sleep(self.rng.choice((0.0, 0.001, 0.05)))
        if self.mode == "refuse":
            raise ConnectionRefusedError(111, "Connect call failed")
        if self.mode == "unreachable":
            await asyncio.sleep(1e6)
        protocol = factory()
        connection = SimulatedConnection(loop, self, protocol)
        protocol.connection_made(connection)
        return connection, protocol


class SimulatedConnection(asyncio.Transport):
    """Both ends of a connection: the transport of the client's protocol, and the server that reads it."""

    def __init__(self, loop: SimulatedLoop, receiver: SimulatedReceiver, protocol: Any) -> None:
        super().__init__()
        self._loop = loop
        self._receiver = receiver
        self._protocol = protocol
        self._read = b""
        self._last = 0.0
        self._open = True

    # the client's end

    def write(self, data: Any) -> None:
        """Send to the server."""
        self._later(self._receiver.rng.choice((0.0, 0.002)), self._received, bytes(data))

    def abort(self) -> None:
        """Close at once."""
        if self._open:
            self._open = False
            self._loop.call_soon(self._protocol.connection_lost, None)

    close = abort

    # the server's end

    def _later(self, delay: float, work: Callable[..., None], *arguments: object) -> None:
        self._last = max(self._last, self._loop.time() + delay)
        self._loop.call_at(self._last, work, *arguments)

    def _received(self, data: bytes) -> None:
        if not self._open:
            return
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if found and len(body) == int(headers[b"content-length"]):
            self._read = b""
            receiver = self._receiver
            uuid = headers[b"webhook-id"].decode()
            receiver.got.add(uuid)
            receiver.requested(receiver.name, uuid, body)
            self._answer(uuid)

    def _answer(self, uuid: str) -> None:
        receiver, rng = self._receiver, self._receiver.rng
        mode: str | int = receiver.mode
        if mode == "flap":
            mode = rng.choice(("good", "close", "cut", 503, "hang"))
        match mode:
            case "hang":
                return
            case "close":
                self._later(0.001, self._end)
            case "cut":
                self._later(0.001, self._send, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "")
                self._later(0.001, self._end)
            case "garbage":
                self._later(0.001, self._send, b"\x00\x01 what?\r\n\r\n", "")
            case "slow" | "late":
                self._later(rng.uniform(0.1, 4.5) if mode == "slow" else 5.5, self._send, _response(204, ""), uuid)
            case "interim":
                self._later(0.001, self._send, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "")
                self._later(0.01, self._send, _response(204, ""), uuid)
            case int(status):
                extra = "Retry-After: 2\r\n" if status in (429, 503) and rng.random() < 0.5 else ""
                self._in_pieces(_response(status, extra), uuid if 200 <= status < 300 else "")
            case _:
                self._in_pieces(_response(204, ""), uuid)

    def _in_pieces(self, data: bytes, uuid: str) -> None:
        place = self._receiver.rng.randrange(len(data)) if self._receiver.rng.random() < 0.3 else 0
        if place:
            self._later(0.001, self._send, data[:place], "")
        self._later(0.001, self._send, data[place:], uuid)

    def _send(self, data: bytes, accepted: str) -> None:
        if self._open:
            if accepted:
                self._receiver.accepted.add(accepted)
            self._protocol.data_received(data)

    def _end(self) -> None:
        if self._open:
            self._open = False
            self._protocol.eof_received()
            self._protocol.connection_lost(None)


def _response(status: int, extra: str) -> bytes:
    length = "" if status == 204 else "Content-Length: 2\r\n"
    return f"HTTP/1.1 {status} X\r\n{extra}{length}\r\n{'' if status == 204 else 'ok'}".encode()
