"""The servers that take a publisher's media, which the media bench compares: this project, aiortc as it is, Janus.

python bench/origins.py PORT        this project's origin by itself, without proxy, journal and hooks
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import ifaddr
from aiohttp import ClientSession
from light_client import Exchange
from peers import BENCH
from websockets.asyncio.client import ClientConnection, connect

STOCK_PYTHON = BENCH.parent / ".cache" / "bench-aiortc" / "bin" / "python"
LOOPBACK = "127.0.0.1"
ROOM = 1234

JANUS_CONF = """
general: {{
  configs_folder = "{folder}"
  plugins_folder = "{library}/plugins"
  transports_folder = "{library}/transports"
  debug_level = 3
}}
media: {{ no_media_timer = 5 }}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{transports}" }}
"""

JANUS_WS = 'general: {{ json = "compact" ws = true ws_port = {port} ws_ip = "127.0.0.1" wss = false }}\n'

JANUS_ROOM = """
room-{room}: {{ description = "bench" publishers = 500 bitrate = 2500000 fir_freq = 3 notify_joining = false }}
"""


class OriginServer(Protocol):
    """A server that can be started, and spoken with by a publisher."""

    name: str
    #: The address of this machine on which it takes media.
    address: str

    def missing(self) -> str | None:
        """Say what is not installed; ``None`` when it can run."""

    def command(self, folder: Path, port: int) -> list[str]:
        """Write what it needs into ``folder`` and return its command line."""

    def signaling(self, port: int) -> contextlib.AbstractAsyncContextManager[Exchange]:
        """Connect one publisher, for as long as the context lasts."""


class _Socket:
    """Signaling of this project's kind."""

    _numbers = itertools.count()
    address = LOOPBACK
    path = "live/"
    #: What clients add to their URL.
    query = ""

    def missing(self) -> str | None:
        return None

    @asynccontextmanager
    async def signaling(self, port: int, name: str = "") -> AsyncIterator[Exchange]:
        name = name or f"bench-{next(self._numbers)}"
        url = f"ws://127.0.0.1:{port}/{self.path}?id={name}&customerScope=acme&app=live{self.query}"
        async with connect(url, compression=None, ping_interval=None, proxy=None) as socket:

            async def exchange(offer: str) -> str:
                await said(socket, "NetConnection.Connect.Success")
                offered = {"sdp": {"type": "offer", "sdp": offer}}
                await socket.send(json.dumps({"handleOffer": name, "transport": "udp", "data": offered}))
                answer = await said(socket, '"answer"')
                await socket.send(json.dumps({"publish": name, "mode": "live", "keyFramerate": 3000}))
                return str(json.loads(answer)["data"]["sdp"]["sdp"])

            yield exchange


class Whole(_Socket):
    """This project as its users run it: proxy, sessions, journal, hooks and origin in one process."""

    name = "this one, everything on"
    path = "streammanager/"

    def __init__(self, hook_uri: str | None = None) -> None:
        self._hook_uri = hook_uri

    def command(self, folder: Path, port: int) -> list[str]:
        hooks = [] if self._hook_uri is None else ["--hook-uri", self._hook_uri]
        return [
            sys.executable, "-m", "smproxy", "serve", "--port", str(port), "--data-dir", str(folder / "data"),
            "--log-level", "warning", *hooks,
        ]  # fmt: skip


class OverWhip(Whole):
    """The same over WHIP: the offer by POST, the end by DELETE."""

    name = "this one over WHIP"

    @asynccontextmanager
    async def signaling(self, port: int, name: str = "") -> AsyncIterator[Exchange]:
        name = name or f"bench-{next(self._numbers)}"
        async with ClientSession(f"http://127.0.0.1:{port}") as client:
            session = None

            async def exchange(offer: str) -> str:
                nonlocal session
                path = f"/live/whip/endpoint/{name}?customerScope=acme"
                async with client.post(path, data=offer, headers={"Content-Type": "application/sdp"}) as response:
                    session = response.headers["Location"]
                    return await response.text()

            try:
                yield exchange
            finally:
                if session is not None:
                    await (await client.delete(session)).read()


