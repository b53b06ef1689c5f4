"""What publishers and subscribers count of each track."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrackCount:
    """What was sent of one track: RTP packets, and bytes of their payloads."""

    packets: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class ReceivedCount:
    """What came of one track.

    RTP packets and bytes of their payloads; packets that were missing, whether or not they came again; whole encoded frames,
    and how many of those were decoded. ``codec`` is empty until the first frame; ``width`` and ``height`` are of the last
    picture.
    """

    packets: int = 0
    bytes: int = 0
    lost: int = 0
    frames: int = 0
    decoded: int = 0
    codec: str = ""
    width: int = 0
    height: int = 0
