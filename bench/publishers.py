"""The load of the media bench: publishers that cost next to nothing, with real ICE checks, DTLS, SRTP and RTCP.

One process carries hundreds: the pictures are encoded and cut into packets once, and only encrypted anew for each publisher.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aiortc.codecs.vpx import Vp8Encoder
from light_client import Exchange, LightClient
from smproxy.origin.aiortc_dtls import Identity
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

_RTP = struct.Struct("!BBHII")
_AUDIO, _VIDEO = 111, 96
#: Frames with which the pictures go on for ever: the last second, in which the encoder has come to its bit rate. As of a
#: browser no key frame comes that nobody has asked for.
_STEADY = FRAME_RATE
#: Seconds that a publisher may be behind its time before it leaves out what it has missed.
_BEHIND = 0.5


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
    return sum(map(len, pictures()[-_STEADY:])) / _STEADY * FRAME_RATE + SOUND_RATE


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


class Publisher(LightClient):
    """One publisher at an address of this machine. ``open`` connects it; from then on ``send`` sends what is due.

    Without ``video`` it sends sound alone.
    """

    def __init__(self, identity: Identity, rng: random.Random, address: str, video: bool = True) -> None:
        super().__init__(identity, rng, address)
        self._sends_video = video
        self.feedback = Feedback()
        self.sent = self.dropped = self.skipped = 0
        self._audio, self._video = rng.getrandbits(32), rng.getrandbits(32)
        self._frame = self._sound = 0
        self._sequences = [rng.getrandbits(15), rng.getrandbits(15)]
        self._stamps = [rng.getrandbits(31), rng.getrandbits(31)]
        self._next_frame = self._next_sound = self._next_report = 0.0

    async def open(self, exchange: Exchange) -> None:
        """Connect; what is to be sent is due from now on."""
        await super().open(exchange)
        now = time.monotonic()
        self._next_frame = now + self._rng.random() / FRAME_RATE
        self._next_sound = now + self._rng.random() / SOUND_RATE
        self._next_report = now + self._rng.random()

    def _offer(self) -> str:
        sections, bundle = (OFFER + OFFER_VIDEO, "0 1") if self._sends_video else (OFFER, "0")
        return self._described(sections, bundle=bundle, audio=self._audio, video=self._video)

    def _media(self, data: bytes) -> None:
        if 191 < data[1] < 224 and self._dtls.state == "connected":
            before = self.feedback.plis
            self.feedback.take(self._dtls._rx_srtp.unprotect_rtcp(data))
            if self.feedback.plis > before:
                self._frame = 0  # the loop begins with a key frame

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
            self._frame = self._frame + 1 if self._frame + 1 < len(pictures()) else len(pictures()) - _STEADY
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
