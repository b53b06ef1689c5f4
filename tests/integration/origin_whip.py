"""WHIP and WHEP clients on stock aiortc for the tests of the origin."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, MediaStreamTrack
from smproxy.origin.origin import Origin
from smproxy.signaling.node_channel import ATTEMPT_HEADER, Announce

from tests.helpers import eventually
from tests.integration.origin_client import SmallVideo

FRAGMENT = "application/trickle-ice-sdpfrag"


@dataclass
class Reply:
    """A response."""

    status: int
    headers: Any
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def problem(self) -> str:
        """The sentence of a problem details object."""
        assert self.headers["Content-Type"] == "application/problem+json"
        said = json.loads(self.body)
        assert said["status"] == self.status
        return str(said["detail"])


@dataclass
class Http:
    """HTTP requests to an origin."""

    origin: Origin
    session: aiohttp.ClientSession

    async def __call__(
        self, method: str, path: str, body: str | bytes = "", kind: str | None = None, **headers: str
    ) -> Reply:
        """Send a request; ``headers`` with underscores for dashes."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if kind is not None:
            sent["Content-Type"] = kind
        url = f"http://127.0.0.1:{self.origin.hello.port}{path}"
        data = body.encode() if isinstance(body, str) else body
        skip = ["Content-Type"] if kind is None else []
        async with self.session.request(
            method, url, data=data or None, headers=sent, skip_auto_headers=skip
        ) as response:
            return Reply(response.status, response.headers, await response.read())

    async def post(self, path: str, sdp: str, attempt: str = "a1", **headers: str) -> Reply:
        """Send an offer of an announced attempt."""
        self.origin.command(Announce(attempt))
        headers[ATTEMPT_HEADER.replace("-", "_")] = attempt
        return await self("POST", path, sdp, "application/sdp", **headers)

    async def trickle(self, path: str, fragment: str, **headers: str) -> Reply:
        """Send an SDP fragment."""
        return await self("PATCH", path, fragment, FRAGMENT, **headers)


@asynccontextmanager
async def http(origin: Origin) -> AsyncIterator[Http]:
    """Make requests to an origin."""
    async with aiohttp.ClientSession() as session:
        yield Http(origin, session)


@dataclass
class WebRtc:
    """A peer connection over WHIP or WHEP."""

    http: Http
    pc: RTCPeerConnection = field(default_factory=lambda: RTCPeerConnection(RTCConfiguration(iceServers=[])))
    frames: dict[str, int] = field(default_factory=lambda: {"audio": 0, "video": 0})
    heard: list[dict[str, Any]] = field(default_factory=list)
    channel: Any = None
    location: str = ""
    etag: str = ""
    _readers: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pc.on("track", lambda track: self._readers.append(asyncio.create_task(self._read(track))))

    async def _read(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                await track.recv()
            except MediaStreamError:
                return
            self.frames[track.kind] += 1

    def open_channel(self) -> None:
        """Offer the vendor's data channel."""
        self.channel = self.pc.createDataChannel("red5pro")
        self.channel.on("message", lambda text: self.heard.append(json.loads(text)))

    async def offer(self, *, sends: bool, audio: bool = True, video: bool = True, data: bool = False) -> str:
        """Make an offer and return its SDP."""
        if data:
            self.open_channel()
        for kind, wanted in (("audio", audio), ("video", video)):
            if wanted and sends:
                self.pc.addTransceiver(AudioStreamTrack() if kind == "audio" else SmallVideo(), "sendonly")
            elif wanted:
                self.pc.addTransceiver(kind, "recvonly")
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return str(self.pc.localDescription.sdp)

    async def publish(self, name: str = "s1", attempt: str = "a1", query: str = "", **tracks: bool) -> Reply:
        """Publish over WHIP."""
        offer = await self.offer(sends=True, **tracks)
        return await self._take(await self.http.post(f"/live/whip/endpoint/{name}{query}", offer, attempt))

    async def watch(self, name: str = "s1", attempt: str = "b1", query: str = "", **tracks: bool) -> Reply:
        """Watch over WHEP with an offer of one's own."""
        offer = await self.offer(sends=False, **tracks)
        return await self._take(await self.http.post(f"/live/whep/endpoint/{name}{query}", offer, attempt))

    async def _take(self, reply: Reply) -> Reply:
        assert reply.status == 201, reply.text
        self.location, self.etag = reply.headers["Location"], reply.headers["ETag"]
        await self.pc.setRemoteDescription(RTCSessionDescription(reply.text, "answer"))
        return reply

    async def more(self, *kinds: str, count: int = 5, timeout: float = 5.0) -> None:
        """Wait until so many more frames of these kinds were decoded."""
        wanted = {kind: self.frames[kind] + count for kind in kinds}
        await eventually(lambda: all(self.frames[kind] >= wanted[kind] for kind in kinds), timeout, f"{self.frames}")

    async def close(self) -> None:
        await self.pc.close()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)


@asynccontextmanager
async def webrtc(http_: Http) -> AsyncIterator[WebRtc]:
    """Make a peer connection and close it at the end."""
    made = WebRtc(http_)
    try:
        yield made
    finally:
        await made.close()
