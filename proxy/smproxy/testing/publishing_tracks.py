"""Choosing what a publisher sends: the pattern and the tone, a file, or nothing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal, TypeAlias

from smproxy.testing.beep_source import BeepSource
from smproxy.testing.counter_source import CounterSource
from smproxy.testing.media import Codec, FrameSource, Kind, LoopSource, PacedTrack, pattern_loop, tone_loop
from smproxy.testing.media_file import MediaFile

#: ``test`` is a moving test picture, ``counter`` has a number in each picture, ``clock`` the time, and a beep each second.
Pattern: TypeAlias = Literal["test", "counter", "clock"]


async def make_tracks(
    kinds: set[Kind], codec: Codec, *, media: str | Path | None, silent: bool, pattern: Pattern, stream: str
) -> tuple[list[PacedTrack], MediaFile | None]:
    """Make the tracks, audio first as the SDK wants it, and the file to close afterwards.

    Raises:
        PublishError: The file cannot be used.
    """
    if silent:
        return [PacedTrack(kind, None) for kind in sorted(kinds)], None
    if media is not None:
        file = MediaFile(media, codec, kinds)
        await file.open()
        return [PacedTrack(kind, file.source(kind)) for kind in sorted(file.kinds)], file
    sources: dict[Kind, FrameSource] = {}
    for kind in sorted(kinds):
        if kind == "audio":
            sources[kind] = BeepSource(time.time) if pattern == "clock" else LoopSource(tone_loop())
        elif pattern == "test":
            sources[kind] = LoopSource(pattern_loop(codec))
        else:
            sources[kind] = CounterSource(codec, stream, time.time if pattern == "clock" else None)
    return [PacedTrack(kind, source) for kind, source in sources.items()], None
