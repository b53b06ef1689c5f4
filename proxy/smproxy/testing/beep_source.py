"""Silence with a beep at the beginning of each second of Unix time."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from typing import Any

import av

from smproxy.testing.media import CLOCK_RATE, Unit, opus_encoder
from smproxy.testing.pace import Pace

#: Samples of one Opus frame, and of one beep (60 ms).
_FRAME = 960
_BEEP = 2_880
_FREQUENCY, _LOUDNESS = 1_000, 12_000


class BeepSource:
    """Encodes sound as it is due; ``clock`` returns Unix time in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._encoder: Any = opus_encoder()
        self._pace = Pace()
        self._pts = 0
        step = 2 * math.pi * _FREQUENCY / CLOCK_RATE["audio"]
        self._beep = array("h", (round(_LOUDNESS * math.sin(step * index)) for index in range(_BEEP)))

    async def read(self) -> Unit:
        """Return the next 20 ms."""
        rate = CLOCK_RATE["audio"]
        pts, data = self._pts, b""
        while not data:  # an encoder may keep its first frames
            await self._pace.until(self._pts / rate)
            begin = round(self._clock() % 1 * rate)
            frame: Any = av.AudioFrame("s16", "stereo", _FRAME)
            frame.sample_rate, frame.pts = rate, self._pts
            frame.planes[0].update(self._samples(begin).tobytes())
            data = b"".join(bytes(packet) for packet in self._encoder.encode(frame))
            self._pts += _FRAME
        return Unit(data, pts)

    def want_key_frame(self) -> None:
        """Do nothing: each frame of sound stands for itself."""

    def _samples(self, begin: int) -> array[int]:
        """Return both channels of a frame that begins so many samples after a full second."""
        second = CLOCK_RATE["audio"]
        mono = array("h", (self._beep[at] if (at := (begin + n) % second) < _BEEP else 0 for n in range(_FRAME)))
        stereo = array("h", bytes(4 * _FRAME))
        stereo[0::2] = stereo[1::2] = mono
        return stereo
