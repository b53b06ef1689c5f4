"""Choosing what a publisher sends: the pattern and the tone, a file, or nothing."""

from __future__ import annotations

from pathlib import Path

from proxy.testing.media import Codec, Kind, LoopSource, PacedTrack, pattern_loop, tone_loop
from proxy.testing.media_file import MediaFile


async def make_tracks(
    kinds: set[Kind], codec: Codec, *, media: str | Path | None, silent: bool
) -> tuple[list[PacedTrack], MediaFile | None]:
    """Make the tracks, audio first as the SDK wants it, and the file to close afterwards, if any.

    Raises:
        PublishError: The file cannot be used.
    """
    if silent:
        return [PacedTrack(kind, None) for kind in sorted(kinds)], None
    if media is not None:
        file = MediaFile(media, codec, kinds)
        await file.open()
        return [PacedTrack(kind, file.source(kind)) for kind in sorted(file.kinds)], file
    loops = {kind: tone_loop() if kind == "audio" else pattern_loop(codec) for kind in kinds}
    return [PacedTrack(kind, LoopSource(loops[kind])) for kind in sorted(kinds)], None
