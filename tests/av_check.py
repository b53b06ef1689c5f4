"""Does the sound of a recording stand beside its picture? Found by looking and listening, not by our own timestamps.

A :class:`Studio` has a camera that sees a flash, and a microphone that hears a beep, at every full second. Their packets go
through the origin's tracks into a recording, on a clock of the test's own. :func:`look_and_listen` decodes the file and says
when there were flashes and beeps.
"""

from __future__ import annotations

import heapq
import math
import random
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from aiortc.codecs import h264, vpx
from av.video.frame import PictureType
from smproxy.origin.recording.disk_space import RecordingStore
from smproxy.origin.recording.recording import QueuedPacket, Recording
from smproxy.origin.rtcp_receiver import SenderReport
from smproxy.origin.track import Track
from smproxy.signaling.payloads import Kind
from smproxy.testing.media import Codec, opus_encoder, video_encoder

#: Seconds: one step of the studio, which is a picture and a piece of sound; and how long a flash and a beep last.
STEP = 0.02
SIGNAL = 0.1
#: Seconds by which sound and picture may differ, as broadcasters have it (EBU R37: 40 ms early, 60 ms late), and a length.
IN_STEP = 0.045
LENGTH = 0.1

_RATES = {Kind.VIDEO: 90000, Kind.AUDIO: 48000}
_SSRC = {Kind.VIDEO: 1, Kind.AUDIO: 2}


@dataclass
class Noticed:
    """What somebody notices who plays a file. Seconds from its start.

    ``length`` is what the file says of itself, ``played`` the end of the last picture or sound in it.
    """

    length: float
    played: float
    flashes: list[float]
    beeps: list[float]
    sizes: list[tuple[int, int]]

    def check(self, length: float, *, flashes: list[int], beeps: list[int]) -> None:
        """Compare with what the studio saw and heard: at which of its seconds, and how long it recorded."""
        assert abs(self.length - length) <= LENGTH, f"{self.length} s instead of {length} s"
        assert abs(self.played - length) <= LENGTH, f"{self.played} s are to be seen or heard instead of {length} s"
        for found, wanted in ((self.flashes, flashes), (self.beeps, beeps)):
            assert [round(each) for each in found] == wanted
            assert all(abs(each - round(each)) <= LENGTH for each in found), found
        sounds = {round(each): each for each in self.beeps}
        apart = {each: sounds[round(each)] - each for each in self.flashes if round(each) in sounds}
        assert all(abs(each) <= IN_STEP for each in apart.values()), apart


def look_and_listen(path: Path) -> Noticed:
    """Play a file."""
    found = Noticed(0.0, 0.0, [], [], [])
    bright = loud = False
    with av.open(str(path)) as container:
        found.length = (container.duration or 0) / 1e6
        for packet in container.demux():
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame):
                    was, bright = bright, _luma(frame) > 128
                    if bright and not was:
                        found.flashes.append(float(frame.time))
                    if not found.sizes or found.sizes[-1] != (frame.width, frame.height):
                        found.sizes.append((frame.width, frame.height))
                    found.played = max(found.played, float(frame.time))
                else:
                    found.played = max(found.played, float(frame.time) + frame.samples / frame.sample_rate)
                    was, loud = loud, _loudness(frame) > 0.02
                    if loud and not was:
                        found.beeps.append(float(frame.time))
    return found


