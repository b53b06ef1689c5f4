"""The load of the media bench: publishers that cost next to nothing, with real ICE checks, DTLS, SRTP and RTCP.

One process carries hundreds: the pictures are encoded and cut into packets once, and only encrypted anew for each publisher.
aiortc does the handshake; ICE is the little that a controlling agent with one candidate needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aioice import stun
from aiortc import RTCDtlsFingerprint, RTCDtlsParameters
from aiortc.codecs.vpx import Vp8Encoder
from smproxy.origin.aiortc_dtls import DtlsTransport, Identity
from smproxy.testing.media import tone_loop
from subscribers import FRAME_RATE, SOUND_RATE, picture_loop

OFFER = """v=0
o=- {session} 2 IN IP4 {address}
s=-
t=0 0
a=group:BUNDLE {bundle}
a=msid-semantic: WMS bench
m=audio {port} UDP/TLS/RTP/SAVPF 111
{transport}
a=mid:0
a=sendonly
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=ssrc:{audio} cname:bench
a=msid:bench audio
"""

OFFER_VIDEO = """m=video {port} UDP/TLS/RTP/SAVPF 96
{transport}
a=mid:1
a=sendonly
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 ccm fir
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=ssrc:{video} cname:bench
a=msid:bench video
"""

TRANSPORT = """c=IN IP4 {address}
a=ice-ufrag:{ufrag}
a=ice-pwd:{password}
a=fingerprint:sha-256 {fingerprint}
a=setup:actpass
a=candidate:1 1 udp 2130706431 {address} {port} typ host
a=end-of-candidates"""

_RTP = struct.Struct("!BBHII")
_AUDIO, _VIDEO = 111, 96
#: Seconds that a publisher may be behind its time before it leaves out what it has missed.
_BEHIND = 0.5

#: Gives an offer to a server and returns the answer.
Exchange = Callable[[str], Awaitable[str]]


@cache
def pictures() -> tuple[tuple[tuple[int, bytes], ...], ...]:
    """Return the payloads of each frame, with the marker bit of each packet where the header has it."""
    frames = []
    for number, frame in enumerate(picture_loop().frames):
        payloads = Vp8Encoder._packetize(frame, number)
        frames.append(tuple((0x80 * (payload is payloads[-1]), payload) for payload in payloads))
    return tuple(frames)


@cache
def sounds() -> tuple[bytes, ...]:
    """Return the payload of each packet of sound."""
    return tone_loop().frames


def packets_per_second() -> float:
    """How many RTP packets a publisher of pictures and sound sends."""
    return sum(map(len, pictures())) / len(pictures()) * FRAME_RATE + SOUND_RATE


@dataclass
class Feedback:
    """What a server has said of the media."""

    reports: int = 0
    remb: int = 0
    plis: int = 0
    lost: dict[int, int] = field(default_factory=dict)

    def take(self, compound: bytes) -> None:
        """Read a compound RTCP packet (RFC 3550, RFC 4585)."""
        position = 0
        while position + 8 <= len(compound):
            count, kind = compound[position] & 0x1F, compound[position + 1]
            end = position + 4 + 4 * int.from_bytes(compound[position + 2 : position + 4], "big")
            if kind == 201:
                self.reports += 1
            if kind in (200, 201):
                for block in range(count):
                    at = position + (28 if kind == 200 else 8) + 24 * block
                    ssrc, lost = struct.unpack_from("!II", compound, at)
                    self.lost[ssrc] = lost & 0xFFFFFF
            elif kind == 206:
                self.plis += count == 1
                self.remb += count == 15 and compound[position + 12 : position + 16] == b"REMB"
            position = end


class Publisher:
    """One publisher at an address of this machine. ``open`` connects it; from then on ``send`` sends what is due.

    Without ``video`` it sends sound alone.
    """

    role = "controlling"  # read by the DTLS transport, for which this is the ICE transport

    def __init__(self, identity: Identity, rng: random.Random, address: str, video: bool = True) -> None:
        self._sends_video = video
        self.feedback = Feedback()
        self.sent = self.dropped = self.skipped = 0
        self._identity = identity
        self._rng = rng
        self._ufrag, self._password = f"{rng.getrandbits(40):010x}", f"{rng.getrandbits(120):030x}"
        self._audio, self._video = rng.getrandbits(32), rng.getrandbits(32)
        self._remote = ("", "")
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((address, 0))
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue()
        self._dtls = DtlsTransport(self, [identity])  # type: ignore[arg-type]
        self._checked = asyncio.Event()
        self._frame = self._sound = 0
        self._sequences = [rng.getrandbits(15), rng.getrandbits(15)]
        self._stamps = [rng.getrandbits(31), rng.getrandbits(31)]
        self._next_frame = self._next_sound = self._next_report = 0.0

    # the connection

    async def open(self, exchange: Exchange) -> None:
        """Offer, check the way, shake hands."""
        answer = await exchange(self._offer())
        lines = answer.splitlines()

        def value(name: str) -> str:
            return next(line.partition(":")[2] for line in lines if line.startswith(f"a={name}:"))

        self._remote = value("ice-ufrag"), value("ice-pwd")
        candidates = [line.split() for line in lines if line.startswith("a=candidate:") and " udp " in line.lower()]
        usable = [(each[4], int(each[5])) for each in candidates if ":" not in each[4]]
        self._socket.connect(next((each for each in usable if each[0] == self._socket.getsockname()[0]), usable[0]))
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._readable)
        for _ in range(100):
            self._socket.send(self._check())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._checked.wait(), 0.1)
                break
        self._dtls._set_role("server" if value("setup") == "active" else "client")
        algorithm, _, digest = value("fingerprint").partition(" ")
        await self._dtls.start(RTCDtlsParameters([RTCDtlsFingerprint(algorithm.lower(), digest)]))
        if self._dtls.state != "connected":
            raise RuntimeError("the handshake failed")
        now = time.monotonic()
        self._next_frame, self._next_sound = (
            now + self._rng.random() / FRAME_RATE,
            now + self._rng.random() / SOUND_RATE,
        )
        self._next_report = now + self._rng.random()

    async def close(self) -> None:
        """Say goodbye and close the socket."""
        await self._dtls.stop()
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()

    def _offer(self) -> str:
        address, port = self._socket.getsockname()
        transport = TRANSPORT.format(
            ufrag=self._ufrag,
            password=self._password,
            fingerprint=self._identity.fingerprint,
            address=address,
            port=port,
        )
        text = (OFFER + OFFER_VIDEO if self._sends_video else OFFER).format(
            bundle="0 1" if self._sends_video else "0",
            session=self._rng.getrandbits(60),
            address=address,
            port=port,
            transport=transport,
            audio=self._audio,
            video=self._video,
        )
        return text.replace("\n", "\r\n")

    def _check(self) -> bytes:
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{self._remote[0]}:{self._ufrag}"
        message.attributes["PRIORITY"] = 1845501695
        message.attributes["ICE-CONTROLLING"] = 1
        message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity(self._remote[1].encode())
        return bytes(message)

    def _readable(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._socket.recv(2048):
                if data[0] < 2:
                    self._stun(data)
                elif data[0] < 64:
                    self._waiting.put_nowait(data)
                elif 191 < data[1] < 224 and self._dtls.state == "connected":
                    before = self.feedback.plis
                    self.feedback.take(self._dtls._rx_srtp.unprotect_rtcp(data))
                    if self.feedback.plis > before:
                        self._frame = 0  # the loop begins with a key frame

    def _stun(self, data: bytes) -> None:
        message = stun.parse_message(data)
        if message.message_class is not stun.Class.REQUEST:
            self._checked.set()
            return
        reply = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=message.transaction_id)
        reply.attributes["XOR-MAPPED-ADDRESS"] = self._socket.getpeername()
        reply.add_message_integrity(self._password.encode())
        self._socket.send(bytes(reply))

    async def _recv(self) -> bytes:
        return await self._waiting.get()

    async def _send(self, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):
            self._socket.send(data)

    # the media

    def send(self, now: float) -> None:
        """Send what is due; ``now`` in seconds, monotonic."""
        if self._sends_video and now >= self._next_frame:
            if now - self._next_frame > _BEHIND:
                self.skipped += int((now - self._next_frame) * FRAME_RATE)
                self._next_frame = now
            self._next_frame += 1 / FRAME_RATE
            self._stamps[1] = (self._stamps[1] + 90_000 // FRAME_RATE) & 0xFFFFFFFF
            for marker, payload in pictures()[self._frame]:
                self._packet(1, _VIDEO | marker, self._video, payload)
            self._frame = (self._frame + 1) % len(pictures())
        if now >= self._next_sound:
            self._next_sound = max(self._next_sound + 1 / SOUND_RATE, now - _BEHIND)
            self._stamps[0] = (self._stamps[0] + 960) & 0xFFFFFFFF
            self._packet(0, _AUDIO, self._audio, sounds()[self._sound])
            self._sound = (self._sound + 1) % len(sounds())
        if now >= self._next_report:
            self._next_report = now + 1
            for track, ssrc in enumerate((self._audio, self._video) if self._sends_video else (self._audio,)):
                self._report(track, ssrc)

    def _packet(self, track: int, kind: int, ssrc: int, payload: bytes) -> None:
        self._sequences[track] = sequence = (self._sequences[track] + 1) & 0xFFFF
        header = _RTP.pack(0x80, kind, sequence, self._stamps[track], ssrc)
        try:
            self._socket.send(self._dtls._tx_srtp.protect(header + payload))
            self.sent += 1
        except BlockingIOError:
            self.dropped += 1

    def _report(self, track: int, ssrc: int) -> None:
        ntp = int((time.time() + 2_208_988_800) * 2**32)
        report = struct.pack("!BBHIQIII", 0x80, 200, 6, ssrc, ntp, self._stamps[track], self.sent & 0xFFFFFFFF, 0)
        with contextlib.suppress(BlockingIOError):
            self._socket.send(self._dtls._tx_srtp.protect_rtcp(report))


@dataclass
class Stage:
    """Publishers that send. ``late`` is the longest that the generator was behind, in seconds."""

    publishers: Sequence[Publisher]
    late: float = 0.0
    _running: bool = True

    async def run(self) -> None:
        """Send what is due, a few hundred times a second, until stopped."""
        step, due = 0.004, time.monotonic()
        while self._running:
            now = time.monotonic()
            self.late = max(self.late, now - due)
            for publisher in self.publishers:
                publisher.send(now)
            due = max(now + step, time.monotonic())
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def stop(self) -> None:
        """Send nothing more."""
        self._running = False

    @property
    def sent(self) -> int:
        """RTP packets that have left."""
        return sum(each.sent for each in self.publishers)

    def lost(self) -> int:
        """RTP packets that the server says it has not received."""
        return sum(sum(each.feedback.lost.values()) for each in self.publishers)


@contextlib.contextmanager
def on_stage(publishers: Sequence[Publisher]) -> Iterator[Stage]:
    """Let publishers send for as long as the context lasts."""
    stage = Stage(publishers)
    task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(stage.run())
    try:
        yield stage
    finally:
        stage.stop()
        task.cancel()
