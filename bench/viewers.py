"""The load of many subscribers: clients over WHEP that cost next to nothing, with real ICE checks, DTLS and receiver reports.

They count what comes and decrypt none of it; one process carries hundreds.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass

from aiohttp import ClientSession
from light_client import LightClient
from smproxy.origin.aiortc_dtls import Identity

OFFER = """v=0
o=- {session} 2 IN IP4 {address}
s=-
t=0 0
a=group:BUNDLE 0 1
m=audio {port} UDP/TLS/RTP/SAVPF 111
{transport}
a=mid:0
a=recvonly
a=rtcp-mux
a=rtpmap:111 opus/48000/2
m=video {port} UDP/TLS/RTP/SAVPF 96
{transport}
a=mid:1
a=recvonly
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
"""

_SEQUENCE = struct.Struct("!H4xI")


@dataclass
class Received:
    """The packets of one source: how many came, and the first and the newest sequence number."""

    first: int
    newest: int
    count: int = 1

    def take(self, sequence: int) -> None:
        """Count a packet."""
        self.count += 1
        ahead = (sequence - self.newest) & 0xFFFF
        if ahead < 0x8000:
            self.newest += ahead

    @property
    def lost(self) -> int:
        """How many have not come."""
        return self.newest - self.first + 1 - self.count


class Viewer(LightClient):
    """One subscriber of sound and pictures."""

    def __init__(self, identity: Identity, rng: random.Random, address: str) -> None:
        super().__init__(identity, rng, address)
        self._ssrc = rng.getrandbits(32)
        self._sources: dict[int, Received] = {}

    def _offer(self) -> str:
        return self._described(OFFER)

    def _media(self, data: bytes) -> None:
        if 191 < data[1] < 224:
            return
        sequence, ssrc = _SEQUENCE.unpack_from(data, 2)
        if (source := self._sources.get(ssrc)) is not None:
            source.take(sequence)
        else:
            self._sources[ssrc] = Received(sequence, sequence)

    def report(self) -> None:
        """Send a receiver report, as is due once a second."""
        blocks = b"".join(
            struct.pack("!IIIIII", ssrc, source.lost & 0xFFFFFF, source.newest & 0xFFFFFFFF, 0, 0, 0)
            for ssrc, source in self._sources.items()
        )
        head = struct.pack("!BBHI", 0x80 | len(self._sources), 201, 1 + len(blocks) // 4, self._ssrc)
        self._socket.send(self._dtls._tx_srtp.protect_rtcp(head + blocks))

    @property
    def packets(self) -> int:
        """How many packets have come."""
        return sum(each.count for each in self._sources.values())

    @property
    def lost(self) -> int:
        """How many packets have not come."""
        return sum(each.lost for each in self._sources.values())


class Audience:
    """The subscribers of one stream of a product at a port."""

    def __init__(self, port: int, stream: str, address: str) -> None:
        self._endpoint = f"http://127.0.0.1:{port}/live/whep/endpoint/{stream}"
        self._address = address
        self._identity = Identity.generateCertificate()
        self._rng = random.Random(2)
        self.viewers: list[Viewer] = []
        self._client = ClientSession()

    async def __aenter__(self) -> Audience:
        """Return it; at the end of the context all leave."""
        return self

    async def __aexit__(self, *_: object) -> None:
        for each in self.viewers:
            await each.close()
        await self._client.close()

    async def grow(self, count: int) -> None:
        """Let as many more come as make it ``count``."""
        while len(self.viewers) < count:
            viewer = Viewer(self._identity, self._rng, self._address)
            await viewer.open(self._exchange)
            self.viewers.append(viewer)

    async def _exchange(self, offer: str) -> str:
        headers = {"Content-Type": "application/sdp"}
        async with self._client.post(self._endpoint, data=offer, headers=headers) as response:
            text = await response.text()
            if response.status != 201:
                raise RuntimeError(f"WHEP answered {response.status}: {text[:200]}")
            return text

    def report(self) -> None:
        """Have each send a receiver report, as is due once a second."""
        for each in self.viewers:
            each.report()

    @property
    def packets(self) -> int:
        """How many packets have come to all of them."""
        return sum(each.packets for each in self.viewers)

    @property
    def lost(self) -> int:
        """How many have not."""
        return sum(each.lost for each in self.viewers)