def _luma(frame: Any) -> int:
    """Return the brightness in the middle of a picture."""
    plane = frame.planes[0]
    return memoryview(plane)[frame.height // 2 * plane.line_size + frame.width // 2]


def _loudness(frame: Any) -> float:
    samples = memoryview(bytes(frame.planes[0])).cast("f")
    return math.sqrt(sum(each * each for each in samples) / len(samples))


class Studio:
    """Sends until it is told what is different from then on.

    ``camera`` and ``microphone`` say whether they send; a microphone that does not is one that stalls, whose timestamps go on
    by the samples that it has. ``talks_only`` leaves silence out, as discontinuous transmission (DTX) does. ``loss`` is the
    part of the packets that are lost, ``delays`` are seconds that a packet takes.
    """

    def __init__(self, path: Path, codec: Codec = "VP8", *, seed: int = 1) -> None:
        self.camera = self.microphone = True
        self.talks_only = False
        self.loss = 0.0
        self.delays = {Kind.VIDEO: 0.06, Kind.AUDIO: 0.03}
        self.now = 0.0
        self.arrived = 0.0
        self.ssrc = dict(_SSRC)
        self.tracks = {
            Kind.VIDEO: Track("video", Kind.VIDEO, codec, 90000, lambda: self.arrived),
            Kind.AUDIO: Track("audio", Kind.AUDIO, "opus", 48000, lambda: self.arrived),
        }
        self._codec: Codec = codec
        self._rng = random.Random(seed)
        self._packer: Any = h264.H264Encoder() if codec == "H264" else vpx.Vp8Encoder()
        self._opus: Any = opus_encoder()
        self._sequence = {Kind.VIDEO: 65000, Kind.AUDIO: 100}
        self._timestamps = dict.fromkeys(_SSRC, 0xFFFF0000)
        self._samples = 0
        self._under_way: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._frames = 0
        self._written = 0.0
        self._queue: deque[QueuedPacket] = deque()
        codecs = {kind: (track.codec, _RATES[kind]) for kind, track in self.tracks.items()}
        self._recording = Recording(
            RecordingStore(path.parent, 10**10, 0),
            path.name,
            codecs,
            self._queue,
            append=False,
            ask=self._want_key_frame,
        )
        for track in self.tracks.values():
            track.started = True
            track.attach(self._record(track))
        self.resize(64, 48)

    def _record(self, track: Track) -> Callable[[Any], None]:
        return lambda packet: self._queue.append(QueuedPacket(track.kind, packet, track.last_report))

    def _want_key_frame(self) -> None:
        self.tracks[Kind.VIDEO].want_key_frame()

    def resize(self, width: int, height: int) -> None:
        """Let the pictures have another size."""
        self._size = width, height
        self._encoder: Any = video_encoder(self._codec, width, height, 100_000, Fraction(50))

    def change_source(self, kind: Kind) -> None:
        """Go on with another source: other numbers and timestamps."""
        self.ssrc[kind] += 10
        self._sequence[kind] += 20_000
        self._timestamps[kind] += 0x30000000

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / STEP)):
            if self.camera:
                self._picture()
            if self.microphone:
                self._sound()
            step = round(self.now / STEP)
            if step % 50 == 25:
                self._report()
            self.now = (step + 1) * STEP
            self._deliver(self.now)

    def end(self) -> None:
        """End the session, and with it the recording."""
        self._deliver(float("inf"))
        self._recording.closed_at = self.arrived = self.now
        self._recording.step(self.now)
        assert self._recording.outcome is not None
        assert self._recording.outcome.error is None

    @property
    def signal(self) -> bool:
        """Whether it is bright and loud; the first time at 1 s."""
        return self.now >= 0.5 and self.now % 1 < SIGNAL - 1e-6

    def _picture(self) -> None:
        width, height = self._size
        frame: Any = av.VideoFrame(width, height, "yuv420p")
        for plane, value in zip(frame.planes, (235 if self.signal else 16, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = self._frames * 1800, Fraction(1, 90000)
        self._frames += 1
        wanted = self.tracks[Kind.VIDEO].needs_pli(self.now, 1e9)
        frame.pict_type = PictureType.I if wanted else PictureType.NONE
        for unit in self._encoder.encode(frame):
            payloads, _ = self._packer.pack(unit)
            for payload in payloads:
                self._send(Kind.VIDEO, round(self.now * 90000), payload, marker=payload is payloads[-1])

    def _sound(self) -> None:
        frame: Any = av.AudioFrame("s16", "stereo", 960)
        frame.sample_rate = 48000
        frame.pts, frame.time_base = self._samples, Fraction(1, 48000)
        level = 12000 if self.signal else 0
        wave = (round(level * math.sin(math.tau * 1000 * n / 48000)) for n in range(960))
        frame.planes[0].update(b"".join(struct.pack("<hh", each, each) for each in wave))
        for unit in self._opus.encode(frame):
            if not self.talks_only or self.now % 1 < 2 * SIGNAL or self.now % 0.4 < STEP:
                self._send(Kind.AUDIO, self._samples, bytes(unit))
        self._samples += 960
        self._heard_at = self.now

    def _send(self, kind: Kind, timestamp: int, payload: bytes, *, marker: bool = False) -> None:
        head = struct.pack(
            "!BBHII",
            0x80,
            96 | marker << 7,
            self._sequence[kind] & 0xFFFF,
            (timestamp + self._timestamps[kind]) & 0xFFFFFFFF,
            self.ssrc[kind],
        )
        self._sequence[kind] += 1
        if self._rng.random() >= self.loss:
            self._travel(kind, lambda: self.tracks[kind].packet(head + payload))

    def _report(self) -> None:
        """Send the reports of both tracks; that of the sound assumes that its clock never stands still, as libwebrtc does."""
        for kind, ticks in (
            (Kind.VIDEO, self.now * 90000),
            (Kind.AUDIO, self._samples - 960 + (self.now - self._heard_at) * 48000),
        ):
            timestamp = (round(ticks) + self._timestamps[kind]) & 0xFFFFFFFF
            report = SenderReport(self.ssrc[kind], int((4e9 + self.now) * 2**32), timestamp)
            self._travel(kind, self._reporting(kind, report))

    def _reporting(self, kind: Kind, report: SenderReport) -> Callable[[], None]:
        return lambda: self.tracks[kind].sender_report(report)

    def _travel(self, kind: Kind, arrive: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._under_way, (self.now + self.delays[kind], self._count, arrive))

    def _deliver(self, until: float) -> None:
        while self._under_way and self._under_way[0][0] <= until:
            self.arrived, _, arrive = heapq.heappop(self._under_way)
            arrive()
        if self.now - self._written >= 0.4:
            self._written = self.now
            self._recording.step(self.now)
