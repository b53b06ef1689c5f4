"""What a relayed round trip costs: this relay, a plain message relay on ``websockets``, and nginx, on this machine, now.

    python bench/relay.py [--rounds 5] [--seconds 1.0]

Every relay runs in a process of its own on the first core; the load generator and the echo origin have the second. In
each round every relay is measured once, one after the other, so that what the machine does meanwhile hits all of them; the
ratios are taken within a round. Figures are CPU time of the relay's process per unit of work, and the share of nginx's
capacity per core that follows (of the websockets relay's, where nginx is not installed). Absolute figures mean nothing on
another machine; "splice" forwards what it reads without looking at it: what Python and uvloop allow at best.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PAYLOAD = b'{"handleCandidate":"stream","data":{"candidate":{"candidate":"candidate:1 1 UDP 2122252543 192.0.2.1 50000 typ host'
PAYLOAD = (PAYLOAD + b'","sdpMid":"0","sdpMLineIndex":0}}}').ljust(200)
REQUEST = b"\x81\xfe\x00\xc8\0\0\0\0" + PAYLOAD  # a masking key of zeros leaves the payload as it is
REPLY = b"\x81\x7e\x00\xc8" + PAYLOAD
CLOSE, CLOSED = b"\x88\x82\0\0\0\0\x03\xe8", b"\x88\x02\x03\xe8"
HANDSHAKE = (
    b"GET /streammanager/?id=stream&host=127.0.0.1&app=live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Origin: http://localhost\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n"
    b"Accept-Language: en\r\nCache-Control: no-cache\r\n\r\n"
)
CONNECTIONS = 50
MESSAGES = 10  # of a short session


# The relays, each in a process of its own


async def serve_product(port: int, origin: int) -> None:
    """This project's front and relay."""
    from aiohttp import web

    from proxy.manager.front import Front
    from proxy.manager.relay import Relay, RelayEnd
    from proxy.manager.upgrade import UpgradeRequest
    from proxy.signaling.clock import Clock

    class Nobody:
        def dialed(self) -> None: ...
        def client_said(self, message: object) -> None: ...
        def origin_said(self, message: object) -> None: ...
        def dial_failed(self, why: str) -> None: ...
        def ended(self, end: RelayEnd) -> None: ...

    relay, observer = Relay(clock=Clock(), rng=random.Random(1)), Nobody()

    def open_session(request: UpgradeRequest) -> None:
        relay.open(request, host="127.0.0.1", port=origin, target="/live/?id=s", headers={}, observer=observer)

    async def nothing(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=404)

    front = Front(
        http=web.Server(nothing),
        is_proxy_path=lambda path: path.rstrip("/") == "/streammanager",
        upgrade=open_session,
        clock=Clock(),
    )
    server = await asyncio.get_running_loop().create_server(front, "127.0.0.1", port)
    await server.serve_forever()


