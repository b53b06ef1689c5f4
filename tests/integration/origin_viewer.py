"""A subscriber on stock aiortc for the tests of the origin: it answers the offer and counts what it can decode."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiortc import RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from smproxy.origin.origin import Origin
from smproxy.signaling.node_channel import ATTEMPT_HEADER, Announce
from websockets.asyncio.client import connect

from tests.helpers import eventually
from tests.integration.origin_client import Client, Reports, client, running


class Viewer(Client):
    """A client that watches. ``frames`` counts decoded frames by kind, ``sizes`` has the pictures' sizes in order."""

    def __init__(self, socket: Any) -> None:
        super().__init__(socket)
        self.frames = {"audio": 0, "video": 0}
        self.sizes: list[tuple[int, int]] = []
        self._watching: list[asyncio.Task[None]] = []
        self.pc.on("track", self._take)

    def _take(self, track: MediaStreamTrack) -> None:
        self._watching.append(asyncio.create_task(self._watch(track)))

    async def _watch(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            self.frames[track.kind] += 1
            if track.kind == "video":
                self.sizes.append((frame.width, frame.height))

    async def ask(self, name: str, *, data: bool | None = None) -> str:
        """Ask for an offer and return its SDP."""
        if data:
            self.channel = self.pc.createDataChannel("red5pro")
            self.channel.on("message", lambda text: self.heard_on_channel.append(json.loads(text)))
        more = {} if data is None else {"datachannel": data, "doNotSwitch": False}
        await self.say(requestOffer=name, requestId="subscriber-1b31", transport="udp", **more)
        reply = await self.hear(lambda each: "sdp" in each.get("data", {}))
        return str(reply["data"]["sdp"]["sdp"])

    async def answer(self, name: str, offer: str, change: Callable[[str], str] = str) -> str:
        """Answer an offer, with the SDP as ``change`` makes it; return what was sent."""
        await self.pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        sdp = change(self.pc.localDescription.sdp)
        answer = {"sdp": {"type": "answer", "sdp": sdp}}
        await self.say(handleAnswer=name, requestId="subscriber-1b31", data=answer)
        return sdp

    async def watch(self, name: str, *, data: bool | None = None) -> str:
        """Go the whole way to "starting"; return the offer."""
        offer = await self.ask(name, data=data)
        await self.answer(name, offer)
        await self.hear_code("NetConnection.ICE.TrickleCompleted")
        await self.say(subscribe=name, requestId="subscriber-1b31")
        await self.hear(lambda each: each.get("data", {}).get("message") == f"{name} starting")
        return offer

    async def more(self, *kinds: str, count: int = 5, timeout: float = 5.0) -> None:
        """Wait until so many more frames of these kinds were decoded."""
        wanted = {kind: self.frames[kind] + count for kind in kinds}
        await eventually(
            lambda: all(self.frames[kind] >= wanted[kind] for kind in kinds), timeout, f"{self.frames}, not {wanted}"
        )

    async def close(self) -> None:
        await super().close()
        for reader in self._watching:
            reader.cancel()  # a track that never connected is not ended by its peer connection
        await asyncio.gather(*self._watching, return_exceptions=True)


@asynccontextmanager
async def viewer(
    origin: Origin, *, attempt: str = "b1", scope: str = "live", id: str = "subscriber-1b31"
) -> AsyncIterator[Viewer]:
    """Connect a subscriber and greet; close it at the end."""
    url = f"ws://127.0.0.1:{origin.hello.port}/{scope}/?id={id}"
    headers = {ATTEMPT_HEADER: attempt}
    origin.command(Announce(attempt))
    connected = Viewer(await connect(url, additional_headers=headers, compression=None, proxy=None))
    try:
        await connected.hear_code("NetConnection.Connect.Success")
        yield connected
    finally:
        await connected.close()


@asynccontextmanager
async def on_air(**options: Any) -> AsyncIterator[tuple[Origin, Reports, Client]]:
    """Run an origin with a live stream s1; ``tracks`` says what it has."""
    tracks = options.pop("tracks", {})
    async with running(**options) as (origin, reports), client(origin) as publisher:
        await publisher.publish("s1", **tracks)
        await publisher.hear_code("NetStream.Publish.IsAvailable")
        yield origin, reports, publisher


def metadata(heard: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each["data"] for each in heard if each.get("type") == "metadata"]


def statistics(origin: Origin, attempt: str) -> list[Any]:
    return [each for each in origin.statistics() if each.attempt == attempt]
