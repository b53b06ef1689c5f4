"""A publisher on stock aiortc for the tests of the origin: real socket, real media, no help from the code under test."""

from __future__ import annotations

import asyncio
import fractions
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import av
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack
from smproxy.origin.origin import Origin, OriginSettings
from smproxy.signaling.clock import Clock
from smproxy.signaling.node_channel import ATTEMPT_HEADER, Announce, Load, Report, TrackStatistics
from smproxy.testing.pace import Pace
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.helpers import eventually, scaled


class SmallVideo(MediaStreamTrack):
    """Tiny grey pictures, 20 a second."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._pace = Pace()

    async def recv(self) -> av.VideoFrame:
        await self._pace.until(self._count / 20)
        frame = av.VideoFrame(160, 120, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([128 + self._count % 8]) * plane.buffer_size)
        frame.pts = self._count * 4500
        frame.time_base = fractions.Fraction(1, 90000)
        self._count += 1
        return frame


class Client:
    """One signaling socket and one peer connection."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []
        self.heard_on_channel: list[dict[str, Any]] = []
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channel: Any = None
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for frame in self.socket:
                self.heard.append(json.loads(frame))
        except ConnectionClosed:
            pass

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    def codes(self) -> list[str]:
        return [str(each["data"].get("code")) for each in self.heard if "data" in each]

    def messages(self) -> list[str]:
        return [str(each["data"]["message"]) for each in self.heard if "message" in each.get("data", {})]

    async def hear(self, match: Callable[[dict[str, Any]], object], timeout: float = 5.0) -> dict[str, Any]:
        try:
            await eventually(lambda: any(match(each) for each in self.heard), timeout)
        except AssertionError:
            raise AssertionError(f"heard only {self.heard}") from None
        return next(each for each in self.heard if match(each))

    async def hear_code(self, code: str) -> dict[str, Any]:
        return await self.hear(lambda each: each.get("data", {}).get("code") == code)

    async def offer(self, name: str, *, audio: bool = True, video: bool = True, data: bool = False, **more: Any) -> str:
        """Make an offer and send it; return its SDP."""
        if data:
            self.channel = self.pc.createDataChannel("red5pro")
            self.channel.on("message", lambda text: self.heard_on_channel.append(json.loads(text)))
        if audio:
            self.pc.addTrack(AudioStreamTrack())
        if video:
            self.pc.addTrack(SmallVideo())
        await self.pc.setLocalDescription(await self.pc.createOffer())
        sdp = self.pc.localDescription.sdp
        await self.say(handleOffer=name, transport="udp", data={"sdp": {"type": "offer", "sdp": sdp}}, **more)
        return sdp

    async def accept(self) -> str:
        """Wait for the answer and apply it; return its SDP."""
        reply = await self.hear(lambda each: "sdp" in each.get("data", {}))
        await self.pc.setRemoteDescription(RTCSessionDescription(**reply["data"]["sdp"]))
        return str(reply["data"]["sdp"]["sdp"])

    async def publish(self, name: str, **tracks: bool) -> None:
        """Go the whole way to "starting"."""
        await self.offer(name, **tracks)
        await self.accept()
        await self.say(publish=name, mode="live", keyFramerate=3000)
        await self.hear_code("NetStream.Publish.Start")

    async def switch(self) -> None:
        """Leave the socket for the data channel, as the SDK does."""
        await self.hear_code("NetConnection.DataChannel.Available")
        await self.say(switchChannel="red5pro")
        await self.socket.close()

    def vanish(self) -> None:
        """Cut the network: nothing goes out or comes in any more, and nobody says goodbye."""
        for transceiver in self.pc.getTransceivers():
            for protocol in transceiver.receiver.transport.transport._connection._protocols:
                protocol.transport.sendto = lambda *_: None
                protocol.datagram_received = lambda *_: None

    def freeze(self) -> Callable[[], None]:
        """Send nothing until the returned function is called."""
        undo: list[Callable[[], None]] = []
        for transceiver in self.pc.getTransceivers():
            for protocol in transceiver.receiver.transport.transport._connection._protocols:
                transport = protocol.transport

                class _Mute:
                    def __init__(self, inner: Any) -> None:
                        self.inner = inner
                        self.muted = True

                    def sendto(self, *args: Any) -> None:
                        if not self.muted:
                            self.inner.sendto(*args)

                    def __getattr__(self, name: str) -> Any:
                        return getattr(self.inner, name)

                mute = _Mute(transport)
                protocol.transport = mute
                undo.append(lambda mute=mute: setattr(mute, "muted", False))
        return lambda: [each() for each in undo] and None

    async def close(self) -> None:
        await self.pc.close()
        await self.socket.close()
        await self._reader


@asynccontextmanager
async def client(
    origin: Origin, *, attempt: str | None = "a1", scope: str = "live", id: str = "s1", **options: Any
) -> AsyncIterator[Client]:
    """Connect a client and greet; close it at the end."""
    headers = {ATTEMPT_HEADER: attempt} if attempt else {}
    if attempt:
        origin.command(Announce(attempt))
    url = f"ws://127.0.0.1:{origin.hello.port}/{scope}/?id={id}"
    connected = Client(await connect(url, additional_headers=headers, compression=None, proxy=None, **options))
    try:
        await connected.hear_code("NetConnection.Connect.Success")
        yield connected
    finally:
        await connected.close()


class Reports(list[Report]):
    """Everything an origin reported, without its heartbeats and statistics in :meth:`of`."""

    def of(self, attempt: str = "a1") -> list[Report]:
        return [
            each
            for each in self
            if not isinstance(each, Load | TrackStatistics) and getattr(each, "attempt", None) == attempt
        ]

    def kinds(self, attempt: str = "a1") -> list[str]:
        return [type(each).__name__ for each in self.of(attempt)]

    async def until(self, kind: str, attempt: str = "a1", timeout: float = 5.0) -> Report:
        try:
            await eventually(lambda: kind in self.kinds(attempt), timeout)
        except AssertionError:
            raise AssertionError(f"no {kind} in {self.of(attempt)}") from None
        return next(each for each in self.of(attempt) if type(each).__name__ == kind)


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[tuple[Origin, Reports]]:
    """Start an origin and stop it at the end."""
    reports = Reports()
    settings = OriginSettings(**options)
    origin = await Origin.start(settings, reports.append, clock=Clock(), rng=random.Random(1))
    try:
        yield origin, reports
    finally:
        await asyncio.wait_for(origin.stop(), scaled(5))