async def serve_websockets(port: int, origin: int) -> None:
    """The obvious way: receive a message here, send it there."""
    from websockets.asyncio.client import ClientConnection, connect
    from websockets.asyncio.server import ServerConnection, serve
    from websockets.exceptions import ConnectionClosed

    async def pump(source: ClientConnection | ServerConnection, sink: ClientConnection | ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in source:
                await sink.send(message)
        await sink.close()

    async def handler(client: ServerConnection) -> None:
        async with connect(f"ws://127.0.0.1:{origin}/live/?id=s", compression=None) as upstream:
            await asyncio.gather(pump(client, upstream), pump(upstream, client))

    async with serve(handler, "127.0.0.1", port, compression=None) as server:
        await server.serve_forever()


class Splice(asyncio.Protocol):
    """One leg of the simplest relay: no checks, no backpressure, one way to end."""

    def data_received(self, data: bytes) -> None:
        self.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the other leg, once it is there."""


class Splicer(Splice):
    """A client's leg that dials when it is there."""

    def __init__(self, origin: int) -> None:
        self.origin = origin
        self.held: list[bytes] = []
        self.write: Callable[[bytes], object] = self.held.append

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.task = asyncio.get_running_loop().create_task(self.dial())

    async def dial(self) -> None:
        transport, leg = await asyncio.get_running_loop().create_connection(Splice, "127.0.0.1", self.origin)
        leg.write, leg.close = self.transport.write, self.transport.close  # type: ignore[attr-defined]
        self.write, self.close = transport.write, transport.close
        self.write(b"".join(self.held))


async def serve_splice(port: int, origin: int) -> None:
    """Bytes in, bytes out."""
    server = await asyncio.get_running_loop().create_server(lambda: Splicer(origin), "127.0.0.1", port)
    await server.serve_forever()


NGINX = """
master_process off; daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{origin}; proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "Upgrade";
    }}
  }}
}}
"""


# The origin and the load


class Origin(asyncio.Protocol):
    """Accepts, answers every request with a reply, a Close frame with a Close frame."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""
        self.open = False

    def data_received(self, data: bytes) -> None:
        from websockets.utils import accept_key

        self.buffer += data
        if not self.open:
            head, found, self.buffer = self.buffer.partition(b"\r\n\r\n")
            if not found:
                self.buffer = head
                return
            self.open = True
            key = next(row[19:] for row in head.decode().split("\r\n") if row.lower().startswith("sec-websocket-key"))
            self.transport.write(  # type: ignore[attr-defined]
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept_key(key).encode() + b"\r\n\r\n"
            )
        while len(self.buffer) >= len(REQUEST) and self.buffer[0] == 0x81:
            self.buffer = self.buffer[len(REQUEST) :]
            self.transport.write(REPLY)  # type: ignore[attr-defined]
        if len(self.buffer) >= len(CLOSE) and self.buffer[0] == 0x88:
            self.transport.write(CLOSED)  # type: ignore[attr-defined]
            self.transport.close()


async def serve_origin(port: int, _: int) -> None:
    """The echo that all relays dial."""
    server = await asyncio.get_running_loop().create_server(Origin, "127.0.0.1", port)
    await server.serve_forever()


class Client(asyncio.Protocol):
    """Sends the next request when the reply is there; with ``messages`` says goodbye after so many and starts again."""

    def __init__(self, count: Callable[[], bool], again: Callable[[], None] | None) -> None:
        self.count = count
        self.again = again
        self.buffer = b""
        self.left = MESSAGES
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(HANDSHAKE)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.open:
            _, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            self.open, self.buffer = True, rest
        elif len(self.buffer) < len(REPLY):
            if self.buffer[:1] == b"\x88":
                self.transport.close()
            return
        else:
            assert self.buffer == REPLY, self.buffer
            self.buffer = b""
            self.left -= 1
            if self.again is None and not self.count():
                self.transport.close()
                return
        if self.again is None or self.left:
            self.transport.write(REQUEST)  # type: ignore[attr-defined]
        else:
            self.transport.write(CLOSE)  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        if self.again is not None and self.count():
            self.again()


async def load(port: int, pid: int, seconds: float, short: bool) -> float:
    """Return the CPU time in microseconds of process ``pid`` per round trip, or per short session."""
    loop = asyncio.get_running_loop()
    done, running, tasks = 0, True, set[asyncio.Task[object]]()

    def count() -> bool:
        nonlocal done
        done += 1
        return running

    def start() -> None:
        task = loop.create_task(
            loop.create_connection(lambda: Client(count, start if short else None), "127.0.0.1", port)
        )
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    for _ in range(CONNECTIONS):
        start()
    await asyncio.sleep(seconds / 4)
    before, cpu = done, cpu_time(pid)
    await asyncio.sleep(seconds)
    spent, work = cpu_time(pid) - cpu, done - before
    running = False
    await asyncio.sleep(0.1)
    return spent / work / 1000


def cpu_time(pid: int) -> int:
    """Nanoseconds that the main thread of a process has run."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


# Putting it together


CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def pin(core: int, pid: int = 0) -> None:
    """Keep a process (this one) on one core, where there is more than one to choose from."""
    if len(CORES) > 1:
        os.sched_setaffinity(pid, {CORES[core % len(CORES)]})


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def process(core: int, command: list[str], port: int) -> Iterator[int]:
    """Run a server on a core until the end; yield its process id."""
    child = subprocess.Popen(command)
    pin(core, child.pid)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
                break
            time.sleep(0.05)
        yield child.pid
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait()


RELAYS = ("product", "splice", "websockets")
SERVERS = {"product": serve_product, "splice": serve_splice, "websockets": serve_websockets, "origin": serve_origin}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--serve", nargs=3, metavar=("SERVER", "PORT", "ORIGIN"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    import uvloop

    if options.serve:
        name, port, origin = options.serve
        with contextlib.suppress(KeyboardInterrupt):
            uvloop.run(SERVERS[name](int(port), int(origin)))
        return
    measure(options.rounds, options.seconds)


def measure(rounds: int, seconds: float) -> None:
    """Measure all relays that there are, in turns."""
    import uvloop

    pin(1)
    nginx = shutil.which("nginx")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        origin = free_port()
        stack.enter_context(process(1, [sys.executable, __file__, "--serve", "origin", str(origin), "0"], origin))
        relays: dict[str, tuple[int, int]] = {}
        for name in RELAYS:
            port = free_port()
            command = [sys.executable, __file__, "--serve", name, str(port), str(origin)]
            relays[name] = (port, stack.enter_context(process(0, command, port)))
        if nginx:
            port = free_port()
            Path(folder, "conf").write_text(NGINX.format(folder=folder, port=port, origin=origin))
            command = [nginx, "-p", folder, "-c", f"{folder}/conf", "-e", f"{folder}/error"]
            relays["nginx"] = (port, stack.enter_context(process(0, command, port)))
        else:
            print("nginx: missing")
        reference = "nginx" if nginx else "websockets"
        for title, short in (
            (f"200 B round trip, {CONNECTIONS} connections", False),
            (f"connect + {MESSAGES} + close", True),
        ):
            costs: dict[str, list[float]] = {name: [] for name in relays}
            for _ in range(rounds):
                for name, (port, pid) in relays.items():
                    costs[name].append(uvloop.run(load(port, pid, seconds, short)))
            print(f"{title}: CPU per unit, and share of {reference}'s capacity, median (min to max) of {rounds} rounds")
            for name, values in costs.items():
                shares = [100 * base / own for base, own in zip(costs[reference], values, strict=True)]
                share = f"{statistics.median(shares):4.0f} % ({min(shares):.0f} to {max(shares):.0f})"
                print(f"  {name:12} {statistics.median(values):7.1f} µs  {share}")


if __name__ == "__main__":
    main()
