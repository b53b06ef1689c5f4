"""A simulated origin behind the manager: WebSockets that it answers as an origin does, the real WHIP table, and media."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from smproxy.manager.manager import Manager
from smproxy.network import NetworkLink
from smproxy.origin.impaired_path import DelayLine
from smproxy.origin.injected_faults import InjectedFaults
from smproxy.signaling import messages
from smproxy.signaling.http_exchange import HttpRequest, HttpResponse
from smproxy.signaling.node_channel import (
    ATTEMPT_HEADER,
    Command,
    Evict,
    Hello,
    Inject,
    Kick,
    Lift,
    PeerEnded,
    Report,
    StreamStarted,
    TransportUp,
)
from smproxy.signaling.payloads import ConnectError, Reason
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from tests.simulation.manager.traffic import Traffic
from tests.simulation.node.models.violation import broken

#: Seconds between two packets of a client, and seconds in which the origin answers a request.
PACKETS, THINKS = 0.25, 0.003


class SimulatedIce:
    """The packets of one client on their way to the origin, with the effect of its media faults."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self.dropping = False
        self.passes: Callable[[bytes], bool] | None = None
        self._line: DelayLine | None = None

    @property
    def neutral(self) -> bool:
        """Whether no fault acts."""
        return not self.dropping and self.passes is None and self._line is None

    def drop_inbound(self, drop: bool) -> None:
        """Lose all packets, or no longer."""
        self.dropping = drop

    def set_packet_filter(self, passes: Callable[[bytes], bool] | None) -> None:
        """Lose the packets that do not pass."""
        self.passes = passes

    def impair(self, up: NetworkLink | None, down: NetworkLink | None) -> None:
        """Have packets pass a bad network."""
        if self._line is not None and self._line.link is not up:
            self._line.clear()
            self._line = None
        if up is not None and self._line is None:
            self._line = DelayLine(up)

    def receive(self, data: bytes) -> None:
        """Take a packet that the client has sent just now."""
        self._traffic.packets.append((asyncio.get_running_loop().time(), data))
        if self.dropping or (self.passes is not None and not self.passes(data)):
            return
        if self._line is None:
            self._arrived(data, None)
        else:
            self._line.put(self._arrived, data, ("10.0.0.9", 9))

    def _arrived(self, data: bytes, address: object) -> None:
        self._traffic.packets_got.append((asyncio.get_running_loop().time(), data))


class SimulatedSession:
    """A client's session at the origin, as its media faults see it."""

    def __init__(self, origin: SimulatedOrigin, attempt: str, traffic: Traffic) -> None:
        self._origin = origin
        self.attempt = attempt
        self.traffic = traffic
        self.about: dict[str, Any] = {}
        self.ice = SimulatedIce(traffic)
        self.transport: Any = None
        self.up = False
        self.ended = False
        self.connection: _Connection | None = None

    def begin(self) -> None:
        """Begin to send media."""
        if not self.up and not self.ended:
            self.transport = SimpleNamespace(ice=self.ice)
            self._origin.injected.negotiating(self)  # type: ignore[arg-type]
            self.up = True
            self._origin.injected.up(self)  # type: ignore[arg-type]
            self._packet(0)

    def _packet(self, number: int) -> None:
        if not self.ended:
            self.ice.receive(b"\x80\x60" + number.to_bytes(2) + b"\x00" * 8 + self.attempt.encode())
            asyncio.get_running_loop().call_later(PACKETS, self._packet, (number + 1) % 65536)

    def end(self, reason: Reason, *, lost: bool = False) -> None:
        """End."""
        if not self.ended:
            self.ended = True
            self._origin.injected.ended(self.attempt)
            self._origin.sessions.pop(self.attempt, None)
            self._origin.report(PeerEnded(self.attempt, reason, lost))

    def break_connection(self, reason: Reason, error: ConnectError) -> None:
        """Break, as a fault says."""
        if not self.traffic.touched:
            broken("faults", f"a media fault ends client {self.traffic.number}, for which it is not")
        self.end(reason, lost=True)


class SimulatedOrigin:
    """The origin. ``handle`` answers the requests of WHIP and WHEP."""

    def __init__(
        self,
        manager: Manager,
        rng: random.Random,
        clients: dict[int, Traffic],
        handle: Callable[[HttpRequest, str], Awaitable[HttpResponse]],
    ) -> None:
        self._manager = manager
        self.rng = rng
        self.clients = clients
        self.handle = handle
        self.injected = InjectedFaults()
        self.sessions: dict[str, SimulatedSession] = {}
        self.connections: set[_Connection] = set()
        self.down = False
        self.node = manager.registry.attach(Hello("origin", "origin", 5080), self.command)

    def report(self, report: Report) -> None:
        """Report to the manager."""
        self._manager.sessions.report(self.node, report)

    def client_of(self, attempt: str) -> Traffic | None:
        """Return the client of an attempt, ``None`` for one of the model of WHIP."""
        known = self._manager.sessions.attempt(attempt)
        number = "" if known is None else known.client.user_agent.partition("client-")[2]
        return self.clients.get(int(number)) if number else None

    def command(self, command: Command) -> None:
        """Carry out a command of the manager."""
        match command:
            case Inject(attempt) | Lift(attempt):
                client = self.client_of(attempt)
                if isinstance(command, Lift):
                    self.injected.lift(command, self.sessions.get(attempt))  # type: ignore[arg-type]
                    return
                if client is None or not client.touched:
                    broken("faults", f"{command.fault} is injected into {attempt}, for which it is not")
                self.injected.inject(command, self.sessions.get(attempt))  # type: ignore[arg-type]
            case Kick(attempt) | Evict(attempt) if (session := self.sessions.get(attempt)) is not None:
                session.end(command.reason if isinstance(command, Kick) else Reason.TIMEOUT)

    def lose(self) -> None:
        """Be gone: all connections break, and nothing connects until ``down`` is over."""
        self.down = True
        for connection in list(self.connections):
            connection.abort()
        for session in list(self.sessions.values()):
            session.end(Reason.ORIGIN_LOST)