class Alone(_Socket):
    """This project's origin by itself."""

    name = "its origin alone"

    def command(self, folder: Path, port: int) -> list[str]:
        return [sys.executable, str(BENCH / "origins.py"), str(port)]


class Stock:
    """aiortc as it is, in an environment of its own."""

    name = "aiortc as it is"
    address = LOOPBACK

    def missing(self) -> str | None:
        return None if STOCK_PYTHON.exists() else "aiortc in an environment of its own: make bench-setup"

    def command(self, folder: Path, port: int) -> list[str]:
        return [str(STOCK_PYTHON), str(BENCH / "stock.py"), str(port)]

    @asynccontextmanager
    async def signaling(self, port: int) -> AsyncIterator[Exchange]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)

        async def exchange(offer: str) -> str:
            writer.write(json.dumps(offer).encode() + b"\n")
            return str(json.loads(await reader.readline()))

        try:
            yield exchange
        finally:
            writer.close()


class Janus:
    """Janus from Debian: its video room, over its WebSocket API."""

    name = "Janus"

    def __init__(self) -> None:
        # It takes none on the loopback; what goes from this machine to itself stays on it all the same.
        addresses = (str(ip.ip) for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4)
        self.address = next((each for each in addresses if not each.startswith("127.")), "")

    def missing(self) -> str | None:
        if shutil.which("janus") is None or self._library() is None:
            return "Janus: apt-get install janus"
        return None if self.address else "Janus: it needs an IPv4 address other than the loopback's"

    def _library(self) -> Path | None:
        return next(Path("/usr/lib").glob("*/janus"), None)

    def command(self, folder: Path, port: int) -> list[str]:
        folder.mkdir(exist_ok=True)
        library = self._library()
        assert library is not None

        def others(kind: str, kept: str) -> str:
            return ",".join(each.name for each in (library / kind).glob("*.so") if kept not in each.name)

        configuration = JANUS_CONF.format(
            folder=folder,
            library=library,
            plugins=others("plugins", "videoroom"),
            transports=others("transports", "websockets"),
        )
        (folder / "janus.jcfg").write_text(configuration)
        (folder / "janus.transport.websockets.jcfg").write_text(JANUS_WS.format(port=port))
        (folder / "janus.plugin.videoroom.jcfg").write_text(JANUS_ROOM.format(room=ROOM))
        return ["janus", "-F", str(folder), "-C", str(folder / "janus.jcfg"), "--disable-colors"]

    @asynccontextmanager
    async def signaling(self, port: int) -> AsyncIterator[Exchange]:
        numbers = itertools.count()
        protocol: Any = ["janus-protocol"]
        url = f"ws://127.0.0.1:{port}/"
        async with connect(url, compression=None, ping_interval=None, proxy=None, subprotocols=protocol) as socket:
            place: dict[str, int] = {}

            async def ask(janus: str, until: str = '"success"', **more: Any) -> Any:
                await socket.send(json.dumps({"janus": janus, "transaction": str(next(numbers)), **place, **more}))
                return json.loads(await said(socket, until))

            async def exchange(offer: str) -> str:
                place["session_id"] = (await ask("create"))["data"]["id"]
                place["handle_id"] = (await ask("attach", plugin="janus.plugin.videoroom"))["data"]["id"]
                body = {"request": "joinandconfigure", "room": ROOM, "ptype": "publisher"}
                reply = await ask("message", '"jsep"', body=body, jsep={"type": "offer", "sdp": offer})
                return str(reply["jsep"]["sdp"])

            yield exchange


async def said(socket: ClientConnection, what: str) -> str:
    """Wait for a text with this in it."""
    async with asyncio.timeout(20):
        async for text in socket:
            if isinstance(text, str) and what in text:
                return text
    raise RuntimeError(f"the server has closed without {what}")


async def serve(port: int) -> None:
    """Run this project's origin by itself."""
    from smproxy.origin.origin import Origin, OriginSettings
    from smproxy.signaling.clock import Clock

    await Origin.start(OriginSettings(port=port, open_to_all=True), lambda _: None, clock=Clock(), rng=random.Random(1))
    await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(int(sys.argv[1])))
