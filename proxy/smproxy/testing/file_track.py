"""One track of a media file, read again and again in step with the other one.

Blocking: for the file's thread.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av

from smproxy.testing.converters import Converted, Converter, converter_for
from smproxy.testing.media import CLOCK_RATE, Codec, Kind, Unit


@dataclass
class LoopTimes:
    """When each round of a file begins: when the longest of its tracks is through. Seconds.

    ``start`` is where the file's own times begin.
    """

    start: Fraction
    begins: list[Fraction] = field(default_factory=lambda: [Fraction(0)])
    #: How far each track has come, and in which round; a track that nobody reads is not waited for.
    rounds: dict[Kind, int] = field(default_factory=dict)
    ends: dict[Kind, Fraction] = field(default_factory=dict)

    def next_begin(self, current: int) -> Fraction | None:
        """Return when the round after this one begins.

        ``None`` while a track is not through with it.
        """
        if len(self.begins) > current + 1:
            return self.begins[current + 1]
        if any(number < current or kind not in self.ends for kind, number in self.rounds.items() if number <= current):
            return None
        self.begins.append(max(self.ends.values()))
        self.ends = {}
        return self.begins[-1]


class FileTrack:
    """Reads frames as they are to be sent.

    After its end come the last picture, or silence, until the other is through.
    """

    def __init__(self, path: str, index: int, kind: Kind, codec: Codec, times: LoopTimes) -> None:
        self.key_frame_wanted = False
        self._path = path
        self._index = index
        self._kind: Kind = kind
        self._times = times
        self._rate = CLOCK_RATE[kind]
        self._round = 0
        self._position = Fraction(0)
        self._last_pts = -1
        self._through = False
        self._found = False
        self._converter: Converter = converter_for(path, index, kind, codec)
        self._container: Any = None
        self._packets: Any = iter(())
        self._open()

    def _open(self) -> None:
        self._container = av.open(self._path)
        stream = self._container.streams[self._index]
        self._converter.begin(stream)
        self._packets = self._container.demux(stream)

    def read(self) -> list[Unit]:
        """Return the next frames, at least one.

        Raises:
            ValueError: There is none in the whole file.
        """
        self._times.rounds[self._kind] = self._round
        while True:
            units = self._fill() if self._through else self._advance()
            if units:
                return units

    def _advance(self) -> list[Unit]:
        packet = next(self._packets, None)
        begin = self._times.begins[self._round] - self._times.start
        wanted, self.key_frame_wanted = self.key_frame_wanted, False
        if packet is None:
            converted = self._converter.flush()
            self._through = True
        else:
            converted = self._converter.convert(packet, key=wanted)
            if wanted and not converted:
                self.key_frame_wanted = True
        self._found = self._found or bool(converted)
        if self._through and not self._found:
            raise ValueError("no frames that can be sent")
        return [self._unit(each, begin + each.at) for each in converted]

    def _fill(self) -> list[Unit]:
        """Bring what fills the time until the next round, or begin it."""
        if self._times.next_begin(self._round) is None:
            self._times.ends[self._kind] = self._position
        following = self._times.next_begin(self._round)
        if following is None or self._position < following:
            wanted, self.key_frame_wanted = self.key_frame_wanted, False
            filling = self._converter.fill(key=wanted)
            if following is None or self._position + filling.length <= following:
                units = [self._unit(filling, self._position)]
                if following is None:
                    self._times.ends[self._kind] = self._position
                return units
        self._round += 1
        self._times.rounds[self._kind] = self._round
        self._through = False
        self._container.close()
        self._open()
        return []

    def _unit(self, converted: Converted, position: Fraction) -> Unit:
        position = max(position, Fraction(0))
        self._position = max(self._position, position + converted.length)
        self._last_pts = max(int(position * self._rate), self._last_pts + 1)
        return Unit(converted.data, self._last_pts)

    def close(self) -> None:
        """Close the file."""
        self._container.close()