class _Connection(asyncio.Protocol):
    """One connection of the manager: a WebSocket, or HTTP requests one after the other."""

    def __init__(self, origin: SimulatedOrigin) -> None:
        self._origin = origin
        self._loop = asyncio.get_running_loop()
        self._socket: ServerProtocol | None = None
        self._session: SimulatedSession | None = None
        self._read = b""
        self._transport: Any = None
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._origin.connections.add(self)

    def abort(self) -> None:
        if self._session is not None:
            self._session.traffic.broken = True
        self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._origin.connections.discard(self)
        if self._session is not None:
            self._session.end(Reason.USER_ACTION if error is None else Reason.TIMEOUT, lost=error is not None)

    def eof_received(self) -> None:
        if self._socket is not None:
            self._socket.receive_eof()
            self._flush()

    def data_received(self, data: bytes) -> None:
        if self._socket is None:
            self._read += data
            head, found, body = self._read.partition(b"\r\n\r\n")
            if not found:
                return
            if b"websocket" not in head.lower():
                self._http(head, body)
                return
            self._socket, data = ServerProtocol(), self._read
        self._socket.receive_data(data)
        for event in self._socket.events_received():
            if isinstance(event, Request):
                self._accept(event)
            elif isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY):
                self._message(bytes(event.data))
        self._flush()

    def _accept(self, request: Request) -> None:
        assert self._socket is not None
        self._socket.send_response(self._socket.accept(request))
        attempt = request.headers[ATTEMPT_HEADER]
        if (client := self._origin.client_of(attempt)) is not None:
            self._session = self._origin.sessions[attempt] = SimulatedSession(self._origin, attempt, client)
            self._session.connection = self
            client.accepted = True
            self._loop.call_later(0.5, self._send, messages.connect_status(messages.CONNECT_SUCCESS))

    def _message(self, text: bytes) -> None:
        session = self._session
        if session is None:
            return
        session.traffic.up_got.append((self._loop.time(), text))
        name = session.traffic.id
        if b"isAvailable" in text:
            self._send(messages.availability(False))
        elif b"handleOffer" in text:
            self._loop.call_later(
                0.01, self._send, messages.answer("v=0\r\na=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n")
            )
            self._loop.call_later(0.02, self._send, messages.connect_status(messages.TRICKLE_COMPLETED))
        elif b'"publish"' in text:
            self._origin.report(StreamStarted(session.attempt, name, "live"))
            self._origin.report(TransportUp(session.attempt))
            session.begin()
            self._send(messages.publish_starting(name))
        elif b"unpublish" in text:
            self._send(messages.unpublish_stopping(name))

    def _send(self, text: str) -> None:
        if self._socket is None or self._socket.state.name != "OPEN" or self._session is None:
            return
        self._session.traffic.down.append((self._loop.time(), text.encode()))
        self._socket.send_text(text.encode())
        self._flush()

    def _flush(self) -> None:
        assert self._socket is not None
        for data in self._socket.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.write_eof()

    def _http(self, head: bytes, body: bytes) -> None:
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        length = int(headers.get("content-length", "0"))
        if len(body) < length:
            return
        self._read = body[length:]
        method, target, _ = lines[0].split()
        path, _, query = target.partition("?")
        request = HttpRequest(method, path, query, headers, body[:length])
        task = self._loop.create_task(self._answer(request, headers.get(ATTEMPT_HEADER.lower(), "")))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, request: HttpRequest, attempt: str) -> None:
        answer = await self._origin.handle(request, attempt)
        await asyncio.sleep(THINKS)
        lines = [f"HTTP/1.1 {answer.status} X", *(f"{name}: {value}" for name, value in answer.headers)]
        if answer.status != 204:
            lines.append(f"Content-Length: {len(answer.body)}")
        self._transport.write("\r\n".join([*lines, "", ""]).encode() + answer.body)


def accept(origin: SimulatedOrigin) -> asyncio.Protocol:
    """Take a connection. Raises ``ConnectionRefusedError`` when the origin is gone."""
    if origin.down:
        raise ConnectionRefusedError(111, "Connect call failed")
    return _Connection(origin)
